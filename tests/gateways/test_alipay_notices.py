"""Alipay's notices: a true one is read, and anything else is refused before anything of it is used."""

from __future__ import annotations

import pytest

from domain.orders.ports import ThirdParties
from domain.payments.ports import ChannelRefundState, NoticeRefused, TradeState
from gateways.alipay import Alipay
from kernel.states import PaymentMethod
from tests.gateways.alipay_stand_ins import Hand, create_paid_trade, old
from tests.gateways.stand_ins import Listener, Signer, create_refund, now, read_private_key
from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def channel(parties: ThirdParties) -> Alipay:
    (found,) = parties.channels.by([PaymentMethod.ALIPAY])
    assert isinstance(found, Alipay)
    return found


@pytest.fixture
def hand(sandbox: Sandbox) -> Hand:
    return Hand(read_private_key(sandbox.keys / "own_alipay_key.pem"))


async def opened(channel: Alipay, body: bytes) -> object:
    return await channel.open_notice(headers={}, body=body, now=now())


async def test_a_payment_and_its_refund_are_told(channel: Alipay, sandbox: Sandbox, listener: Listener) -> None:
    paid = await create_paid_trade(sandbox, channel)
    told = await channel.open_notice(headers={}, body=(await listener.one()).body, now=now())
    assert told.trade is not None
    assert told.refund is None
    assert (told.trade.out_trade_no, told.trade.state) == (paid.out_trade_no, TradeState.SUCCESS)
    assert (told.trade.amount_fen, told.trade.sub_mchid) == (paid.amount_fen, channel.sub_mchid)
    request = create_refund(paid)
    await channel.refund(request)
    bodies = [each.body for each in await listener.wait_for(2)]
    notices = [await channel.open_notice(headers={}, body=body, now=now()) for body in bodies]
    (refund,) = [each.refund for each in notices if each.refund][:1]
    assert (refund.out_refund_no, refund.state) == (request.out_refund_no, ChannelRefundState.SUCCESS)
    assert (refund.out_trade_no, refund.amount_fen) == (paid.out_trade_no, paid.amount_fen)


async def test_a_notice_in_another_hand_is_read(channel: Alipay, hand: Hand) -> None:
    form = hand.form()
    notice = await channel.open_notice(headers={}, body=hand.notice(form), now=now())
    assert notice.notice_id == form["notify_id"]
    assert notice.trade is not None
    assert notice.trade.amount_fen == 50_000


@pytest.mark.parametrize(("sign_type", "said"), [("RSA", "RSA"), ("RSA", "RSA2"), ("RSA2", "RSA"), ("RSA2", "MD5")])
async def test_only_rsa2_is_accepted(channel: Alipay, hand: Hand, sign_type: str, said: str) -> None:
    with pytest.raises(NoticeRefused):
        await opened(channel, hand.notice(hand.form(), sign_type=sign_type, said=said))


async def test_a_notice_that_names_no_algorithm_is_refused(channel: Alipay, hand: Hand) -> None:
    with pytest.raises(NoticeRefused, match="RSA2"):
        await opened(channel, hand.notice(hand.form(), said=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": "2021000199999999"},
        {"seller_id": "2088999999999999"},
        {"app_id": ""},
        {"seller_id": ""},
        {"total_amount": "500.001"},
        {"total_amount": "5e2"},
        {"total_amount": ""},
        {"trade_status": "PAID"},
        {"notify_id": ""},
        {"notify_id": "n" * 65},
        {"notify_time": old(days=2)},
        {"notify_time": old(days=-1)},
        {"notify_time": "yesterday"},
        {"out_trade_no": ""},
        {"refund_fee": "500.00", "gmt_refund": "2026-01-01 00:00:00"},
        {"refund_fee": "-1", "out_biz_no": "R1", "gmt_refund": "2026-01-01 00:00:00"},
    ],
)
async def test_what_is_signed_and_not_ours_is_refused(channel: Alipay, hand: Hand, changes: dict[str, str]) -> None:
    with pytest.raises(NoticeRefused):
        await opened(channel, hand.notice(hand.form(**changes)))


async def test_a_notice_of_yesterday_is_one_that_is_repeated(channel: Alipay, hand: Hand) -> None:
    """The platform repeats a notice for 25 hours."""
    assert await opened(channel, hand.notice(hand.form(notify_time=old(days=1.04))))


async def test_what_is_altered_or_forged_is_refused(channel: Alipay, hand: Hand, issuing: Signer) -> None:
    good = hand.notice(hand.form())
    stranger = Hand(issuing.key)
    for body in (
        good.replace(b"500.00", b"500.01"),
        good + b"&total_amount=1.00",
        good + b"&extra=1",
        good.replace(b"sign=", b"sign=A"),
        b"",
        b"{}",
        good + "&名=值".encode(),
        stranger.notice(stranger.form()),
    ):
        with pytest.raises(NoticeRefused):
            await opened(channel, body)


@pytest.mark.parametrize("fault", ["forged", "altered", "sha1"])
async def test_what_the_sandbox_spoils_is_refused(
    channel: Alipay, sandbox: Sandbox, listener: Listener, fault: str
) -> None:
    sandbox.faults(alipay_notice=fault)
    await create_paid_trade(sandbox, channel)
    with pytest.raises(NoticeRefused):
        await opened(channel, (await listener.one()).body)
