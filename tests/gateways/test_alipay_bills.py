"""Alipay's trade bill: fetched whole and checked, or not at all."""

from __future__ import annotations

import io
import zipfile
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from domain.orders.ports import ThirdParties
from domain.payments.bills import BillLineKind, BillNotReady, BillRefused
from domain.payments.ports import ChannelUnavailable
from gateways.alipay import Alipay
from kernel.clock import business_day
from kernel.settings import SANDBOX_ALIPAY_SELLER_ID, Settings
from kernel.states import PaymentMethod
from tests.gateways.alipay_stand_ins import Hand, alipay_on, create_paid_trade
from tests.gateways.stand_ins import create_refund, now, read_private_key
from tests.sandbox_fixtures import Sandbox

DAY = date(2026, 1, 5)
HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,完成时间,订单金额（元）,商家实收（元）,"
    "退款批次号/请求号,服务费（元）,备注"
)
HEAD = f"#支付宝业务明细查询\n#账号：[{SANDBOX_ALIPAY_SELLER_ID}0156]\n#起始日期：[2026年01月05日 00:00:00]\n"
PAID = "2026A\t,order-1\t,交易\t,油卡\t,2026-01-05 10:00:00\t,500.00,500.00,,-3.00,\n"
BACK = "2026A\t,order-1\t,退款\t,油卡\t,2026-01-05 11:00:00\t,-500.00,-500.00,R1,3.00,\n"
SUMS = "#交易合计：1笔，商家实收共500.00元，商家优惠共0.00元\n#退款合计：1笔，商家实收退款共-500.00元，商家优惠\n"
GOOD = f"{HEAD}{HEADER}\n{PAID}{BACK}#---业务明细列表结束---\n{SUMS}"


@pytest.fixture
def channel(parties: ThirdParties) -> Alipay:
    (found,) = parties.channels.by([PaymentMethod.ALIPAY])
    assert isinstance(found, Alipay)
    return found


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def zipped(table: str, name: str = "业务明细.csv", encoding: str = "gbk") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, table.encode(encoding))
        archive.writestr("业务明细(汇总).csv", "")
    return packed.getvalue()


def serving(sandbox: Sandbox, settings: Settings, bill: bytes, url: str | None = None) -> httpx.AsyncBaseTransport:
    """Return a connection on which Alipay names an address, and a bill lies there."""
    hand = Hand(read_private_key(sandbox.keys / "own_alipay_key.pem"))
    node = f'{{"code":"10000","bill_download_url":"{url or settings.sandbox_url + "/bill?token=t"}"}}'
    name = "alipay_data_dataservice_bill_downloadurl_query_response"
    answer = f'{{"{name}":{node},"sign":"{hand.sign(node.encode())}"}}'

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(bill if request.method == "GET" else answer.encode()))

    return httpx.MockTransport(handler)


async def test_what_was_paid_and_paid_back_is_in_it(channel: Alipay, sandbox: Sandbox, tmp_path: Path) -> None:
    paid = await create_paid_trade(sandbox, channel)
    request = create_refund(paid)
    await channel.refund(request)
    into = tmp_path / "bill"
    await channel.fetch_bill(day=business_day(now()), into=into)
    mine = [line for line in channel.read_bill(into) if line.out_trade_no == paid.out_trade_no]
    assert [(line.kind, line.amount_fen, line.fee_fen, line.out_refund_no) for line in mine] == [
        (BillLineKind.PAYMENT, 50_000, 300, None),
        (BillLineKind.REFUND, 50_000, -300, request.out_refund_no),
    ]
    assert {line.sub_mchid for line in mine} == {SANDBOX_ALIPAY_SELLER_ID}
    assert all(abs(line.occurred_at - now()) < timedelta(minutes=1) for line in mine)
    assert left_in(tmp_path) == ["bill"]


@pytest.mark.parametrize(("fault", "error"), [("cut", BillRefused), ("unready", BillNotReady), ("error_500", None)])
async def test_what_is_not_whole_leaves_nothing(
    channel: Alipay, sandbox: Sandbox, tmp_path: Path, fault: str, error: type[Exception] | None
) -> None:
    sandbox.faults(alipay_bill=fault)
    with pytest.raises(error or ChannelUnavailable):
        await channel.fetch_bill(day=business_day(now()), into=tmp_path / "bill")
    assert left_in(tmp_path) == []


