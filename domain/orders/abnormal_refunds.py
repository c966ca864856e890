"""What two people decide about a refund that a channel could not give back: where else it goes.

The work of the refund waits in the manual queue. The decision takes it out of there and is written down with both
names, and only then is the channel asked; the work finds out what has become of it, and waits for a person again where
nothing has.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.payments.ports import (
    AbnormalRefundRequest,
    AbnormalRefundTo,
    BankAccount,
    ChannelRefused,
    Channels,
    ChannelUnavailable,
    PaysAbnormalRefunds,
)
from domain.payments.queries import refund_by_number
from domain.work import manual_queue
from domain.work.operations import Kind
from kernel.errors import YoukaError
from kernel.states import RefundState
from models.jobs import Job
from models.payments import PaymentAttempt, Refund

# By then the channel has answered, or will not any more.
ASK_AFTER = timedelta(minutes=1)


class RefundNotAbnormal(YoukaError):
    code = "REFUND_NOT_ABNORMAL"
    messages = {
        "zh-CN": "退款 {out_refund_no} 不存在或不是异常状态",
        "en": "There is no abnormal refund {out_refund_no}",
    }


class AbnormalRefundNotPossible(YoukaError):
    """The channel has no such way, the card is missing, or there is one that nothing would be paid to."""

    code = "ABNORMAL_REFUND_NOT_POSSIBLE"
    messages = {
        "zh-CN": "该退款不能这样处理",
        "en": "The refund cannot be paid like this",
    }


class TwoPeopleNeeded(YoukaError):
    code = "TWO_PEOPLE_NEEDED"
    messages = {"zh-CN": "须由两位不同的同事决定", "en": "This takes two different people"}


class AbnormalRefundRefused(YoukaError):
    """The channel has refused it with its own code; the refund is as it was."""

    code = "ABNORMAL_REFUND_REFUSED"
    messages = {"zh-CN": "渠道拒绝: {reason}", "en": "The channel refused: {reason}"}


async def pay_abnormal_refund(
    *,
    out_refund_no: str,
    destination: AbnormalRefundTo,
    account: BankAccount | None,
    proposed_by: str,
    approved_by: str,
    reason: str,
    channels: Channels,
    now: datetime,
) -> bool:
    """Have the channel pay an abnormal refund elsewhere, and return whether it has said that it will.

    Without an answer it may or may not; the work of the refund asks. Asking again never pays twice, since the channel
    knows the refund by its number. Raises RefundNotAbnormal, AbnormalRefundNotPossible, TwoPeopleNeeded,
    AbnormalRefundRefused, UnknownChannel, or the errors of `domain.work.manual_queue`.
    """
    refund = await refund_by_number(out_refund_no)
    if refund is None or refund.state is not RefundState.ABNORMAL or not refund.channel_refund_id:
        raise RefundNotAbnormal(out_refund_no=out_refund_no)
    attempt = await PaymentAttempt.get(id=refund.attempt_id)
    channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
    to_card = destination is AbnormalRefundTo.USER_BANK_CARD
    if not isinstance(channel, PaysAbnormalRefunds) or to_card is not (account is not None):
        raise AbnormalRefundNotPossible
    if not approved_by.strip() or proposed_by.strip() == approved_by.strip():
        raise TwoPeopleNeeded
    if not reason.strip():
        raise manual_queue.ReasonMissing(maximum=manual_queue.REASON_LENGTH_MAX)
    await _decide(refund, f"{proposed_by.strip()}, {approved_by.strip()}", f"{destination}: {reason.strip()}", now)
    request = AbnormalRefundRequest(out_refund_no, refund.channel_refund_id, destination, account)
    try:
        await channel.apply_abnormal_refund(request)
    except ChannelUnavailable:
        return False
    except ChannelRefused as error:
        raise AbnormalRefundRefused(reason=str(error)) from error
    return True


async def _decide(refund: Refund, actor: str, reason: str, now: datetime) -> None:
    job = await Job.get_or_none(kind=Kind.REFUND, key=refund.out_refund_no).only("id")
    if job is None:
        raise RefundNotAbnormal(out_refund_no=refund.out_refund_no)
    await manual_queue.retry(job_id=job.id, actor=actor, reason=reason, now=now, due_at=now + ASK_AFTER)
