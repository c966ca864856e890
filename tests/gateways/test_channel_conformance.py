"""What every payment channel promises the payments room: WeChat Pay, Alipay, and the one that simulations pay by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from domain.orders.ports import ThirdParties
from domain.payments.ports import (
    ChannelRefundState,
    ChannelRefused,
    NoticeRefused,
    PaymentChannel,
    TradeState,
)
from kernel.ids import new_id, numbered
from kernel.states import PaymentMethod
from tests.gateways.alipay_stand_ins import PAYER
from tests.gateways.stand_ins import create_prepay, create_refund, now
from tests.sandbox_fixtures import Sandbox
from tests.simulation.channels import ChannelRefund, SimulatedChannel
from tests.simulation.fate import PlannedFate
from tests.simulation.network import Network

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


@dataclass
class Subject:
    """A channel, who pays there, and how they do."""

    channel: PaymentChannel
    payer: str
    pay: Callable[[str], Any]

    def request(self, **changes: Any) -> Any:
        return create_prepay(openid=self.payer, **changes)

    async def paid(self) -> Any:
        request = self.request()
        self.pay(await self.channel.prepay(request))
        return request

    async def refund_of(self, request: Any) -> Any:
        return await self.channel.query_refund(request.out_refund_no, out_trade_no=request.out_trade_no)


class AtOnce(Network):
    """A way on which nothing takes any time or is lost."""

    def __init__(self) -> None:
        self.fate, self.down = PlannedFate(), set()

    async def ask(self, party: str, operation: str, effect: Callable[[], Any], *, lost: Any) -> Any:
        return effect()


def settle(channel: SimulatedChannel, refund: ChannelRefund) -> None:
    channel.settle_refund(refund, ChannelRefundState.SUCCESS)


@pytest.fixture(params=["wechat_pay", "wechat_pay backup", "alipay", "simulated"])
async def subject(request: pytest.FixtureRequest, parties: ThirdParties, sandbox: Sandbox) -> Subject:
    main, backup = parties.channels.by([PaymentMethod.WECHAT_PAY])
    (alipay,) = parties.channels.by([PaymentMethod.ALIPAY])
    simulated = SimulatedChannel(
        "1900000209",
        AtOnce(),
        on_refund=settle,
    )
    return {
        "wechat_pay": Subject(main, OPENID, sandbox.pay),
        "wechat_pay backup": Subject(backup, OPENID, sandbox.pay),
        "alipay": Subject(alipay, PAYER, sandbox.pay_alipay),
        "simulated": Subject(simulated, OPENID, lambda prepay_id: simulated.pay(prepay_id, now=now())),
    }[request.param]


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if await found():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


async def test_what_nobody_has_made_is_not_found(subject: Subject) -> None:
    number = numbered(new_id(), 1)
    facts = await subject.channel.query(number)
    assert (facts.out_trade_no, facts.state, facts.transaction_id) == (number, TradeState.NOT_FOUND, None)
    refund = await subject.channel.query_refund(f"R{number}", out_trade_no=number)
    assert (refund.out_refund_no, refund.state) == (f"R{number}", ChannelRefundState.NOT_FOUND)


async def test_an_order_is_made_once_under_its_number(subject: Subject) -> None:
    request = subject.request()
    first = await subject.channel.prepay(request)
    assert await subject.channel.prepay(request) == first
    with pytest.raises(ChannelRefused):
        await subject.channel.prepay(subject.request(out_trade_no=request.out_trade_no, amount_fen=1))
    assert (await subject.channel.query(request.out_trade_no)).state is TradeState.UNPAID
    await subject.channel.payment_parameters(prepay_id=first, now=now())


async def test_what_is_paid_is_told_in_full(subject: Subject) -> None:
    paid = await subject.paid()
    facts = await subject.channel.query(paid.out_trade_no)
    assert (facts.state, facts.amount_fen) == (TradeState.SUCCESS, paid.amount_fen)
    assert facts.transaction_id
    assert facts.paid_at is not None
    channel = subject.channel
    assert (facts.app_id, facts.mchid, facts.sub_mchid) == (channel.app_id, channel.mchid, channel.sub_mchid)
    with pytest.raises(ChannelRefused):
        await channel.prepay(paid)


async def test_closing_closes_what_is_unpaid_and_nothing_else(subject: Subject) -> None:
    request, channel = subject.request(), subject.channel
    await channel.close(request.out_trade_no)
    await channel.prepay(request)
    for _ in range(2):
        await channel.close(request.out_trade_no)
    assert (await channel.query(request.out_trade_no)).state is TradeState.CLOSED
    with pytest.raises(ChannelRefused):
        await channel.prepay(request)
    paid = await subject.paid()
    with pytest.raises(ChannelRefused):
        await channel.close(paid.out_trade_no)
    assert (await channel.query(paid.out_trade_no)).state is TradeState.SUCCESS


async def test_a_refund_is_made_once_under_its_number(subject: Subject) -> None:
    paid, channel = await subject.paid(), subject.channel
    request = create_refund(paid)
    for _ in range(2):
        facts = await channel.refund(request)
        assert (facts.out_trade_no, facts.out_refund_no) == (paid.out_trade_no, request.out_refund_no)
        assert facts.amount_fen == paid.amount_fen

    async def is_done() -> bool:
        return (await subject.refund_of(request)).state is ChannelRefundState.SUCCESS

    await until(is_done)
    assert (await channel.query(paid.out_trade_no)).state is TradeState.REFUNDED
    with pytest.raises(ChannelRefused):
        await channel.refund(create_refund(paid))
    with pytest.raises(ChannelRefused):
        await channel.refund(create_refund(paid, out_refund_no=request.out_refund_no, amount_fen=1))
    with pytest.raises(ChannelRefused):
        await channel.close(paid.out_trade_no)


async def test_what_is_not_paid_is_not_paid_back(subject: Subject) -> None:
    request = subject.request()
    await subject.channel.prepay(request)
    refund = create_refund(request)
    with pytest.raises(ChannelRefused):
        await subject.channel.refund(refund)
    assert (await subject.refund_of(refund)).state is ChannelRefundState.NOT_FOUND


@pytest.mark.parametrize("body", [b"", b"{}", b"a=1&b=2", b"\xff"])
async def test_what_is_no_notice_is_refused(subject: Subject, body: bytes) -> None:
    with pytest.raises(NoticeRefused):
        await subject.channel.open_notice(headers={}, body=body, now=now())
