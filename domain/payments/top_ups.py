"""Paying money into the wallet. It is the customer's own, so a payment that comes late is credited all the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity import idempotency
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.ledger import postings
from domain.ledger.error_entries import note_error
from domain.ledger.operations import post
from domain.ledger.queries import wallet_balances
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
    TradeFacts,
    TradeState,
)
from domain.payments.rules import Expected, PaymentMismatch, check_payment
from domain.payments.watching import usable
from domain.risk import rules as risk
from domain.work.operations import Kind, schedule
from kernel.ids import new_id, numbered
from kernel.money import Money
from kernel.states import ErrorKind, PaymentMethod, PaymentState
from models.database import transactional
from models.identity import User
from models.payments import WalletTopUp

TOP_UP = "topUpWallet"
DESCRIPTION = "油卡钱包充值"


class UnexpectedTopUp(Exception):
    """A payment into the wallet that somebody else has refunded. A person must look at it."""


@dataclass(frozen=True, slots=True)
class StartedTopUp:
    """The top-up, and what `wx.requestPayment` needs; nothing where it is settled already."""

    top_up: WalletTopUp
    parameters: PaymentParameters | None


async def start(
    *,
    viewer: Viewer,
    yuan: Decimal,
    idempotency_key: str,
    channels: Channels,
    limits: risk.Limits,
    pay_within: timedelta,
    query_after: timedelta,
    now: datetime,
) -> StartedTopUp:
    """Begin to pay into the viewer's wallet, or continue what the same key began.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, PaymentUnavailable, PaymentRefused, and the errors of
    `domain.risk.rules`.
    """
    idempotency.check_key(idempotency_key)
    amount = risk.amount_of(yuan)
    input_hash = idempotency.hash_of(str(amount.fen))
    deadline_at = now + pay_within
    route, *_ = await usable(channels=channels, methods=[PaymentMethod.WECHAT_PAY])
    try:
        top_up = await _open(
            viewer, amount, idempotency_key, input_hash, route, limits, deadline_at, now + query_after, now
        )
    except IntegrityError:
        # The same key won the race in another request.
        top_up = await _open(
            viewer, amount, idempotency_key, input_hash, route, limits, deadline_at, now + query_after, now
        )
    if top_up.state is not PaymentState.OPEN:
        return StartedTopUp(top_up, None)
    channel = channels.of(name=top_up.channel, sub_mchid=top_up.sub_mchid)
    prepay_id = top_up.prepay_id or await _prepay(viewer, top_up, channels)
    parameters = await channel.payment_parameters(prepay_id=prepay_id, now=now)
    assert isinstance(parameters, PaymentParameters)
    return StartedTopUp(top_up, parameters)


@transactional
async def _open(
    viewer: Viewer,
    amount: Money,
    key: str,
    input_hash: str,
    route: PaymentChannel,
    limits: risk.Limits,
    deadline_at: datetime,
    query_at: datetime,
    now: datetime,
) -> WalletTopUp:
    await lock_user(viewer=viewer)
    repeated = await idempotency.made_before(viewer=viewer, operation=TOP_UP, key=key, input_hash=input_hash)
    if repeated:
        return await WalletTopUp.get(id=repeated, user_id=viewer.user_id)
    (balance,) = await wallet_balances([viewer.user_id])
    risk.check_top_up(amount, balance=balance, limits=limits)
    identifier = new_id()
    top_up = await WalletTopUp.create(
        id=identifier,
        user_id=viewer.user_id,
        channel=route.name,
        sub_mchid=route.sub_mchid,
        out_trade_no=numbered(identifier, 1),
        amount_fen=amount.fen,
        state=PaymentState.OPEN,
        pay_deadline_at=deadline_at,
        created_at=now,
    )
    await idempotency.remember(
        viewer=viewer, operation=TOP_UP, key=key, input_hash=input_hash, result_id=top_up.id, now=now
    )
    await schedule(
        kind=Kind.QUERY_TOP_UP,
        key=top_up.out_trade_no,
        payload={"out_trade_no": top_up.out_trade_no},
        due_at=query_at,
        now=now,
    )
    return top_up


async def _prepay(viewer: Viewer, top_up: WalletTopUp, channels: Channels) -> str:
    payer = await User.get(id=viewer.user_id)
    request = PrepayRequest(
        out_trade_no=top_up.out_trade_no,
        amount_fen=top_up.amount_fen,
        description=DESCRIPTION,
        openid=payer.openid,
        expires_at=top_up.pay_deadline_at,
    )
    try:
        prepay_id = await channels.of(name=top_up.channel, sub_mchid=top_up.sub_mchid).prepay(request)
    except ChannelUnavailable as error:
        raise PaymentUnavailable from error
    except ChannelRefused as error:
        raise PaymentRefused from error
    await WalletTopUp.filter(id=top_up.id, state=PaymentState.OPEN).update(prepay_id=prepay_id)
    return prepay_id


async def by_out_trade_no(out_trade_no: str) -> WalletTopUp | None:
    return await WalletTopUp.get_or_none(out_trade_no=out_trade_no)


async def settle(*, top_up: WalletTopUp, channels: Channels, now: datetime) -> bool:
    """Ask the channel how a top-up stands, close it behind its deadline, and return whether it is settled.

    Raises ChannelUnavailable or ChannelRefused while that is not certain.
    """
    if top_up.state is not PaymentState.OPEN:
        return True
    expired = now >= top_up.pay_deadline_at
    channel = channels.of(name=top_up.channel, sub_mchid=top_up.sub_mchid)
    facts = await (made_unpayable(top_up, channels) if expired else channel.query(top_up.out_trade_no))
    if facts.state in PAID_TRADES:
        await confirm(facts=facts, channels=channels, now=now)
    elif expired or facts.state is TradeState.CLOSED:
        await WalletTopUp.filter(id=top_up.id, state=PaymentState.OPEN).update(
            state=PaymentState.CLOSED, settled_at=now
        )
    else:
        return False
    return True


@transactional
async def confirm(*, facts: TradeFacts, channels: Channels, now: datetime) -> WalletTopUp:
    """Credit a payment that a verified callback or a query tells of; a copy of it changes nothing.

    Raises PaymentMismatch, UnexpectedTopUp or UnknownChannel, for a person to look at.
    """
    top_up = await WalletTopUp.select_for_update().get(out_trade_no=facts.out_trade_no)
    channel = channels.of(name=top_up.channel, sub_mchid=top_up.sub_mchid)
    check_payment(facts, Expected(top_up.amount_fen, channel.app_id, channel.mchid, top_up.sub_mchid))
    if top_up.state is PaymentState.PAID:
        if top_up.transaction_id != facts.transaction_id:
            raise PaymentMismatch("transaction_id")
        return top_up
    if facts.state is not TradeState.SUCCESS:
        raise UnexpectedTopUp(f"top-up {top_up.id} is {facts.state}")
    await WalletTopUp.filter(id=top_up.id).update(
        state=PaymentState.PAID, transaction_id=facts.transaction_id, settled_at=now
    )
    await post(
        postings.topped_up(
            top_up_id=top_up.id,
            user_id=top_up.user_id,
            clearing=postings.channel_clearing(top_up.channel, top_up.sub_mchid),
            amount_fen=top_up.amount_fen,
        ),
        now=now,
    )
    if top_up.state is PaymentState.CLOSED:
        await note_error(
            kind=ErrorKind.LATE_TOP_UP,
            subject=top_up.out_trade_no,
            user_id=top_up.user_id,
            order_id=None,
            amount_fen=top_up.amount_fen,
            detail="paid after it was given up; credited all the same",
            now=now,
        )
    await top_up.refresh_from_db()
    return top_up


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None) -> list[WalletTopUp]:
    """Return up to `first` top-ups of the viewer, newest first, behind the one `after`."""
    rows = WalletTopUp.filter(user_id=viewer.user_id)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def owned(*, viewer: Viewer, top_up_id: UUID) -> WalletTopUp | None:
    return await WalletTopUp.get_or_none(id=top_up_id, user_id=viewer.user_id)
