"""Creating an order, cancelling it, and letting it expire."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.cards import queries as cards
from domain.identity.viewer import Viewer
from domain.orders import idempotency, queries
from domain.orders.lifecycle import Trigger
from domain.orders.paying import confirm_payment, made_unpayable
from domain.orders.transitions import advance, lock, record_creation
from domain.payments import operations as payments
from domain.payments.ports import PAID_TRADES, ChannelRefused, ChannelUnavailable, PaymentChannel
from domain.payments.queries import open_attempt_of
from domain.risk import rules as risk
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import OrderState, RefundState
from models.database import transactional
from models.orders import RechargeOrder

CREATE = "createRecharge"


class CardNotFound(YoukaError):
    """Also where the card is somebody else's: the answer must not tell the two apart."""

    code = "CARD_NOT_FOUND"
    messages = {"zh-CN": "油卡不存在", "en": "There is no such card"}


class OrderNotCancellable(YoukaError):
    code = "ORDER_NOT_CANCELLABLE"
    messages = {"zh-CN": "订单已支付，不能取消", "en": "The order is paid and cannot be cancelled"}


class PaymentStateUnknown(YoukaError):
    code = "PAYMENT_STATE_UNKNOWN"
    messages = {
        "zh-CN": "支付渠道暂未确认，请稍后再试",
        "en": "The payment channel has not answered yet, please try again",
    }


async def create(
    *,
    viewer: Viewer,
    card_id: UUID | None,
    yuan: Decimal,
    idempotency_key: str,
    limits: risk.Limits,
    pay_within: timedelta,
    now: datetime,
) -> RechargeOrder:
    """Create an order of the viewer, or return the one that the same key made with the same input.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, CardNotFound, and the errors of `domain.risk.rules`.
    """
    idempotency.check_key(idempotency_key)
    amount = risk.amount_of(yuan)
    input_hash = idempotency.hash_of(str(card_id), str(amount.fen))
    repeated = await _repeated(viewer, idempotency_key, input_hash)
    if repeated:
        return repeated
    risk.check_amount(amount, limits)
    if card_id is None or not await cards.owned(viewer=viewer, card_id=card_id):
        raise CardNotFound
    try:
        return await _create(viewer, card_id, amount, idempotency_key, input_hash, limits, pay_within, now)
    except IntegrityError:
        # The same key won the race in another request; anything else that broke is raised again.
        repeated = await _repeated(viewer, idempotency_key, input_hash)
        if not repeated:
            raise
        return repeated


async def _repeated(viewer: Viewer, key: str, input_hash: str) -> RechargeOrder | None:
    order_id = await idempotency.made_before(viewer=viewer, operation=CREATE, key=key, input_hash=input_hash)
    return await RechargeOrder.get(id=order_id, user_id=viewer.user_id) if order_id else None


@transactional
async def _create(
    viewer: Viewer,
    card_id: UUID,
    amount: Money,
    idempotency_key: str,
    input_hash: str,
    limits: risk.Limits,
    pay_within: timedelta,
    now: datetime,
) -> RechargeOrder:
    await queries.lock_user(viewer=viewer)
    repeated = await _repeated(viewer, idempotency_key, input_hash)
    if repeated:
        return repeated
    risk.check_facts(amount, await queries.risk_facts(viewer=viewer, now=now), limits)
    order = await RechargeOrder.create(
        id=new_id(),
        user_id=viewer.user_id,
        card_id=card_id,
        amount_fen=amount.fen,
        state=OrderState.PENDING_PAYMENT,
        version=1,
        refund_state=RefundState.NONE,
        pay_deadline_at=now + pay_within,
        created_at=now,
        updated_at=now,
    )
    await idempotency.remember(
        viewer=viewer, operation=CREATE, key=idempotency_key, input_hash=input_hash, result_id=order.id, now=now
    )
    await record_creation(order, actor=viewer.actor, now=now)
    await schedule(
        kind=Kind.EXPIRE_ORDER,
        key=str(order.id),
        payload={"order_id": str(order.id)},
        due_at=order.pay_deadline_at,
        now=now,
    )
    return order


async def cancel(*, viewer: Viewer, order_id: UUID | None, channel: PaymentChannel, now: datetime) -> RechargeOrder:
    """Cancel an unpaid order of the viewer; cancelling it again returns it.

    Raises OrderNotFound, OrderNotCancellable, or PaymentStateUnknown where the channel cannot say that it is unpaid.
    """
    order = await queries.require_owned(viewer=viewer, order_id=order_id)
    try:
        order = await give_up_unpaid(order=order, trigger=Trigger.CANCEL, channel=channel, actor=viewer.actor, now=now)
    except (ChannelUnavailable, ChannelRefused) as error:
        raise PaymentStateUnknown from error
    if order.state is not OrderState.FAILED:
        raise OrderNotCancellable
    return order


async def give_up_unpaid(
    *, order: RechargeOrder, trigger: Trigger, channel: PaymentChannel, actor: str, now: datetime
) -> RechargeOrder:
    """Fail an order that is certainly unpaid (row 6), or take the payment that turns up on the way (row 4).

    An attempt under way is queried, closed, and queried again, because it may be paid between the first two. Raises
    ChannelUnavailable or ChannelRefused while that is not certain; then nothing has changed.
    """
    attempt = await open_attempt_of(order.id) if order.state is OrderState.PAYING else None
    if attempt:
        facts = await made_unpayable(attempt.out_trade_no, channel)
        if facts.state in PAID_TRADES:
            return await confirm_payment(facts=facts, channel=channel, actor=actor, now=now)
    return await _give_up(order.id, trigger, attempt.id if attempt else None, actor, now)


@transactional
async def _give_up(
    order_id: UUID, trigger: Trigger, attempt_id: UUID | None, actor: str, now: datetime
) -> RechargeOrder:
    order = await lock(order_id)
    if order.state not in queries.UNPAID:
        return order
    attempt = await open_attempt_of(order.id)
    if attempt and attempt.id != attempt_id:
        raise ChannelUnavailable("another attempt began meanwhile")
    if attempt:
        await payments.mark_closed(attempt=attempt, now=now)
    await advance(order, trigger, actor=actor, now=now)
    return order
