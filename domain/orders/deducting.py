"""Deducting by a mandate: asked for under one number, and settled by what the channel says of it.

Unknown means pending. The channel is asked again only for what it does not know, under the same number, while the
mandate is in force; so nothing is deducted twice, and nothing behind a revocation.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.mandates import covering, settling
from domain.mandates.rules import MandateNotActive
from domain.orders.confirming import close_attempt, confirm_payment
from domain.orders.lifecycle import Trigger
from domain.orders.policy import Policy
from domain.orders.queries import by_id
from domain.orders.transitions import advance, lock
from domain.payments import operations as payments
from domain.payments.contracts import DEDUCTED, DeductionFacts, DeductionRequest, DeductionState
from domain.payments.deductions import as_trade, contracts_of
from domain.payments.operations import PaymentRefused
from domain.payments.ports import ChannelRefused, Channels, ChannelUnavailable
from kernel.states import OrderState, PaymentState
from models.database import transactional
from models.orders import RechargeOrder
from models.payments import PaymentAttempt

DESCRIPTION = "油卡免密充值"


class Denied(StrEnum):
    """Why the channel is not asked: somebody else does or did, or the mandate is not in force any more."""

    TAKEN = "TAKEN"
    NOT_IN_FORCE = "NOT_IN_FORCE"


@dataclass(frozen=True, slots=True)
class Claim:
    """The contract to ask by, or why the channel is not asked."""

    contract_id: str = ""
    denied: Denied | None = None


async def ask(
    *, attempt: PaymentAttempt, channels: Channels, actor: str, policy: Policy, again: bool, now: datetime
) -> RechargeOrder:
    """Ask the channel for the deduction of an attempt, and return the order, which waits for the answer.

    Without `again` only where it was never asked. No answer settles nothing: work asks how it stands. Raises
    MandateNotActive where the mandate is over and nothing was asked for, PaymentRefused or UnknownChannel.
    """
    if attempt.state is not PaymentState.OPEN or (attempt.asked_at is not None and not again):
        return await by_id(attempt.order_id)
    assert attempt.mandate_id is not None
    contracts = contracts_of(attempt, channels)
    claim = await _claim(attempt.id, attempt.asked_at, actor, now)
    if claim.denied is Denied.NOT_IN_FORCE:
        raise MandateNotActive
    if claim.denied is Denied.TAKEN:
        return await by_id(attempt.order_id)
    request = DeductionRequest(attempt.out_trade_no, claim.contract_id, attempt.amount_fen, DESCRIPTION)
    try:
        await contracts.deduct(request)
    except ChannelUnavailable:
        return await by_id(attempt.order_id)
    except ChannelRefused as error:
        # Maybe the user has ended the contract at the channel, and nobody has told us.
        with contextlib.suppress(ChannelUnavailable, ChannelRefused):
            await settling.watch(mandate_id=attempt.mandate_id, contracts=contracts, soon=now, now=now)
        if await _has_failed(attempt, channels):
            await close_attempt(out_trade_no=attempt.out_trade_no, actor=actor, reason=error.code, now=now)
            raise PaymentRefused from error
    return await by_id(attempt.order_id)


@transactional
async def _claim(attempt_id: UUID, seen: datetime | None, actor: str, now: datetime) -> Claim:
    """Note that the channel is asked now, and return the contract to ask by, or why it is not asked.

    An attempt that the channel has never heard of ends here where the mandate is over.
    """
    never_asked = seen is None
    attempt = await PaymentAttempt.get(id=attempt_id)
    order = await lock(attempt.order_id)
    assert attempt.mandate_id is not None
    contract_id = await covering.contract_in_force(mandate_id=attempt.mandate_id, now=now)
    await attempt.refresh_from_db()
    if order.state is not OrderState.PAYING or attempt.state is not PaymentState.OPEN or attempt.asked_at != seen:
        return Claim(denied=Denied.TAKEN)
    if contract_id is None or now >= order.pay_deadline_at:
        if never_asked:
            await payments.mark_closed(attempt=attempt, now=now)
            await advance(order, Trigger.CLOSE_ATTEMPT, actor=actor, now=now, reason="the mandate is over")
            return Claim(denied=Denied.NOT_IN_FORCE)
        return Claim(denied=Denied.TAKEN)
    await PaymentAttempt.filter(id=attempt.id).update(asked_at=now)
    return Claim(contract_id)


async def _has_failed(attempt: PaymentAttempt, channels: Channels) -> bool:
    """Return whether a refusal is the end: what was accepted before refuses to be asked for otherwise."""
    try:
        facts = await contracts_of(attempt, channels).query_deduction(attempt.out_trade_no)
    except (ChannelUnavailable, ChannelRefused):
        return False
    return facts.state in {DeductionState.NOT_FOUND, DeductionState.FAILED}


async def settle(*, out_trade_no: str, channels: Channels, actor: str, policy: Policy, now: datetime) -> bool:
    """Find out how a deduction ended, and return whether it has.

    One that was given up is asked about once more when nothing can be under way any more: what was deducted all the
    same is booked and paid back. Raises ChannelUnavailable, ChannelRefused, UnknownChannel, PaymentRefused,
    MandateNotActive, and the errors of `confirm_payment`.
    """
    attempt = await PaymentAttempt.get(out_trade_no=out_trade_no)
    if attempt.state is PaymentState.PAID or (attempt.state is PaymentState.CLOSED and attempt.asked_at is None):
        return True
    if attempt.asked_at is None:
        await ask(attempt=attempt, channels=channels, actor=actor, policy=policy, again=False, now=now)
        return False
    is_over = now >= attempt.asked_at + policy.deduction_lost_after
    if attempt.state is PaymentState.CLOSED and not is_over:
        return False
    facts = await contracts_of(attempt, channels).query_deduction(out_trade_no)
    if facts.state is not DeductionState.NOT_FOUND:
        return await apply(facts=facts, channels=channels, actor=actor, policy=policy, now=now)
    if attempt.state is PaymentState.OPEN:
        await ask(attempt=attempt, channels=channels, actor=actor, policy=policy, again=True, now=now)
        if is_over:
            await _give_up(attempt.id, attempt.asked_at, actor, now)
        return False
    return True


@transactional
async def _give_up(attempt_id: UUID, seen: datetime, actor: str, now: datetime) -> None:
    """Close an attempt that the channel does not know and that nobody asks for any more."""
    attempt = await PaymentAttempt.get(id=attempt_id)
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    if order.state is OrderState.PAYING and attempt.state is PaymentState.OPEN and attempt.asked_at == seen:
        await payments.mark_closed(attempt=attempt, now=now)
        await advance(order, Trigger.CLOSE_ATTEMPT, actor=actor, now=now, reason="the channel was never reached")


async def apply(*, facts: DeductionFacts, channels: Channels, actor: str, policy: Policy, now: datetime) -> bool:
    """Apply what a verified callback or a query says of a deduction, and return whether that ends it.

    A copy changes nothing. Raises the errors of `confirm_payment`.
    """
    if facts.state in DEDUCTED:
        await confirm_payment(facts=as_trade(facts), channels=channels, actor=actor, policy=policy, now=now)
        return True
    if facts.state is DeductionState.FAILED:
        await close_attempt(
            out_trade_no=facts.out_trade_no, actor=actor, reason="the channel could not deduct", now=now
        )
        return True
    return False
