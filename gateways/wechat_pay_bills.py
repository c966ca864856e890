"""Trade bills of WeChat Pay: "申请交易账单" and "下载账单".

A bill is a CSV of which every value begins with a backtick, amounts in yuan, times in Asia/Shanghai. Behind its lines
it says their number and their sums, which are checked, so that a bill that lacks its end is not taken for a whole one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO, TextIO
from urllib.parse import urlsplit

import httpx

from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.payments.ports import ChannelUnavailable
from gateways.documents import AMOUNT_MAX_FEN, text
from gateways.guard import DEADLINE
from gateways.signing import SigningFailed
from gateways.wechat_pay_wire import WeChatPayWire
from kernel.clock import SHANGHAI, utc_now
from kernel.ids import new_id
from kernel.logs import get_logger

TRADE_BILL = "/v3/bill/tradebill"
NOT_MADE_YET = frozenset({"STATEMENT_CREATING"})
NO_TRADES = frozenset({"NO_STATEMENT_EXIST"})
# The bill of a day is there at ten o'clock of the day after.
READY_AT = time(10, tzinfo=SHANGHAI)
HASH_TYPE = "SHA1"
SUCCEEDED = 200
GZIP = 16 + zlib.MAX_WBITS
CHUNK_SIZE_BYTES = 64 * 1024
LINE_LENGTH_MAX = 16 * 1024
BYTE_ORDER_MARK = "\ufeff"

FEN_PER_YUAN = 100
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
PAID, REFUNDED = "SUCCESS", "REFUND"
# Names of the documentation's columns ("当日所有订单").
TIME, SUB_MCHID, TRANSACTION, OUT_TRADE_NO, STATE = "交易时间", "特约商户号", "微信订单号", "商户订单号", "交易状态"
REFUND_ID, OUT_REFUND_NO, REFUND_STATE = "微信退款单号", "商户退款单号", "退款状态"
ORDER_AMOUNT, REFUND_AMOUNT, FEE, CURRENCY = "订单金额", "申请退款金额", "手续费", "货币种类"
COLUMNS = frozenset(
    {
        TIME,
        SUB_MCHID,
        TRANSACTION,
        OUT_TRADE_NO,
        STATE,
        REFUND_ID,
        OUT_REFUND_NO,
        REFUND_STATE,
        ORDER_AMOUNT,
        REFUND_AMOUNT,
        FEE,
        CURRENCY,
    }
)
COUNT, ORDERS_SUM, REFUNDS_SUM, FEES_SUM = "总交易单数", "订单总金额", "申请退款总金额", "手续费总金额"
SUMMARY = frozenset({COUNT, ORDERS_SUM, REFUNDS_SUM, FEES_SUM})

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BillLimits:
    size_max_bytes: int
    timeout_s: float


class WeChatPayBills:
    """Fetches the bills of one sub-merchant."""

    def __init__(self, *, wire: WeChatPayWire, sub_mchid: str, limits: BillLimits) -> None:
        self._wire, self._sub_mchid, self._limits = wire, sub_mchid, limits

    async def fetch(self, *, day: date, into: Path) -> None:
        """Write the plain bill of a day in Asia/Shanghai, checked against the signed digest of it.

        A day without trades has a bill without lines. Raises BillNotReady, BillRefused, ChannelUnavailable or
        ChannelRefused; then nothing is left at `into`.
        """
        asked = f"bill_date={day.isoformat()}&sub_mchid={self._sub_mchid}&bill_type=ALL&tar_type=GZIP"
        answer = await self._wire.ask("bill", "GET", f"{TRADE_BILL}?{asked}", None)
        code = self._wire.code(answer) if answer.refused else ""
        if code in NOT_MADE_YET or (code in NO_TRADES and utc_now() < _ready_at(day)):
            raise BillNotReady(day.isoformat())
        if code in NO_TRADES:
            await asyncio.to_thread(into.write_bytes, b"")
            return
        self._wire.raise_if_refused("bill", answer)
        kind, digest, url = self._wire.read(
            "bill",
            answer,
            lambda found: tuple(text(found, name) for name in ("hash_type", "hash_value", "download_url")),
        )
        if kind != HASH_TYPE:
            raise BillRefused(f"the digest is of an unknown kind: {kind[:16]}")
        unfinished = into.with_name(f".{into.name}.{new_id()}")
        try:
            found = await self._download(url, unfinished)
            if found != digest.lower():
                raise BillRefused("the bill is not the one that was signed for")
            unfinished.replace(into)
        finally:
            unfinished.unlink(missing_ok=True)

    async def _download(self, url: str, into: Path) -> str:
        """Unpack the bill into a file, and return its SHA-1 in hexadecimal digits."""
        # Only what stands behind the host is used, so that a bill can lie nowhere but where everything is asked for.
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}"
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                async with self._answer(target) as response:
                    if response.status_code != SUCCEEDED:
                        raise ChannelUnavailable(f"bill: status {response.status_code}")
                    with into.open("xb") as file:
                        return await self._unpack(response.aiter_raw(CHUNK_SIZE_BYTES), file)
        except TimeoutError:
            raise ChannelUnavailable("bill: timeout") from None
        except httpx.HTTPError as error:
            # httpx's errors carry the request, and with it the token of the download.
            raise ChannelUnavailable(f"bill: {type(error).__name__}") from None
        except SigningFailed as error:
            raise ChannelUnavailable(f"bill: {error}") from None

    @asynccontextmanager
    async def _answer(self, target: str) -> AsyncIterator[httpx.Response]:
        request = await self._wire.request("GET", target, b"", "")
        # A bill may take longer than an answer; its own timeout ends it.
        request.extensions[DEADLINE] = asyncio.get_running_loop().time() + self._limits.timeout_s
        response = await self._wire.client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _unpack(self, chunks: AsyncIterator[bytes], file: BinaryIO) -> str:
        """Write what the chunks unpack to. A chunk may unpack to a thousand times its size, so it does so in pieces."""
        # The protocol's digest is SHA-1; the answer that names it is signed with RSA and SHA-256.
        unpacking, digest, size = zlib.decompressobj(GZIP), hashlib.sha1(), 0  # noqa: S324
        try:
            async for chunk in chunks:
                packed = chunk
                while packed:
                    piece = unpacking.decompress(packed, CHUNK_SIZE_BYTES)
                    size += len(piece)
                    if size > self._limits.size_max_bytes:
                        raise BillRefused("the bill is too large")
                    digest.update(piece)
                    file.write(piece)
                    packed = unpacking.unconsumed_tail
                    if unpacking.eof and unpacking.unused_data:
                        raise BillRefused("there is something behind the bill")
        except zlib.error:
            raise BillRefused("the bill is not a gzip file") from None
        if not unpacking.eof:
            raise BillRefused("the bill is cut off")
        file.flush()
        os.fsync(file.fileno())
        return digest.hexdigest()


def _ready_at(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), READY_AT)


def read_bill(path: Path, *, sub_mchids: frozenset[str]) -> Iterator[BillLine]:
    """Read a bill line by line. Raises BillRefused, possibly behind lines that were good: only a bill that was read to
    its end may be used. A file without a byte is the bill of a day without trades."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from _Reading(_lines(file), sub_mchids).lines()
    except UnicodeDecodeError:
        raise BillRefused("the bill is not UTF-8") from None


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(LINE_LENGTH_MAX):
        if len(line) == LINE_LENGTH_MAX:
            raise BillRefused("a line is too long")
        stripped = line.strip("\r\n").removeprefix(BYTE_ORDER_MARK)
        if stripped:
            yield stripped


