"""Creating an order, cancelling it, and letting it expire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.cards import queries as cards
from domain.identity import idempotency
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.offers import operations as offers
from domain.offers import queries as offer_queries
from domain.orders import queries
from domain.orders.confirming import confirm_payment
from domain.orders.lifecycle import Trigger
from domain.orders.policy import Policy
from domain.orders.transitions import advance, lock, record_creation
from domain.payments import operations as payments
from domain.payments import wallet
from domain.payments.closing import made_unpayable
from domain.payments.ports import PAID_TRADES, ChannelRefused, Channels, ChannelUnavailable
from domain.payments.queries import open_attempt_of
from domain.risk import rules as risk
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import OrderState, RefundState, ReviewState
from models.cards import FuelCard
from models.database import transactional
from models.offers import Offer
from models.orders import RechargeOrder

CREATE = "createRecharge"


class CardNotFound(YoukaError):
    """Also where the card is somebody else's: the answer must not tell the two apart."""

    code = "CARD_NOT_FOUND"
    messages = {"zh-CN": "油卡不存在", "en": "There is no such card"}


class OfferNotFound(YoukaError):
    code = "OFFER_NOT_FOUND"
    messages = {"zh-CN": "优惠不存在", "en": "There is no such offer"}


class PriceChanged(YoukaError):
    code = "PRICE_CHANGED"
    messages = {"zh-CN": "价格已变为{price.text}，请确认后重试", "en": "The price is {price.text} now, please confirm"}


class OrderNotCancellable(YoukaError):
    code = "ORDER_NOT_CANCELLABLE"
    messages = {"zh-CN": "订单已支付，不能取消", "en": "The order is paid and cannot be cancelled"}


