"""Trade bills of Alipay: "alipay.data.dataservice.bill.downloadurl.query" and "交易账单".

A bill is a zip of two tables in GBK: the lines (业务明细), and sums by shop, which are not needed. Amounts are in yuan
and negative where money leaves the merchant, fees included; times are in Asia/Shanghai. The file carries no signature:
its address comes in a signed answer and must be one of Alipay's own, by TLS, and behind its lines the table says their
number and their sums, which are checked.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TextIO
from urllib.parse import SplitResult, urlsplit

import httpx

from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.payments.ports import ChannelRefused, ChannelUnavailable
from gateways.alipay_facts import moment_of
from gateways.alipay_gateway import AlipayGateway
from gateways.documents import AMOUNT_MAX_FEN, Malformed, text
from gateways.guard import DEADLINE
from kernel.ids import new_id
from kernel.money import Money

METHOD = "alipay.data.dataservice.bill.downloadurl.query"
BILL_TYPE = "trade"
NOT_MADE = frozenset({"isp.bill_not_exist", "isv.bill_not_exist", "BILL_NOT_EXIST", "isp.bill-not-exist"})
ENCODING = "gbk"
CHUNK_SIZE_BYTES = 64 * 1024
LINE_LENGTH_MAX = 16 * 1024
MEMBERS_MAX = 8
SUCCEEDED = 200
LINES_FILE, SUMS_FILE = "业务明细", "汇总"

TRANSACTION, OUT_TRADE_NO, KIND, DONE_AT = "支付宝交易号", "商户订单号", "业务类型", "完成时间"
AMOUNT, RECEIVED, REQUEST_NO, FEE = "订单金额（元）", "商家实收（元）", "退款批次号/请求号", "服务费（元）"
COLUMNS = frozenset({TRANSACTION, OUT_TRADE_NO, KIND, DONE_AT, AMOUNT, RECEIVED, REQUEST_NO, FEE})
KINDS = {"交易": BillLineKind.PAYMENT, "退款": BillLineKind.REFUND}
ACCOUNT = re.compile(r"#账号：\[(\d{16})\d*\]", re.ASCII)
FIRST_DAY = re.compile(r"#起始日期：\[(\d{4})年(\d\d)月(\d\d)日", re.ASCII)
SUM_OF_PAYMENTS = re.compile(r"#交易合计：(\d+)笔，商家实收共(-?[\d.]+)元", re.ASCII)
SUM_OF_REFUNDS = re.compile(r"#退款合计：(\d+)笔，商家实收退款共(-?[\d.]+)元", re.ASCII)


@dataclass(frozen=True, slots=True)
class BillLimits:
    size_max_bytes: int
    timeout_s: float


class AlipayBills:
    """Fetches and reads bills. `hosts` are those that a bill may lie on; `plain_http` is for the sandbox alone."""

    def __init__(
        self, *, client: httpx.AsyncClient, hosts: frozenset[str], plain_http: bool, limits: BillLimits
    ) -> None:
        self._client, self._hosts, self._plain_http, self._limits = client, hosts, plain_http, limits

    async def fetch(self, gateway: AlipayGateway, *, day: date, into: Path, seller_id: str) -> None:
        try:
            document = await gateway.call(METHOD, {"bill_type": BILL_TYPE, "bill_date": day.isoformat()})
        except ChannelRefused as error:
            if error.code in NOT_MADE:
                raise BillNotReady(day.isoformat()) from None
            raise
        try:
            address = self._address(text(document, "bill_download_url"))
        except Malformed as error:
            raise ChannelUnavailable(f"bill: {error}") from None
        packed, plain = (into.with_name(f".{into.name}.{new_id()}") for _ in range(2))
        try:
            await self._download(address, packed)
            await asyncio.to_thread(self._unpack, packed, plain)
            await asyncio.to_thread(_check, plain, seller_id, day)
            plain.replace(into)
        finally:
            packed.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)

    def read(self, path: Path, *, seller_id: str) -> Iterator[BillLine]:
        """Read a bill line by line. Only one that was read to its end may be used. Raises BillRefused."""
        with path.open(encoding="utf-8", newline="") as file:
            yield from _Reading(file, seller_id, None).lines()

    def _address(self, url: str) -> str:
        """Return where the bill lies. Raises BillRefused where that is not with Alipay."""
        try:
            parts = urlsplit(url)
            host = parts.netloc
        except ValueError:
            raise BillRefused("the bill's address cannot be read") from None
        if parts.scheme not in {"http", "https"} or host not in self._hosts:
            raise BillRefused("the bill does not lie with Alipay")
        # The documentation still writes http; what is not signed must come by TLS.
        scheme = parts.scheme if self._plain_http else "https"
        return SplitResult(scheme, host, parts.path, parts.query, "").geturl()

    async def _download(self, address: str, into: Path) -> None:
        size = 0
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                until_s = asyncio.get_running_loop().time() + self._limits.timeout_s
                async with self._client.stream("GET", address, extensions={DEADLINE: until_s}) as response:
                    if response.status_code != SUCCEEDED:
                        raise ChannelUnavailable(f"bill: status {response.status_code}")
                    with into.open("xb") as file:
                        async for chunk in response.aiter_raw(CHUNK_SIZE_BYTES):
                            size += len(chunk)
                            if size > self._limits.size_max_bytes:
                                raise BillRefused("the bill is too large")
                            file.write(chunk)
        except TimeoutError:
            raise ChannelUnavailable("bill: timeout") from None
        except httpx.HTTPError as error:
            # httpx's errors carry the request, and with it an address that opens the bill.
            raise ChannelUnavailable(f"bill: {type(error).__name__}") from None

    def _unpack(self, packed: Path, plain: Path) -> None:
        """Write the table of lines in UTF-8. A zip may unpack to a thousand times its size, so it does so in pieces."""
        try:
            with (
                zipfile.ZipFile(packed) as archive,
                archive.open(_lines_member(archive)) as source,
                plain.open("x", encoding="utf-8", newline="") as target,
            ):
                self._decode(source, target)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            raise BillRefused("the bill is not a whole zip file") from None

    def _decode(self, source: IO[bytes], target: TextIO) -> None:
        decoder, size = codecs.getincrementaldecoder(ENCODING)(), 0
        try:
            while piece := source.read(CHUNK_SIZE_BYTES):
                size += len(piece)
                if size > self._limits.size_max_bytes:
                    raise BillRefused("the bill is too large")
                target.write(decoder.decode(piece))
            target.write(decoder.decode(b"", final=True))
        except UnicodeDecodeError:
            raise BillRefused("the bill is not GBK") from None


def _lines_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) > MEMBERS_MAX:
        raise BillRefused("the zip file holds too much")
    named = [(member, _name(member)) for member in members]
    found = [member for member, name in named if LINES_FILE in name and SUMS_FILE not in name]
    if len(found) != 1:
        raise BillRefused("the zip file holds no table of lines")
    return found[0]


def _name(member: zipfile.ZipInfo) -> str:
    """Return a member's name, which is GBK where the zip does not say that it is UTF-8."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode(ENCODING)
    except UnicodeError:
        return member.filename


