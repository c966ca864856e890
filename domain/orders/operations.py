"""Creating an order, cancelling it, and letting it expire."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity import idempotency
from domain.identity.viewer import Viewer
from domain.offers import operations as offers
from domain.offers import queries as offer_queries
from domain.orders import creating, queries
from domain.orders.confirming import confirm_payment
from domain.orders.creating import Created, Wanted
from domain.orders.lifecycle import Trigger
from domain.orders.policy import Policy
from domain.orders.transitions import advance, lock
from domain.payments import operations as payments
from domain.payments import wallet
from domain.payments.closing import made_unpayable
from domain.payments.ports import PAID_TRADES, ChannelRefused, Channels, ChannelUnavailable
from domain.payments.queries import open_attempt_of
from domain.risk import rules as risk
from kernel.errors import YoukaError
from kernel.money import Money
from kernel.states import OrderState
from models.database import transactional
from models.lean_transactions import may_write_alone
from models.offers import Offer
from models.orders import RechargeOrder

CREATE = "createRecharge"


class OfferNotFound(YoukaError):
    code = "OFFER_NOT_FOUND"
    messages = {"zh-CN": "优惠不存在", "en": "There is no such offer"}


class OrderNotCancellable(YoukaError):
    code = "ORDER_NOT_CANCELLABLE"
    messages = {"zh-CN": "订单已支付，不能取消", "en": "The order is paid and cannot be cancelled"}


class PaymentStateUnknown(YoukaError):
    code = "PAYMENT_STATE_UNKNOWN"
    messages = {
        "zh-CN": "支付渠道暂未确认，请稍后再试",
        "en": "The payment channel has not answered yet, please try again",
    }


async def create(*, viewer: Viewer, wanted: Wanted, policy: Policy, now: datetime) -> RechargeOrder:
    """Create an order of the viewer (row 1), or return the one that the same key made with the same input.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, CardNotFound, OfferNotFound, PriceChanged, OwnLimitExceeded,
    MemberLimitExceeded, and the errors of `domain.risk.rules` and `domain.offers`.
    """
    return (await create_for_show(viewer=viewer, wanted=wanted, policy=policy, now=now)).order


async def create_for_show(*, viewer: Viewer, wanted: Wanted, policy: Policy, now: datetime) -> Created:
    """Do the same, and return what is known of the order's card by then."""
    idempotency.check_key(wanted.key)
    try:
        making = creating.Making(viewer, wanted, *await _priced(wanted, policy), policy, now)
    except YoukaError:
        # What the key has made is returned whatever else the input would be worth by now.
        repeated = await _repeated(viewer, wanted)
        if not repeated:
            raise
        return Created(repeated)
    made = await creating.at_once(making) if making.offer is None and may_write_alone() else None
    if made is None:
        made = await _make_in_turn(making)
    return made if isinstance(made, Created) else Created(await RechargeOrder.get(id=made, user_id=viewer.user_id))


async def _make_in_turn(making: creating.Making) -> creating.Made:
    try:
        return await creating.in_turn(making)
    except IntegrityError:
        # The same key won the race in another request; anything else that broke is raised again.
        repeated = await _repeated(making.viewer, making.wanted)
        if not repeated:
            raise
        return Created(repeated)


async def _repeated(viewer: Viewer, wanted: Wanted) -> RechargeOrder | None:
    order_id = await idempotency.made_before(
        viewer=viewer, operation=wanted.operation, key=wanted.key, input_hash=wanted.input_hash
    )
    return await RechargeOrder.get(id=order_id, user_id=viewer.user_id) if order_id else None


async def _priced(wanted: Wanted, policy: Policy) -> tuple[Offer | None, Money]:
    """Return the offer that is wanted, if one is, and what arrives. Raises where neither can be ordered."""
    offer = await _offer_of(wanted)
    amount = _amount_of(wanted, offer)
    risk.check_amount(amount, policy.limits)
    return offer, amount


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