async def test_omissions_extras_and_drift_are_there_to_be_found(
    channel: Alipay, sandbox: Sandbox, tmp_path: Path
) -> None:
    await create_paid_trade(sandbox, channel)
    found = {}
    for fault in ("ok", "omit", "extra", "drift"):
        sandbox.faults(alipay_bill=fault)
        await channel.fetch_bill(day=business_day(now()), into=tmp_path / fault)
        lines = list(channel.read_bill(tmp_path / fault))
        found[fault] = (len(lines), sum(line.amount_fen for line in lines))
    count, total = found["ok"]
    assert (found["omit"][0], found["extra"][0]) == (count - 1, count + 1)
    assert found["drift"] == (count, total + 1)


async def test_a_good_bill_is_read(settings: Settings, sandbox: Sandbox, tmp_path: Path) -> None:
    async with alipay_on(settings, serving(sandbox, settings, zipped(GOOD))) as channel:
        await channel.fetch_bill(day=DAY, into=tmp_path / "bill")
        assert [line.fee_fen for line in channel.read_bill(tmp_path / "bill")] == [300, -300]


@pytest.mark.parametrize(
    "table",
    [
        "",
        GOOD.replace("2088000100000001", "2088000100000009"),
        GOOD.replace("01月05日", "01月06日"),
        GOOD.replace("服务费（元）", "费"),
        GOOD.replace(PAID, ""),
        GOOD.replace(PAID, PAID * 2),
        GOOD.replace(",500.00,500.00", ",500.00,500.01"),
        GOOD.replace("500.00,500.00,,-3.00", "500.00,500.00,,NaN"),
        GOOD.replace("500.00,500.00,,", "0.00,500.00,,"),
        GOOD.replace("交易\t", "转账\t"),
        GOOD.replace("2026-01-05 10:00:00", "yesterday"),
        GOOD.replace("R1", ""),
        GOOD.replace("order-1\t,交易", "\t,交易"),
        GOOD.replace(SUMS, ""),
        GOOD.replace(PAID, PAID.replace(",\n", "\n")),
        GOOD.replace("油卡", "油" * 20_000),
    ],
)
async def test_a_bill_that_cannot_be_is_refused(
    settings: Settings, sandbox: Sandbox, tmp_path: Path, table: str
) -> None:
    async with alipay_on(settings, serving(sandbox, settings, zipped(table))) as channel:
        with pytest.raises(BillRefused):
            await channel.fetch_bill(day=DAY, into=tmp_path / "bill")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("bill", "url"),
    [
        (zipped(GOOD), "https://elsewhere.example/bill"),
        (zipped(GOOD), "http://dwbillcenter.alipay.com@elsewhere.example/bill"),
        (zipped(GOOD), "file:///etc/passwd"),
        (zipped(GOOD), "http://[broken"),
        (zipped(GOOD)[:-40], None),
        (b"no zip", None),
        (zipped(GOOD, name="others.csv"), None),
        (zipped(GOOD, encoding="utf-8"), None),
    ],
)
async def test_a_file_from_elsewhere_or_of_another_kind_is_refused(
    settings: Settings, sandbox: Sandbox, tmp_path: Path, bill: bytes, url: str | None
) -> None:
    async with alipay_on(settings, serving(sandbox, settings, bill, url)) as channel:
        with pytest.raises(BillRefused):
            await channel.fetch_bill(day=DAY, into=tmp_path / "bill")
    assert left_in(tmp_path) == []


async def test_what_is_too_large_is_refused_packed_and_unpacked(
    settings: Settings, sandbox: Sandbox, tmp_path: Path
) -> None:
    bomb = zipped(GOOD + "#" * 1_000_000)
    for limit in (100, 10_000):
        small = settings.model_copy(update={"alipay_bill_size_max_bytes": limit})
        async with alipay_on(small, serving(sandbox, settings, bomb)) as channel:
            with pytest.raises(BillRefused, match="too large"):
                await channel.fetch_bill(day=DAY, into=tmp_path / "bill")
    assert left_in(tmp_path) == []