class _Reading:
    """One pass over a bill, which keeps what its end has to say again."""

    def __init__(self, lines: Iterator[str], sub_mchids: frozenset[str]) -> None:
        self._lines, self._sub_mchids = lines, sub_mchids
        self._count = self._orders_fen = self._refunds_fen = self._fees_fen = 0

    def lines(self) -> Iterator[BillLine]:
        header = next(self._lines, None)
        if header is None:
            return
        columns = header.split(",")
        if not set(columns) >= COLUMNS:
            raise BillRefused("columns are missing")
        for line in self._lines:
            if not line.startswith("`"):
                self._check_summary(line.split(","))
                return
            yield self._line(_row(columns, line))
        raise BillRefused("the bill has no end")

    def _line(self, row: Mapping[str, str]) -> BillLine:
        kind = {PAID: BillLineKind.PAYMENT, REFUNDED: BillLineKind.REFUND}.get(row[STATE])
        if kind is None:
            raise BillRefused("an unknown state")
        if row[SUB_MCHID] not in self._sub_mchids or row[CURRENCY] != "CNY":
            raise BillRefused("a line of another merchant or currency")
        refund = kind is BillLineKind.REFUND
        amount_fen, fee_fen = _fen(row[REFUND_AMOUNT if refund else ORDER_AMOUNT]), _fen(row[FEE])
        if amount_fen <= 0 or not row[OUT_TRADE_NO] or not row[TRANSACTION] or (refund and not row[OUT_REFUND_NO]):
            raise BillRefused("a line says nothing")
        self._count += 1
        self._fees_fen += fee_fen
        self._orders_fen += 0 if refund else amount_fen
        self._refunds_fen += amount_fen if refund else 0
        return BillLine(
            kind=kind,
            out_trade_no=row[OUT_TRADE_NO],
            transaction_id=row[TRANSACTION],
            out_refund_no=row[OUT_REFUND_NO] if refund else None,
            refund_id=row[REFUND_ID] if refund else None,
            sub_mchid=row[SUB_MCHID],
            state=row[REFUND_STATE] if refund else row[STATE],
            amount_fen=amount_fen,
            fee_fen=fee_fen,
            occurred_at=_moment(row[TIME]),
        )

    def _check_summary(self, columns: list[str]) -> None:
        values = next(self._lines, None)
        if values is None or not set(columns) >= SUMMARY:
            raise BillRefused("the bill has no end")
        if next(self._lines, None) is not None:
            raise BillRefused("there is something behind the end of the bill")
        row = _row(columns, values)
        said = (row[COUNT], _fen(row[ORDERS_SUM]), _fen(row[REFUNDS_SUM]), _fen(row[FEES_SUM]))
        if said != (str(self._count), self._orders_fen, self._refunds_fen, self._fees_fen):
            raise BillRefused("the lines are not what the bill says of them")


def _row(columns: list[str], line: str) -> Mapping[str, str]:
    """A value may hold commas, such as a description; only one that a backtick follows ends it."""
    values = line.removeprefix("`").split(",`")
    if not line.startswith("`") or len(values) != len(columns):
        raise BillRefused("a line has other columns than the bill")
    return dict(zip(columns, values, strict=True))


def _fen(yuan: str) -> int:
    try:
        fen = Decimal(yuan) * FEN_PER_YUAN
    except InvalidOperation:
        raise BillRefused("an amount is no number") from None
    if not fen.is_finite() or abs(fen) > AMOUNT_MAX_FEN or fen != fen.to_integral_value():
        raise BillRefused("an amount is not in whole fen")
    return int(fen)


def _moment(value: str) -> datetime:
    try:
        local = datetime.strptime(value, TIME_FORMAT)  # noqa: DTZ007 -- the time is Shanghai's, as the next line says.
    except ValueError:
        raise BillRefused("a time is none") from None
    return local.replace(tzinfo=SHANGHAI).astimezone(UTC)
