"""Every fault of a payment channel through a whole order: what the user is told, how it ends, and the books."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kernel.states import ErrorKind
from models.ledger import LedgerEntry
from models.payments import PaymentAttempt, Refund, ThirdPartyNotice
from models.reviews import ErrorEntry
from tests.sandbox.whole import (
    CANCELLED,
    NOT_REFUNDED,
    PAYING,
    REFUNDED,
    REFUNDING,
    SUCCEEDED,
    UNAVAILABLE,
    View,
    Whole,
    open_whole,
)
from tests.sandbox_fixtures import Sandbox

# Those that no order can be paid under, by the subject.
CLOSED_DOORS = [
    ("payment", "timeout"),
    ("payment", "prepay_error_500"),
    ("payment", "error_500"),
    ("alipay", "timeout"),
    ("alipay", "prepay_error_500"),
    ("alipay", "error_500"),
    ("alipay", "unsigned"),
    ("alipay", "sha1"),
    ("alipay", "altered"),
]
UNTOLD = [("payment", "no_callback"), ("alipay_notice", "none")]
BLIND = [("payment", "query_error_500"), ("alipay", "query_error_500")]
CLOSING = [
    ("payment", "close_timeout"),
    ("payment", "close_lost"),
    ("alipay", "close_timeout"),
    ("alipay", "close_lost"),
]
FALSE_NOTICES = [("alipay_notice", "forged"), ("alipay_notice", "altered"), ("alipay_notice", "sha1")]
SLOW_REFUNDS = [
    ("refund", "timeout"),
    ("refund", "error_500"),
    ("alipay_refund", "timeout"),
    ("alipay_refund", "error_500"),
]
PENDING_REFUNDS = [("refund", "processing"), ("alipay_refund", "pending")]
LOST_REFUNDS = [("refund", "abnormal"), ("refund", "closed")]
TOLD_TWICE = [("callbacks", "hold"), ("callbacks", "twice")]
CERTIFICATES = [
    ("certificates", "timeout"),
    ("certificates", "error_500"),
    ("certificates", "forged"),
    ("certificates", "wrong_key"),
]


@pytest.fixture
async def whole(sqlite_url: str, sandbox: Sandbox) -> AsyncIterator[Whole]:
    async with open_whole(sandbox, sqlite_url) as whole:
        yield whole


def is_alipay(subject: str) -> bool:
    return subject.startswith("alipay")


async def paid_attempts() -> int:
    return await PaymentAttempt.filter(state="PAID").count()


@pytest.mark.parametrize(("subject", "mode"), CLOSED_DOORS)
async def test_a_door_that_is_closed_is_said_to_be_and_opens_again(whole: Whole, subject: str, mode: str) -> None:
    alipay = is_alipay(subject)
    await whole.ordered()
    whole.sandbox.faults(**{subject: mode})
    assert await whole.start(alipay=alipay) == UNAVAILABLE
    state, refund, failure = await whole.view()
    assert (state in {"PENDING_PAYMENT", "PAYING"}, refund, failure) == (True, "NONE", None)
    assert await LedgerEntry.all().count() == 0
    whole.sandbox.clear_faults()
    await whole.started(alipay=alipay)
    whole.pay()
    await whole.until(SUCCEEDED)
    assert await paid_attempts() == 1
    assert not await Refund.exists()


@pytest.mark.parametrize(("subject", "mode"), UNTOLD)
async def test_what_nobody_tells_of_is_asked_for(whole: Whole, subject: str, mode: str) -> None:
    whole.sandbox.faults(**{subject: mode})
    await whole.paid(alipay=is_alipay(subject))
    assert await whole.view() == PAYING
    await whole.until(SUCCEEDED)
    assert not await ThirdPartyNotice.filter(source__in=["wechat_pay", "alipay"]).exists()


@pytest.mark.parametrize(("subject", "mode"), BLIND)
async def test_what_cannot_be_asked_is_neither_paid_nor_failed(whole: Whole, subject: str, mode: str) -> None:
    whole.sandbox.faults(**{subject: mode})
    await whole.paid(alipay=is_alipay(subject))
    await whole.stays(PAYING, deaf=True)
    assert await whole.cancel() == "PAYMENT_STATE_UNKNOWN"
    assert await whole.view() == PAYING
    assert await LedgerEntry.all().count() == 0
    whole.sandbox.clear_faults()
    await whole.until(SUCCEEDED, deaf=True)


@pytest.mark.parametrize(("subject", "mode"), CLOSING)
async def test_a_close_that_is_not_answered_cancels_nothing_yet(whole: Whole, subject: str, mode: str) -> None:
    await whole.ordered()
    await whole.started(alipay=is_alipay(subject))
    whole.sandbox.faults(**{subject: mode})
    assert await whole.cancel() == "PAYMENT_STATE_UNKNOWN"
    assert await whole.view() == PAYING
    whole.sandbox.clear_faults()
    assert await whole.cancel() == "CancelRechargeSuccess"
    await whole.stays(CANCELLED)
    assert await LedgerEntry.all().count() == 0
    assert not await Refund.exists()


@pytest.mark.parametrize("subject", ["payment", "alipay"])
async def test_what_a_lost_close_left_open_can_be_paid_and_counts(whole: Whole, subject: str) -> None:
    await whole.ordered()
    await whole.started(alipay=is_alipay(subject))
    whole.sandbox.faults(**{subject: "close_lost"})
    assert await whole.cancel() == "PAYMENT_STATE_UNKNOWN"
    whole.pay()
    whole.sandbox.clear_faults()
    assert await whole.cancel() == "ORDER_NOT_CANCELLABLE"
    await whole.until(SUCCEEDED)
    assert not await Refund.exists()


@pytest.mark.parametrize(("subject", "mode"), FALSE_NOTICES)
async def test_a_notice_by_another_hand_moves_nothing(whole: Whole, subject: str, mode: str) -> None:
    whole.sandbox.faults(**{subject: mode})
    await whole.paid(alipay=True)
    await whole.listener.one()
    await whole.hand_on()
    assert whole.statuses == [401]
    assert await whole.view() == PAYING
    assert not await ThirdPartyNotice.exists()
    assert await LedgerEntry.all().count() == 0
    await whole.until(SUCCEEDED)
    assert await paid_attempts() == 1


async def test_no_false_callback_of_wechat_pay_moves_an_order(whole: Whole) -> None:
    await whole.paid()
    await whole.listener.one()
    number = (await PaymentAttempt.get()).out_trade_no
    await whole.sandbox.wait_until(lambda: whole.sandbox.callbacks(number)[0]["delivered_at"])
    whole.lose()
    tricks = ("forged", "unknown_serial", "altered", "stale", "future", "probe")
    for how in tricks:
        whole.sandbox.control("send-callback", subject=number, how=how)
    await whole.hand_on()
    assert whole.statuses == [401] * len(tricks)
    assert await whole.view() == PAYING
    assert not await ThirdPartyNotice.exists()
    assert await LedgerEntry.all().count() == 0
    for how in ("replayed", "nonce_reused"):
        whole.sandbox.control("send-callback", subject=number, how=how)
    await whole.hand_on()
    # The first of these is the true one, which had not arrived before.
    assert whole.statuses[len(tricks) :] == [204, 401]
    assert await ThirdPartyNotice.all().count() == 1
    await whole.until(SUCCEEDED)
    assert await paid_attempts() == 1


@pytest.mark.parametrize(("subject", "mode"), SLOW_REFUNDS)
async def test_a_refund_without_an_answer_is_on_its_way_and_goes_once(whole: Whole, subject: str, mode: str) -> None:
    whole.sandbox.faults(issuer="refuse_at_once", **{subject: mode})
    await whole.paid(alipay=is_alipay(subject))
    await whole.until(REFUNDING, deaf=True)
    await whole.turn(deaf=True)
    assert await whole.view() == REFUNDING
    whole.sandbox.clear_faults()
    await whole.until(REFUNDED)
    refund = await Refund.get()
    assert (refund.amount_fen, await refunded_by(whole, subject)) == (50_000, 1)


@pytest.mark.parametrize(("subject", "mode"), PENDING_REFUNDS)
async def test_a_refund_that_takes_long_is_on_its_way_until_it_is_there(whole: Whole, subject: str, mode: str) -> None:
    whole.sandbox.faults(issuer="refuse_at_once", **{subject: mode})
    await whole.paid(alipay=is_alipay(subject))
    await whole.until(REFUNDING)
    while not await refunded_by(whole, subject):
        await whole.turn()
    await whole.stays(REFUNDING)
    refund = await Refund.get()
    if subject == "refund":
        whole.sandbox.settle_refund(refund.out_refund_no, "SUCCESS")
    else:
        attempt = await PaymentAttempt.get()
        whole.sandbox.clear_faults()
        whole.sandbox.control("settle-alipay", out_trade_no=attempt.out_trade_no, out_request_no=refund.out_refund_no)
    await whole.until(REFUNDED)
    assert await refunded_by(whole, subject) == 1


@pytest.mark.parametrize(("subject", "mode"), LOST_REFUNDS)
async def test_a_refund_that_does_not_arrive_is_not_said_to_have(whole: Whole, subject: str, mode: str) -> None:
    whole.sandbox.faults(issuer="refuse_at_once", **{subject: mode})
    await whole.paid()
    await whole.until(NOT_REFUNDED)
    await whole.stays(NOT_REFUNDED)
    kinds = {entry.kind for entry in await ErrorEntry.all()}
    assert ErrorKind.RECHARGE_REFUSED in kinds
    assert len(kinds) > 1, "a person is told of the refund"


@pytest.mark.parametrize(("subject", "mode"), TOLD_TWICE)
@pytest.mark.parametrize(("alipay", "issuer", "end"), [(False, "ok", SUCCEEDED), (True, "refuse", REFUNDED)])
async def test_late_and_repeated_words_change_nothing(
    whole: Whole, subject: str, mode: str, alipay: bool, issuer: str, end: View
) -> None:
    whole.sandbox.faults(issuer=issuer, **{subject: mode})
    await whole.paid(alipay=alipay)
    await whole.until(end)
    version = (await whole.row()).version
    whole.sandbox.clear_faults()
    told = {each["subject"] for each in whole.sandbox.state()["callbacks"]}
    numbers = {(await PaymentAttempt.get()).out_trade_no} & told
    for number in numbers:
        whole.sandbox.repeat_callbacks(number)
    await whole.stays(end, turns=8)
    assert numbers
    assert set(whole.statuses) <= {200, 204}
    assert (await whole.row()).version == version


@pytest.mark.parametrize(("subject", "mode"), CERTIFICATES)
async def test_what_no_certificate_vouches_for_is_neither_paid_nor_failed(
    whole: Whole, subject: str, mode: str
) -> None:
    """A callback and answers that are signed by a certificate that cannot be had are neither believed nor refused."""
    await whole.ordered()
    await whole.started()
    whole.sandbox.faults(**{subject: mode})
    whole.sandbox.control("rotate-certificate")
    whole.pay()
    await whole.listener.one()
    await whole.hand_on()
    assert whole.statuses == [503]
    assert not await ThirdPartyNotice.exists()
    await whole.stays(PAYING, deaf=True)
    assert await whole.cancel() == "PAYMENT_STATE_UNKNOWN"
    assert await LedgerEntry.all().count() == 0
    whole.sandbox.clear_faults()
    await whole.until(SUCCEEDED)
    assert await paid_attempts() == 1


async def refunded_by(whole: Whole, subject: str) -> int:
    """Return how many refunds the channel knows of this order."""
    kind = "alipay_refunds" if is_alipay(subject) else "refunds"
    number = (await PaymentAttempt.filter(state="PAID").get()).out_trade_no
    return len([each for each in whole.sandbox.state()[kind] if each["out_trade_no"] == number])