class PaymentStateUnknown(YoukaError):
    code = "PAYMENT_STATE_UNKNOWN"
    messages = {
        "zh-CN": "支付渠道暂未确认，请稍后再试",
        "en": "The payment channel has not answered yet, please try again",
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to order. `operation` and `key` let it happen once.

    `yuan` is what arrives and may be left out with an offer. `quoted` is the price that the user was shown, where it
    was shown some time ago.
    """

    operation: str
    key: str
    card_id: UUID | None
    yuan: Decimal | None = None
    names_offer: bool = False
    offer_id: UUID | None = None
    quoted: Money | None = None

    @property
    def input_hash(self) -> str:
        amount = str(risk.amount_of(self.yuan).fen) if self.yuan is not None else ""
        parts = [str(self.card_id), amount]
        return idempotency.hash_of(*parts, *([str(self.offer_id)] if self.names_offer else []))


async def create(*, viewer: Viewer, wanted: Wanted, policy: Policy, now: datetime) -> RechargeOrder:
    """Create an order of the viewer (row 1), or return the one that the same key made with the same input.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, CardNotFound, OfferNotFound, PriceChanged, and the errors of
    `domain.risk.rules` and `domain.offers`.
    """
    idempotency.check_key(wanted.key)
    repeated = await _repeated(viewer, wanted)
    if repeated:
        return repeated
    offer = await _offer_of(wanted)
    amount = _amount_of(wanted, offer)
    risk.check_amount(amount, policy.limits)
    card = await cards.owned(viewer=viewer, card_id=wanted.card_id) if wanted.card_id else None
    if card is None:
        raise CardNotFound
    price = Money(offer.price_fen) if offer else amount
    if wanted.quoted is not None and wanted.quoted != price:
        raise PriceChanged(price=price)
    try:
        return await _create(viewer, wanted, card, offer, amount, policy, now)
    except IntegrityError:
        # The same key won the race in another request; anything else that broke is raised again.
        repeated = await _repeated(viewer, wanted)
        if not repeated:
            raise
        return repeated


async def _repeated(viewer: Viewer, wanted: Wanted) -> RechargeOrder | None:
    order_id = await idempotency.made_before(
        viewer=viewer, operation=wanted.operation, key=wanted.key, input_hash=wanted.input_hash
    )
    return await RechargeOrder.get(id=order_id, user_id=viewer.user_id) if order_id else None


async def _offer_of(wanted: Wanted) -> Offer | None:
    if not wanted.names_offer:
        return None
    offer = await offer_queries.by_id(wanted.offer_id) if wanted.offer_id else None
    if offer is None:
        raise OfferNotFound
    return offer


def _amount_of(wanted: Wanted, offer: Offer | None) -> Money:
    if offer is None:
        if wanted.yuan is None:
            raise risk.AmountMissing
        return risk.amount_of(wanted.yuan)
    amount = Money(offer.amount_fen)
    if wanted.yuan is not None and risk.amount_of(wanted.yuan) != amount:
        raise risk.AmountNotOffered(minimum=amount, maximum=amount)
    return amount


@transactional
async def _create(
    viewer: Viewer,
    wanted: Wanted,
    card: FuelCard,
    offer: Offer | None,
    amount: Money,
    policy: Policy,
    now: datetime,
) -> RechargeOrder:
    await lock_user(viewer=viewer)
    repeated = await _repeated(viewer, wanted)
    if repeated:
        return repeated
    facts = await queries.risk_facts(viewer=viewer, card=card, window=policy.limits.split_window, now=now)
    risk.check_facts(amount, facts, policy.limits)
    reason = risk.review_reason(amount, facts, policy.limits)
    order_id = new_id()
    if offer:
        await offers.reserve(offer=offer, order_id=order_id, user_id=viewer.user_id, brand=card.brand, now=now)
    order = await RechargeOrder.create(
        id=order_id,
        user_id=viewer.user_id,
        card_id=card.id,
        offer_id=offer.id if offer else None,
        amount_fen=amount.fen,
        price_fen=offer.price_fen if offer else amount.fen,
        state=OrderState.PENDING_PAYMENT,
        version=1,
        refund_state=RefundState.NONE,
        review_state=ReviewState.REQUIRED if reason else ReviewState.NONE,
        review_reason=reason,
        pay_deadline_at=now + policy.pay_within,
        created_at=now,
        updated_at=now,
    )
    await idempotency.remember(
        viewer=viewer,
        operation=wanted.operation,
        key=wanted.key,
        input_hash=wanted.input_hash,
        result_id=order.id,
        now=now,
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


async def cancel(
    *, viewer: Viewer, order_id: UUID | None, channels: Channels, policy: Policy, now: datetime
) -> RechargeOrder:
    """Cancel an unpaid order of the viewer; cancelling it again returns it.

    Raises OrderNotFound, OrderNotCancellable, or PaymentStateUnknown where the channel cannot say that it is unpaid.
    """
    order = await queries.require_owned(viewer=viewer, order_id=order_id)
    try:
        order = await give_up_unpaid(
            order=order, trigger=Trigger.CANCEL, channels=channels, actor=viewer.actor, policy=policy, now=now
        )
    except (ChannelUnavailable, ChannelRefused) as error:
        raise PaymentStateUnknown from error
    if order.state is not OrderState.FAILED:
        raise OrderNotCancellable
    return order


async def give_up_unpaid(
    *, order: RechargeOrder, trigger: Trigger, channels: Channels, actor: str, policy: Policy, now: datetime
) -> RechargeOrder:
    """Fail an order that is certainly unpaid (row 6), or take the payment that turns up on the way (row 4).

    An attempt under way is queried, closed, and queried again, because it may be paid between the first two. Raises
    ChannelUnavailable or ChannelRefused while that is not certain; then nothing has changed.
    """
    attempt = await open_attempt_of(order.id) if order.state is OrderState.PAYING else None
    if attempt and not wallet.is_wallet(attempt):
        facts = await made_unpayable(attempt, channels)
        if facts.state in PAID_TRADES:
            return await confirm_payment(facts=facts, channels=channels, actor=actor, policy=policy, now=now)
    return await _give_up(order.id, trigger, attempt.id if attempt else None, actor, now)


@transactional
async def _give_up(
    order_id: UUID, trigger: Trigger, attempt_id: UUID | None, actor: str, now: datetime
) -> RechargeOrder:
    order = await lock(order_id)
    if order.state not in queries.UNPAID:
        return order
    attempt = await open_attempt_of(order.id)
    if attempt and attempt.id != attempt_id and not wallet.is_wallet(attempt):
        raise ChannelUnavailable("another attempt began meanwhile")
    await offers.release(order_id=order.id, now=now)
    if attempt:
        await payments.mark_closed(attempt=attempt, now=now)
        if wallet.is_wallet(attempt):
            await wallet.release(attempt=attempt, now=now)
    await advance(order, trigger, actor=actor, now=now)
    return order
