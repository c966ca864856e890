"""Trade bills of WeChat Pay: fetched whole or not at all, read to the fen, and believed only where they add up."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from domain.orders.ports import ThirdParties
from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.payments.ports import ChannelRefused, Channels, ChannelUnavailable
from gateways.wechat_pay_bills import read_bill
from kernel.clock import SHANGHAI
from kernel.settings import Settings
from sandbox.wechat_pay_bills import HEADER, SUMMARY
from tests.gateways.stand_ins import (
    AMOUNT_FEN,
    Listener,
    Signer,
    channel_on,
    create_paid_order,
    create_refund,
    now,
)
from tests.sandbox_fixtures import Sandbox

MAIN, BACKUP = "1900000209", "1900000210"
NOBODYS_DAY = date(2019, 1, 1)


@pytest.fixture
def channels(parties: ThirdParties) -> Channels:
    return parties.channels


def today() -> date:
    return now().astimezone(SHANGHAI).date()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def fetched(channels: Channels, into: Path, number: int = 0) -> list[BillLine]:
    channel = channels.routes[number]
    await channel.fetch_bill(day=today(), into=into)
    return list(channel.read_bill(into))


class TestOfTheSandbox:
    async def test_payments_and_refunds_of_one_merchant(
        self, channels: Channels, sandbox: Sandbox, listener: Listener, tmp_path: Path
    ) -> None:
        main, backup = channels.routes[:2]
        paid, refunded = await create_paid_order(sandbox, main), await create_paid_order(sandbox, main)
        others = await create_paid_order(sandbox, backup)
        request = create_refund(refunded)
        facts = await main.refund(request)
        await listener.wait_for(4)
        lines = await fetched(channels, tmp_path / "bill.csv")
        by_number = {line.out_refund_no or line.out_trade_no: line for line in lines}
        assert others.out_trade_no not in by_number
        payment, refund = by_number[paid.out_trade_no], by_number[request.out_refund_no]
        trade = await main.query(paid.out_trade_no)
        assert payment == BillLine(
            kind=BillLineKind.PAYMENT,
            out_trade_no=paid.out_trade_no,
            transaction_id=str(trade.transaction_id),
            out_refund_no=None,
            refund_id=None,
            sub_mchid=MAIN,
            state="SUCCESS",
            amount_fen=AMOUNT_FEN,
            fee_fen=300,
            occurred_at=payment.occurred_at,
        )
        assert payment.occurred_at == trade.paid_at
        assert (refund.kind, refund.out_trade_no, refund.refund_id) == (
            BillLineKind.REFUND,
            refunded.out_trade_no,
            facts.refund_id,
        )
        assert (refund.amount_fen, refund.fee_fen, refund.state) == (AMOUNT_FEN, -300, "SUCCESS")
        assert by_number[refunded.out_trade_no].amount_fen == AMOUNT_FEN
        assert left_in(tmp_path) == ["bill.csv"]
        theirs = await fetched(channels, tmp_path / "backup.csv", 1)
        assert others.out_trade_no in {line.out_trade_no for line in theirs}
        assert {line.sub_mchid for line in theirs} == {BACKUP}

    async def test_a_drift_is_of_the_newest_of_one_second(
        self, channels: Channels, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        paid = [await create_paid_order(sandbox, channels.routes[0]) for _ in range(5)]
        sandbox.faults(bill="drift")
        lines = await fetched(channels, tmp_path / "bill.csv")
        amounts = {line.out_trade_no: line.amount_fen for line in lines if line.kind is BillLineKind.PAYMENT}
        assert [amounts[each.out_trade_no] for each in paid] == [AMOUNT_FEN] * 4 + [AMOUNT_FEN + 1]

    async def test_a_day_without_trades(self, channels: Channels, tmp_path: Path) -> None:
        into = tmp_path / "bill.csv"
        await channels.main.fetch_bill(day=NOBODYS_DAY, into=into)
        assert list(channels.main.read_bill(into)) == []

    async def test_one_that_is_not_made_yet(self, channels: Channels, sandbox: Sandbox, tmp_path: Path) -> None:
        await create_paid_order(sandbox, channels.main)
        sandbox.faults(bill="not_ready", times=1)
        with pytest.raises(BillNotReady):
            await channels.main.fetch_bill(day=today(), into=tmp_path / "bill.csv")
        assert left_in(tmp_path) == []
        with pytest.raises(ChannelRefused, match="INVALID_REQUEST"):
            await channels.main.fetch_bill(day=today() + timedelta(days=2), into=tmp_path / "bill.csv")

    @pytest.mark.parametrize("fault", ["altered", "error_500"])
    async def test_a_failed_download_leaves_nothing(
        self, channels: Channels, sandbox: Sandbox, tmp_path: Path, fault: str
    ) -> None:
        await create_paid_order(sandbox, channels.main)
        sandbox.faults(bill=fault)
        with pytest.raises((BillRefused, ChannelUnavailable)):
            await channels.main.fetch_bill(day=today(), into=tmp_path / "bill.csv")
        assert left_in(tmp_path) == []

    @pytest.mark.parametrize("fault", ["cut_off", "sums"])
    async def test_one_that_contradicts_itself_is_not_read_to_its_end(
        self, channels: Channels, sandbox: Sandbox, tmp_path: Path, fault: str
    ) -> None:
        await create_paid_order(sandbox, channels.main)
        sandbox.faults(bill=fault)
        with pytest.raises(BillRefused):
            await fetched(channels, tmp_path / "bill.csv")

    async def test_what_is_false_and_adds_up_is_for_the_reconciliation(
        self, channels: Channels, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        await create_paid_order(sandbox, channels.main)
        true = await fetched(channels, tmp_path / "bill.csv")
        for fault, count in (("omit", len(true) - 1), ("extra", len(true) + 1), ("drift", len(true))):
            sandbox.faults(bill=fault)
            lines = await fetched(channels, tmp_path / f"{fault}.csv")
            assert len(lines) == count
            assert lines != true

    async def test_the_sandbox_hands_a_file_only_to_its_merchant(self, sandbox: Sandbox) -> None:
        assert sandbox.client.get("/v3/billdownload/file?token=x").status_code == 401


async def fetch_served(settings: Settings, platform: Signer, packed: bytes, plain: bytes, into: Path) -> None:
    """Fetch a bill whose digest is signed by the platform, from an address that names another host."""
    answer = json.dumps(
        {
            "hash_type": "SHA1",
            "hash_value": hashlib.sha1(plain).hexdigest(),  # noqa: S324 -- the protocol's digest.
            "download_url": "https://elsewhere.example/v3/billdownload/file?token=t",
        }
    ).encode()

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "pay.example"
        assert "Authorization" in request.headers
        if request.url.path == "/v3/bill/tradebill":
            return httpx.Response(200, content=answer, headers=platform.pay_headers(answer))
        assert request.url.params["token"] == "t"
        return httpx.Response(200, stream=httpx.ByteStream(packed))

    base = settings.model_copy(update={"sandbox_port": 1, "bill_size_max_bytes": 1_000_000})
    async with channel_on(base, httpx.MockTransport(handler), url="http://pay.example") as channel:
        await channel.fetch_bill(day=NOBODYS_DAY, into=into)


class TestDownload:
    async def test_it_is_asked_for_where_everything_is(
        self, settings: Settings, platform: Signer, tmp_path: Path
    ) -> None:
        plain = b"whatever it says"
        await fetch_served(settings, platform, gzip.compress(plain), plain, tmp_path / "bill")
        assert (tmp_path / "bill").read_bytes() == plain

    async def test_a_bomb_is_not_unpacked(self, settings: Settings, platform: Signer, tmp_path: Path) -> None:
        plain = b"\0" * 20_000_000
        with pytest.raises(BillRefused, match="too large"):
            await fetch_served(settings, platform, gzip.compress(plain), plain, tmp_path / "bill")
        assert left_in(tmp_path) == []

    @pytest.mark.parametrize(
        ("damage", "why"),
        [
            (lambda packed: packed[:-9], "cut off"),
            (lambda packed: b"PK" + packed, "not a gzip"),
            (lambda packed: packed + b"more", "behind"),
            (lambda packed: b"", "cut off"),
            (lambda packed: gzip.compress(b"another"), "signed for"),
        ],
    )
    async def test_damage(
        self, settings: Settings, platform: Signer, tmp_path: Path, damage: Callable[[bytes], bytes], why: str
    ) -> None:
        plain = b"whatever it says, at some length " * 100
        with pytest.raises(BillRefused, match=why):
            await fetch_served(settings, platform, damage(gzip.compress(plain)), plain, tmp_path / "bill")
        assert left_in(tmp_path) == []

    async def test_an_earlier_bill_stays_where_a_new_one_fails(
        self, settings: Settings, platform: Signer, tmp_path: Path
    ) -> None:
        (tmp_path / "bill").write_bytes(b"before")
        with pytest.raises(BillRefused):
            await fetch_served(settings, platform, b"", b"", tmp_path / "bill")
        assert (tmp_path / "bill").read_bytes() == b"before"


def line(**changes: str) -> str:
    values = dict.fromkeys(HEADER.split(","), "") | {
        "交易时间": "2026-05-01 00:00:05",
        "特约商户号": MAIN,
        "微信订单号": "4200001",
        "商户订单号": "order-1",
        "交易状态": "SUCCESS",
        "货币种类": "CNY",
        "订单金额": "500.00",
        "申请退款金额": "0.00",
        "手续费": "3.00",
        "商品名称": "油卡,充值",
    }
    return ",".join(f"`{value}" for value in {**values, **changes}.values())


def bill(*lines: str, summary: str = "`1,`500.00,`0.00,`0.00,`3.00,`500.00,`0.00") -> str:
    return "\r\n".join(["\ufeff" + HEADER, *lines, SUMMARY, summary, ""])


def read(path: Path, text: str | bytes) -> list[BillLine]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_bill(path, sub_mchids=frozenset({MAIN})))


class TestReading:
    def test_a_line(self, tmp_path: Path) -> None:
        (found,) = read(tmp_path / "b", bill(line()))
        assert (found.amount_fen, found.fee_fen) == (50_000, 300)
        assert found.occurred_at == datetime(2026, 4, 30, 16, 0, 5, tzinfo=UTC)

    def test_a_refund_gives_its_fee_back(self, tmp_path: Path) -> None:
        refund = {"交易状态": "REFUND", "订单金额": "0.00", "申请退款金额": "1.01", "手续费": "-0.01000"}
        numbers = {"商户退款单号": "R1", "微信退款单号": "503", "退款状态": "PROCESSING"}
        summary = "`1,`0.00,`1.01,`0.00,`-0.01,`0.00,`1.01"
        (found,) = read(tmp_path / "b", bill(line(**refund, **numbers), summary=summary))
        assert (found.kind, found.amount_fen, found.fee_fen, found.state) == (
            BillLineKind.REFUND,
            101,
            -1,
            "PROCESSING",
        )
        assert (found.out_refund_no, found.refund_id) == ("R1", "503")

    @pytest.mark.parametrize(
        "changes",
        [
            {"订单金额": "500.001"},
            {"订单金额": "NaN"},
            {"订单金额": "1e400"},
            {"订单金额": "-1.00"},
            {"订单金额": ""},
            {"交易状态": "REVOKED"},
            {"交易时间": "yesterday"},
            {"特约商户号": BACKUP},
            {"货币种类": "USD"},
            {"商户订单号": ""},
            {"商品名称": "油`,`卡"},
        ],
    )
    def test_a_line_that_cannot_be(self, tmp_path: Path, changes: dict[str, str]) -> None:
        with pytest.raises(BillRefused):
            read(tmp_path / "b", bill(line(**changes)))

    @pytest.mark.parametrize(
        "text",
        [
            b"\xff\xfe",
            b"x" * 20_000,
            "交易时间,商户号\r\n",
            HEADER,
            bill(line(), line()),
            bill(line()) + line(),
            bill(line(), summary=""),
            bill(line(), summary="`1"),
            bill(line(), summary="`1,`500.00,`0.00,`0.00,`3.00,`500.01,`0.00"),
        ],
    )
    def test_a_bill_that_cannot_be(self, tmp_path: Path, text: str | bytes) -> None:
        with pytest.raises(BillRefused):
            read(tmp_path / "b", text)

    def test_a_large_one_takes_no_memory(self, tmp_path: Path) -> None:
        """The reader holds one line at a time, however many there are."""
        count = 20_000
        with (tmp_path / "b").open("w", encoding="utf-8") as file:
            file.write(bill(summary="").removesuffix("\r\n\r\n").removesuffix(SUMMARY))
            file.writelines(f"{line()}\r\n" for _ in range(count))
            file.write(f"{SUMMARY}\r\n`{count},`0.00,`0.00,`0.00,`{count * 3}.00,`{count * 500}.00,`0.00\r\n")
        tracemalloc.start()
        found = sum(each.amount_fen for each in read_bill(tmp_path / "b", sub_mchids=frozenset({MAIN})))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found == count * 50_000
        assert peak < 2_000_000
