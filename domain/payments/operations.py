"""Payment attempts, refunds, and the callbacks that tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.payments.ports import NoticeNonce
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.ids import new_id, numbered
from kernel.states import PaymentState, RefundState
from models.database import transactional
from models.orders import RechargeOrder
from models.payments import CallbackNonce, PaymentAttempt, Refund, ThirdPartyNotice

ATTEMPTS_MAX = 99


class TooManyPaymentAttempts(YoukaError):
    code = "TOO_MANY_PAYMENT_ATTEMPTS"
    messages = {
        "zh-CN": "该订单支付尝试次数过多，请重新下单",
        "en": "This order was tried too often, please create another",
    }


class PaymentUnavailable(YoukaError):
    code = "PAYMENT_UNAVAILABLE"
    messages = {
        "zh-CN": "支付渠道繁忙，请稍后用同一请求重试",
        "en": "The payment channel is busy, please repeat the same request",
    }


class PaymentRefused(YoukaError):
    code = "PAYMENT_REFUSED"
    messages = {"zh-CN": "支付渠道拒绝了该笔支付", "en": "The payment channel refused this payment"}


async def open_attempt(
    *, order: RechargeOrder, channel: str, sub_mchid: str, now: datetime, mandate_id: UUID | None = None
) -> PaymentAttempt:
    """Write the next attempt of a locked order. Raises TooManyPaymentAttempts."""
    number = await PaymentAttempt.filter(order_id=order.id).count() + 1
    if number > ATTEMPTS_MAX:
        raise TooManyPaymentAttempts
    return await PaymentAttempt.create(
        id=new_id(),
        order_id=order.id,
        user_id=order.user_id,
        number=number,
        channel=channel,
        sub_mchid=sub_mchid,
        out_trade_no=numbered(order.id, number),
        amount_fen=order.price_fen,
        state=PaymentState.OPEN,
        mandate_id=mandate_id,
        created_at=now,
    )


async def keep_prepay_id(*, attempt: PaymentAttempt, prepay_id: str) -> bool:
    """Return whether the attempt is still open, so that it may be paid."""
    changed = await PaymentAttempt.filter(id=attempt.id, state=PaymentState.OPEN).update(prepay_id=prepay_id)
    return changed == 1


async def mark_paid(*, attempt: PaymentAttempt, transaction_id: str, now: datetime) -> None:
    """Write down a checked payment of a locked order. A closed attempt may turn out paid."""
    changed = await PaymentAttempt.filter(id=attempt.id, state__not=PaymentState.PAID).update(
        state=PaymentState.PAID, transaction_id=transaction_id, settled_at=now
    )
    if changed != 1:
        raise RuntimeError(f"attempt {attempt.id} is paid already")


async def mark_closed(*, attempt: PaymentAttempt, now: datetime) -> None:
    await PaymentAttempt.filter(id=attempt.id, state=PaymentState.OPEN).update(
        state=PaymentState.CLOSED, settled_at=now
    )


async def owe_refund(*, order: RechargeOrder, attempt: PaymentAttempt, now: datetime) -> Refund:
    """Write the refund of a paid attempt, with the number that every try of it will use, and the work of paying it."""
    refund = await Refund.create(
        id=new_id(),
        order_id=order.id,
        attempt_id=attempt.id,
        user_id=attempt.user_id,
        out_refund_no=f"R{attempt.out_trade_no}",
        amount_fen=attempt.amount_fen,
        state=RefundState.PROCESSING,
        created_at=now,
    )
    await schedule(
        kind=Kind.REFUND, key=refund.out_refund_no, payload={"refund_id": str(refund.id)}, due_at=now, now=now
    )
    return refund


class NonceReused(Exception):
    """A signature that is good, with a nonce that was used for something else; nothing of it may be used."""


@transactional
async def record_notice(
    *, source: str, notice_id: str, facts: dict[str, Any], now: datetime, nonce: NoticeNonce | None = None
) -> UUID:
    """Store a verified callback once, with the work of applying it, and return its id.

    Copies of one callback find the first one, so answering each of them with success is true. Raises NonceReused.
    """
    if nonce is not None:
        await _use_nonce(nonce, now)
    notice = ThirdPartyNotice(id=new_id(), source=source, notice_id=notice_id, facts=facts, received_at=now)
    await ThirdPartyNotice.bulk_create([notice], ignore_conflicts=True)
    stored = await ThirdPartyNotice.get(source=source, notice_id=notice_id)
    await schedule(
        kind=Kind.APPLY_NOTICE,
        key=f"{source}:{notice_id}",
        payload={"notice_id": str(stored.id)},
        due_at=now,
        now=now,
    )
    return stored.id


async def _use_nonce(nonce: NoticeNonce, now: datetime) -> None:
    used = CallbackNonce(
        id=new_id(), signer=nonce.signer, nonce=nonce.nonce, body_digest=nonce.body_digest, used_at=now
    )
    await CallbackNonce.bulk_create([used], ignore_conflicts=True)
    first = await CallbackNonce.get(signer=nonce.signer, nonce=nonce.nonce)
    if first.body_digest != nonce.body_digest:
        raise NonceReused


@transactional
async def purge_nonces(*, before: datetime, limit: int) -> int:
    """Delete up to `limit` nonces that were used before the moment, the oldest first, and return how many they were."""
    old = await CallbackNonce.filter(used_at__lt=before).order_by("used_at").limit(limit).values_list("id", flat=True)
    return await CallbackNonce.filter(id__in=list(old)).delete() if old else 0