def _check(path: Path, seller_id: str, day: date) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        for _ in _Reading(file, seller_id, day).lines():
            pass


class _Reading:
    """One pass over a bill, which keeps what its end has to say again."""

    def __init__(self, file: TextIO, seller_id: str, day: date | None) -> None:
        self._rows = csv.reader(_lines(file))
        self._seller_id, self._day = seller_id, day
        self._counts = dict.fromkeys(BillLineKind, 0)
        self._received_fen = dict.fromkeys(BillLineKind, 0)

    def lines(self) -> Iterator[BillLine]:
        try:
            header = self._head()
            for row in self._rows:
                if row[0].startswith("#"):
                    break
                if len(row) != len(header):
                    raise BillRefused("a line has other columns than the header")
                yield self._line({name: value.strip() for name, value in zip(header, row, strict=True)})
            self._check_end()
        except csv.Error:
            raise BillRefused("the bill is not a table") from None

    def _head(self) -> list[str]:
        """Read up to the names of the columns, and check whose bill it is and of which day."""
        said = ""
        for row in self._rows:
            if not row[0].startswith("#"):
                header = [name.strip() for name in row]
                break
            said += ",".join(row) + "\n"
        else:
            raise BillRefused("the bill has no header")
        if not set(header) >= COLUMNS:
            raise BillRefused(f"columns are missing: {', '.join(sorted(COLUMNS - set(header)))}")
        account, first = ACCOUNT.search(said), FIRST_DAY.search(said)
        if account is None or account[1] != self._seller_id:
            raise BillRefused("the bill is another merchant's")
        if first is None or (self._day and date(*map(int, first.groups())) != self._day):
            raise BillRefused("the bill is of another day")
        return header

    def _line(self, row: dict[str, str]) -> BillLine:
        kind = KINDS.get(row[KIND])
        if kind is None:
            raise BillRefused("a line is neither a payment nor a refund")
        sign = 1 if kind is BillLineKind.PAYMENT else -1
        amount, received = sign * _fen(row[AMOUNT]), _fen(row[RECEIVED])
        if amount <= 0 or not row[OUT_TRADE_NO] or not row[TRANSACTION] or (sign < 0) != bool(row[REQUEST_NO]):
            raise BillRefused("a line does not say what it is about")
        self._counts[kind] += 1
        self._received_fen[kind] += received
        try:
            occurred_at = moment_of(row[DONE_AT])
        except Malformed:
            raise BillRefused("a line has no time") from None
        return BillLine(
            kind=kind,
            out_trade_no=row[OUT_TRADE_NO],
            transaction_id=row[TRANSACTION],
            out_refund_no=row[REQUEST_NO] or None,
            refund_id=row[TRANSACTION] if sign < 0 else None,
            sub_mchid=self._seller_id,
            state=row[KIND],
            amount_fen=amount,
            fee_fen=-_fen(row[FEE]),
            occurred_at=occurred_at,
        )

    def _check_end(self) -> None:
        said = "\n".join(",".join(row) for row in self._rows)
        for kind, pattern in ((BillLineKind.PAYMENT, SUM_OF_PAYMENTS), (BillLineKind.REFUND, SUM_OF_REFUNDS)):
            found = pattern.search(said)
            if found is None:
                raise BillRefused("the bill is cut off: its sums are missing")
            if (int(found[1]), _fen(found[2])) != (self._counts[kind], self._received_fen[kind]):
                raise BillRefused("the bill's sums are not those of its lines")


def _lines(file: TextIO) -> Iterator[str]:
    """Return the lines that hold something, whole ones only: a quoted value may not run over several."""
    while line := file.readline(LINE_LENGTH_MAX):
        if len(line) == LINE_LENGTH_MAX:
            raise BillRefused("a line is too long")
        if line.strip():
            yield line


def _fen(value: str) -> int:
    try:
        fen = Money.from_yuan(Decimal(value)).fen
    except (InvalidOperation, ValueError):
        raise BillRefused("an amount is none") from None
    if abs(fen) > AMOUNT_MAX_FEN:
        raise BillRefused("an amount is none of ours")
    return fen
