"""Starting to pay an order: rows 2 and 3 of the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity import idempotency
from domain.identity.ports import FaceVerifier
from domain.identity.viewer import Viewer
from domain.orders import face_checks, queries
from domain.orders.confirming import capture, close_attempt, confirm_payment
from domain.orders.lifecycle import Trigger
from domain.orders.policy import Policy
from domain.orders.transitions import advance, lock
from domain.payments import operations as payments
from domain.payments import wallet
from domain.payments.closing import made_unpayable
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.ports import (
    PAID_TRADES,
    ChannelRefused,
    Channels,
    ChannelUnavailable,
    PaymentChannel,
    PaymentParameters,
    PrepayRequest,
)
from domain.payments.queries import open_attempt_of
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.states import OrderState, PaymentMethod, ReviewState
from models.database import transactional
from models.identity import User
from models.orders import IdempotencyKey, RechargeOrder
from models.payments import PaymentAttempt

PAY = "payRecharge"
DESCRIPTION = "油卡充值"


class OrderNotPayable(YoukaError):
    code = "ORDER_NOT_PAYABLE"
    messages = {"zh-CN": "订单当前状态不能支付", "en": "The order cannot be paid in its state"}


class PaymentDeadlinePassed(YoukaError):
    code = "PAYMENT_DEADLINE_PASSED"
    messages = {"zh-CN": "订单已超过支付时限", "en": "The time to pay this order is over"}


@dataclass(frozen=True, slots=True)
class StartedPayment:
    """The order, and what `wx.requestPayment` needs; nothing where the wallet has paid already."""

    order: RechargeOrder
    parameters: PaymentParameters | None


@dataclass(frozen=True, slots=True)
class Payment:
    """One wish to pay. The key lets it start once, whatever route it takes in the end."""

    viewer: Viewer
    order_id: UUID
    key: str
    method: PaymentMethod
    face_token: str | None
    policy: Policy

    @property
    def input_hash(self) -> str:
        # The method counts only where it is not the one that everybody used before there was a choice.
        parts = [str(self.order_id), *([self.method] if self.method is not PaymentMethod.WECHAT_PAY else [])]
        return idempotency.hash_of(*parts)


@dataclass(frozen=True, slots=True)
class Route:
    """Where an attempt goes: a channel and the merchant there, or the wallet."""

    channel: str
    sub_mchid: str

    @classmethod
    def of(cls, channel: PaymentChannel) -> Route:
        return cls(channel.name, channel.sub_mchid)


WALLET = Route(wallet.WALLET, wallet.NO_MERCHANT)


async def start_payment(
    *,
    viewer: Viewer,
    order_id: UUID | None,
    idempotency_key: str,
    channels: Channels,
    face: FaceVerifier,
    policy: Policy,
    now: datetime,
    method: PaymentMethod = PaymentMethod.WECHAT_PAY,
    face_token: str | None = None,
) -> StartedPayment:
    """Open an attempt (row 2), or find the open one again, and return what `wx.requestPayment` needs.

    The attempt is committed before the channel hears of it, so a payment can never be without its row; an attempt
    that the channel did not answer stays open and is prepaid again under the same number, or gives way to the next
    route once it is certainly closed (row 3). The wallet pays at once.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, OrderNotFound, OrderNotPayable, PaymentDeadlinePassed,
    TooManyPaymentAttempts, PaymentRefused, PaymentUnavailable, WalletInsufficient, and the errors of `face_checks`.
    """
    idempotency.check_key(idempotency_key)
    order = await queries.require_owned(viewer=viewer, order_id=order_id)
    payment = Payment(viewer, order.id, idempotency_key, method, face_token, policy)
    await _verify_face(order, face_token, face, now)
    route = WALLET if method is PaymentMethod.WALLET else Route.of(channels.main)
    try:
        order, attempt = await _open_attempt(payment, route, now)
    except IntegrityError:
        # The same key, or another one, opened the attempt in a concurrent request.
        order, attempt = await _open_attempt(payment, route, now)
    if method is PaymentMethod.WALLET and not wallet.is_wallet(attempt):
        order, attempt = await _switch(payment, attempt, channels, now)
    if wallet.is_wallet(attempt):
        return StartedPayment(await capture(attempt=attempt, actor=viewer.actor, policy=policy, now=now), None)
    if attempt.prepay_id is None:
        order, attempt = await _prepay(payment, order, attempt, channels, now)
    assert attempt.prepay_id is not None
    channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
    return StartedPayment(order, channel.payment_parameters(prepay_id=attempt.prepay_id, now=now))


async def _verify_face(order: RechargeOrder, token: str | None, face: FaceVerifier, now: datetime) -> None:
    """Ask about the face of whoever starts to pay a large order; a payment under way has had its face."""
    if order.review_state is not ReviewState.REQUIRED or order.state not in queries.UNPAID:
        return
    if await open_attempt_of(order.id):
        return
    try:
        await face_checks.verify(order=order, token=token, face=face, now=now)
    except face_checks.FaceTokenInvalid:
        # The same request, sent twice, may have used it a moment ago.
        if not await open_attempt_of(order.id):
            raise


@transactional
async def _open_attempt(payment: Payment, route: Route, now: datetime) -> tuple[RechargeOrder, PaymentAttempt]:
    viewer, key = payment.viewer, payment.key
    order = await lock(payment.order_id)
    repeated = await idempotency.made_before(viewer=viewer, operation=PAY, key=key, input_hash=payment.input_hash)
    attempt = await open_attempt_of(order.id)
    if repeated and attempt is None:
        attempt = await PaymentAttempt.get(id=repeated)
        if wallet.is_wallet(attempt) and order.state not in queries.UNPAID:
            # The wallet has paid, and the client did not hear of it.
            return order, attempt
    if repeated and (attempt is None or attempt.id != repeated):
        raise OrderNotPayable
    if order.state not in queries.UNPAID or (repeated and order.state is not OrderState.PAYING):
        raise OrderNotPayable
    if now >= order.pay_deadline_at:
        raise PaymentDeadlinePassed
    if attempt is None:
        if order.review_state is ReviewState.REQUIRED:
            await face_checks.use(order=order, token=payment.face_token, now=now)
        attempt = await _begin(order, route, payment.policy, now)
        await advance(order, Trigger.START_PAYMENT, actor=viewer.actor, now=now, reason=attempt.out_trade_no)
    if not repeated:
        await idempotency.remember(
            viewer=viewer, operation=PAY, key=key, input_hash=payment.input_hash, result_id=attempt.id, now=now
        )
    return order, attempt


async def _begin(order: RechargeOrder, route: Route, policy: Policy, now: datetime) -> PaymentAttempt:
    """Write the next attempt of a locked order, and the work that finds out how it ends."""
    if route == WALLET:
        await wallet.require_balance(user_id=order.user_id, amount_fen=order.price_fen)
    attempt = await payments.open_attempt(order=order, channel=route.channel, sub_mchid=route.sub_mchid, now=now)
    if route == WALLET:
        await wallet.hold(attempt=attempt, now=now)
        kind, due_at = Kind.CAPTURE_WALLET, now
    else:
        kind, due_at = Kind.QUERY_PAYMENT, now + policy.payment_query_after
    payload = {"out_trade_no": attempt.out_trade_no}
    await schedule(kind=kind, key=attempt.out_trade_no, payload=payload, due_at=due_at, now=now)
    return attempt


async def _prepay(
    payment: Payment, order: RechargeOrder, attempt: PaymentAttempt, channels: Channels, now: datetime
) -> tuple[RechargeOrder, PaymentAttempt]:
    """Have the channel make the merchant order, trying one route after the other."""
    payer = await User.get(id=payment.viewer.user_id)
    while True:
        channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
        request = PrepayRequest(
            out_trade_no=attempt.out_trade_no,
            amount_fen=attempt.amount_fen,
            description=DESCRIPTION,
            openid=payer.openid,
            expires_at=order.pay_deadline_at,
        )
        try:
            attempt.prepay_id = await channel.prepay(request)
        except ChannelUnavailable as error:
            backup = channels.after(channel)
            if backup is None:
                raise PaymentUnavailable from error
            order, attempt = await _fail_over(payment, attempt, Route.of(backup), channels, now)
        except ChannelRefused as error:
            backup = channels.after(channel)
            if backup is None:
                await _give_up_attempt(payment, attempt, channels, reason=error.code, now=now)
                raise PaymentRefused from error
            order, attempt = await _fail_over(payment, attempt, Route.of(backup), channels, now)
        else:
            break
    if not await payments.keep_prepay_id(attempt=attempt, prepay_id=attempt.prepay_id):
        # It was given up while the channel still made it; whoever got the parameters now would pay for nothing.
        raise OrderNotPayable
    return order, attempt


async def _switch(
    payment: Payment, attempt: PaymentAttempt, channels: Channels, now: datetime
) -> tuple[RechargeOrder, PaymentAttempt]:
    """Pay from the wallet what the user had begun to pay by another way."""
    await wallet.require_balance(user_id=payment.viewer.user_id, amount_fen=attempt.amount_fen)
    return await _fail_over(payment, attempt, WALLET, channels, now)


async def _fail_over(
    payment: Payment, attempt: PaymentAttempt, route: Route, channels: Channels, now: datetime
) -> tuple[RechargeOrder, PaymentAttempt]:
    """Open an attempt by another route once the old one can certainly not be paid any more (row 3)."""
    await _close_at_channel(payment, attempt, channels, now)
    return await _replace(payment, attempt, route, now)


async def _give_up_attempt(
    payment: Payment, attempt: PaymentAttempt, channels: Channels, *, reason: str, now: datetime
) -> None:
    """Close an attempt that the channel refused to prepay, unless it turns out to be paid: a refusal may say that."""
    await _close_at_channel(payment, attempt, channels, now)
    await close_attempt(out_trade_no=attempt.out_trade_no, actor=payment.viewer.actor, reason=reason, now=now)


async def _close_at_channel(payment: Payment, attempt: PaymentAttempt, channels: Channels, now: datetime) -> None:
    """Raises PaymentUnavailable while that is not certain, or OrderNotPayable where it is paid."""
    try:
        facts = await made_unpayable(attempt, channels)
    except (ChannelUnavailable, ChannelRefused) as error:
        raise PaymentUnavailable from error
    if facts.state in PAID_TRADES:
        actor, policy = payment.viewer.actor, payment.policy
        await confirm_payment(facts=facts, channels=channels, actor=actor, policy=policy, now=now)
        raise OrderNotPayable


@transactional
async def _replace(
    payment: Payment, old: PaymentAttempt, route: Route, now: datetime
) -> tuple[RechargeOrder, PaymentAttempt]:
    order = await lock(old.order_id)
    attempt = await open_attempt_of(order.id)
    if order.state is not OrderState.PAYING or attempt is None:
        raise OrderNotPayable
    if attempt.id != old.id:
        # Another request was faster and has opened the next one.
        return order, attempt
    await payments.mark_closed(attempt=old, now=now)
    attempt = await _begin(order, route, payment.policy, now)
    await advance(
        order,
        Trigger.FAIL_OVER,
        actor=payment.viewer.actor,
        now=now,
        reason=f"{old.channel}:{old.sub_mchid} to {attempt.channel}:{attempt.sub_mchid}",
    )
    # Keys that started the old attempt go on with the new one.
    keys = IdempotencyKey.filter(user_id=order.user_id, operation=PAY, result_id=old.id)
    await keys.update(result_id=attempt.id)
    return order, attempt
