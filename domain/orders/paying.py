"""Starting to pay an order: rows 2 and 3 of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.account import payment_passwords
from domain.identity import idempotency
from domain.identity.ports import FaceVerifier
from domain.identity.viewer import Viewer
from domain.mandates import covering
from domain.orders import deducting, face_checks, for_organisations, queries
from domain.orders.choosing import SILENT, WALLET, Route, accepted_methods, behind, method_of, routes_of
from domain.orders.confirming import capture, close_attempt, confirm_payment
from domain.orders.lifecycle import Trigger
from domain.orders.policy import Policy
from domain.orders.transitions import advance, lock
from domain.payments import operations as payments
from domain.payments import payers, wallet
from domain.payments.closing import made_unpayable
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.payers import PayerUnknown
from domain.payments.ports import (
    PAID_TRADES,
    AlipayParameters,
    ChannelRefused,
    Channels,
    ChannelUnavailable,
    PaymentParameters,
    PrepayRequest,
)
from domain.payments.queries import open_attempt_of
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.states import OrderState, PaymentMethod, PaymentState, ReviewState
from models.database import transactional
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
    """The order, and what `wx.requestPayment` or `my.tradePay` needs.

    Nothing is needed where the wallet has paid already, or a mandate pays.
    """

    order: RechargeOrder
    parameters: PaymentParameters | None
    alipay: AlipayParameters | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """One wish to pay. The key lets it start once, whatever route it takes in the end."""

    viewer: Viewer
    order_id: UUID
    key: str
    accepted: tuple[PaymentMethod, ...]
    face_token: str | None
    policy: Policy

    @property
    def input_hash(self) -> str:
        # The ways count only where they are not the one that everybody used before there was a choice.
        ways = self.accepted if self.accepted != (PaymentMethod.WECHAT_PAY,) else ()
        return idempotency.hash_of(str(self.order_id), *ways)


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
    alternatives: Sequence[PaymentMethod] = (),
    face_token: str | None = None,
    alipay_code: str | None = None,
    payment_password: payment_passwords.Given | None = None,
) -> StartedPayment:
    """Open an attempt (row 2), or find the open one again, and return what the client hands to the channel.

    The attempt is committed before the channel hears of it, so a payment can never be without its row; an attempt
    that the channel did not answer stays open and is prepaid again under the same number, or gives way to the next
    route once it is certainly closed (row 3). So does one by a way that the client has not named. The wallet pays at
    once.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, OrderNotFound, OrderNotPayable, PaymentDeadlinePassed,
    TooManyPaymentAttempts, PaymentMethodUnavailable, PayerUnknown, PaymentRefused, PaymentUnavailable,
    WalletInsufficient, and the errors of `face_checks`, `payment_passwords.require` and
    `domain.mandates.covering.require`.
    """
    idempotency.check_key(idempotency_key)
    order = await queries.require_owned(viewer=viewer, order_id=order_id)
    accepted = accepted_methods(method=method, alternatives=alternatives, channels=channels)
    payment = Payment(viewer, order.id, idempotency_key, accepted, face_token, policy)
    if alipay_code is not None and channels.alipay_payers and PaymentMethod.ALIPAY in accepted:
        await payers.link(viewer=viewer, code=alipay_code, payers=channels.alipay_payers, now=now)
    if method is PaymentMethod.WALLET:
        await payment_passwords.require(viewer=viewer, given=payment_password, now=now)
    routes = await routes_of(user_id=viewer.user_id, accepted=accepted, channels=channels)
    if PaymentMethod.MANDATE not in accepted:
        await _verify_face(order, face_token, face, now)
    try:
        order, attempt = await _open_attempt(payment, routes[0], now)
    except IntegrityError:
        # The same key, or another one, opened the attempt in a concurrent request.
        order, attempt = await _open_attempt(payment, routes[0], now)
    if not _is_accepted(attempt, payment):
        order, attempt = await _switch(payment, attempt, routes[0], channels, now)
    if wallet.is_wallet(attempt):
        return StartedPayment(await capture(attempt=attempt, actor=viewer.actor, policy=policy, now=now), None)
    if attempt.mandate_id:
        order = await deducting.ask(
            attempt=attempt, channels=channels, actor=viewer.actor, policy=policy, again=False, now=now
        )
        return StartedPayment(order, None)
    if attempt.prepay_id is None:
        order, attempt = await _prepay(payment, order, attempt, routes, channels, now)
    assert attempt.prepay_id is not None
    channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
    parameters = await channel.payment_parameters(prepay_id=attempt.prepay_id, now=now)
    if isinstance(parameters, AlipayParameters):
        return StartedPayment(order, None, parameters)
    return StartedPayment(order, parameters)


def _is_accepted(attempt: PaymentAttempt, payment: Payment) -> bool:
    """Return whether the open attempt may go on. What the wallet holds is taken in a moment, whatever is wished for."""
    return wallet.is_wallet(attempt) or method_of(attempt) in payment.accepted


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
    await for_organisations.require_payer(viewer=viewer, order=order)
    repeated = await idempotency.made_before(viewer=viewer, operation=PAY, key=key, input_hash=payment.input_hash)
    attempt = await open_attempt_of(order.id)
    if repeated and attempt is None:
        attempt = await PaymentAttempt.get(id=repeated)
        if attempt.mandate_id and attempt.state is PaymentState.CLOSED:
            raise PaymentRefused
        if method_of(attempt) in SILENT and order.state not in queries.UNPAID:
            # It is paid, and the client did not hear of it.
            return order, attempt
    if repeated and (attempt is None or attempt.id != repeated):
        raise OrderNotPayable
    if order.state not in queries.UNPAID or (repeated and order.state is not OrderState.PAYING):
        raise OrderNotPayable
    if now >= order.pay_deadline_at:
        raise PaymentDeadlinePassed
    if attempt is None:
        if order.review_state is ReviewState.REQUIRED and not route.by_mandate:
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
    mandate = None
    if route == WALLET:
        await wallet.require_balance(user_id=order.user_id, amount_fen=order.price_fen)
    elif route.by_mandate:
        mandate = await covering.require(order=order, limits=policy.limits, now=now)
    attempt = await payments.open_attempt(
        order=order,
        channel=route.channel,
        sub_mchid=route.sub_mchid,
        mandate_id=mandate.id if mandate else None,
        now=now,
    )
    if route == WALLET:
        await wallet.hold(attempt=attempt, now=now)
        kind, due_at = Kind.CAPTURE_WALLET, now
    elif mandate:
        kind, due_at = Kind.SETTLE_DEDUCTION, now + policy.payment_query_after
    else:
        kind, due_at = Kind.QUERY_PAYMENT, now + policy.payment_query_after
    payload = {"out_trade_no": attempt.out_trade_no}
    await schedule(kind=kind, key=attempt.out_trade_no, payload=payload, due_at=due_at, now=now)
    return attempt


async def _prepay(
    payment: Payment,
    order: RechargeOrder,
    attempt: PaymentAttempt,
    routes: Sequence[Route],
    channels: Channels,
    now: datetime,
) -> tuple[RechargeOrder, PaymentAttempt]:
    """Have the channel make the merchant order, trying one route after the other."""
    while True:
        channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
        request = await _request(order, attempt)
        try:
            attempt.prepay_id = await channel.prepay(request)
        except ChannelUnavailable as error:
            backup = behind(routes, attempt)
            if backup is None:
                raise PaymentUnavailable from error
            order, attempt = await _fail_over(payment, attempt, backup, channels, now)
        except ChannelRefused as error:
            backup = behind(routes, attempt)
            if backup is None:
                await _give_up_attempt(payment, attempt, channels, reason=error.code, now=now)
                raise PaymentRefused from error
            order, attempt = await _fail_over(payment, attempt, backup, channels, now)
        else:
            break
        if not _is_accepted(attempt, payment) or wallet.is_wallet(attempt):
            # Another request has decided otherwise in the meantime.
            raise PaymentUnavailable
    if not await payments.keep_prepay_id(attempt=attempt, prepay_id=attempt.prepay_id):
        # It was given up while the channel still made it; whoever got the parameters now would pay for nothing.
        raise OrderNotPayable
    return order, attempt


async def _request(order: RechargeOrder, attempt: PaymentAttempt) -> PrepayRequest:
    """Return what the channel is asked for, the same at every try. Raises PayerUnknown."""
    payer = await payers.payer_of(user_id=attempt.user_id, method=method_of(attempt))
    if payer is None:
        raise PayerUnknown
    return PrepayRequest(
        out_trade_no=attempt.out_trade_no,
        amount_fen=attempt.amount_fen,
        description=DESCRIPTION,
        openid=payer,
        expires_at=order.pay_deadline_at,
    )


async def _switch(
    payment: Payment, attempt: PaymentAttempt, route: Route, channels: Channels, now: datetime
) -> tuple[RechargeOrder, PaymentAttempt]:
    """Pay by another way what the user had begun to pay. Raises PaymentUnavailable where that is not certain yet."""
    if route == WALLET:
        await wallet.require_balance(user_id=payment.viewer.user_id, amount_fen=attempt.amount_fen)
    elif route.by_mandate:
        order = await queries.require_owned(viewer=payment.viewer, order_id=payment.order_id)
        await covering.check(order=order, limits=payment.policy.limits, now=now)
    order, attempt = await _fail_over(payment, attempt, route, channels, now)
    if not _is_accepted(attempt, payment):
        # Another request was faster, and wishes for something else.
        raise PaymentUnavailable
    return order, attempt


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
        await _keys(payment, attempt, all_of=None)
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
    # Keys that started the old attempt go on with the new one where their clients can: by the same channel, or with
    # the wallet, where nothing is left to do. Another channel is the answer to this wish alone.
    goes_on = method_of(attempt) is method_of(old) or wallet.is_wallet(attempt)
    await _keys(payment, attempt, all_of=old if goes_on else None)
    return order, attempt


async def _keys(payment: Payment, attempt: PaymentAttempt, *, all_of: PaymentAttempt | None) -> None:
    """Let the key of this wish, or all keys of an older attempt, find the attempt."""
    keys = IdempotencyKey.filter(user_id=payment.viewer.user_id, operation=PAY)
    mine = keys.filter(result_id=all_of.id) if all_of else keys.filter(key=payment.key)
    await mine.update(result_id=attempt.id)
