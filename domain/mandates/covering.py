"""Whether a mandate covers an order, for the transaction that begins to deduct and for who only wants to know."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.mandates import queries
from domain.mandates.rules import MandateNotActive, check_deduction, in_force
from domain.mandates.transitions import lock
from domain.risk import rules as risk
from kernel.errors import YoukaError
from kernel.money import Money
from kernel.states import ReviewState
from models.mandates import Mandate
from models.orders import RechargeOrder


async def require(*, order: RechargeOrder, limits: risk.Limits, now: datetime) -> Mandate:
    """Return the locked mandate that pays for a locked order, in the transaction that writes the attempt.

    The lock makes deductions of one mandate take turns, so that together they keep to the cap of the day. Raises
    MandateNotActive, MandateCardNotAllowed, MandateCapExceeded, PayerNeeded or TooManyUnattended.
    """
    found = await queries.active_of(order.user_id)
    if found is None:
        raise MandateNotActive
    mandate = await lock(found.id)
    takes_a_face = order.review_state is ReviewState.REQUIRED
    await _check(mandate, order.card_id, Money(order.price_fen), takes_a_face, limits, now)
    return mandate


async def check(*, order: RechargeOrder, limits: risk.Limits, now: datetime) -> None:
    """Look, without a lock, whether `require` would refuse. Raises what that raises."""
    mandate = await queries.active_of(order.user_id)
    if mandate is None:
        raise MandateNotActive
    takes_a_face = order.review_state is ReviewState.REQUIRED
    await _check(mandate, order.card_id, Money(order.price_fen), takes_a_face, limits, now)


async def covers(*, user_id: UUID, card_id: UUID, amount: Money, limits: risk.Limits, now: datetime) -> bool:
    """Return whether a mandate would pay so much for the card now; deciding is left to `require`."""
    mandate = await queries.active_of(user_id)
    if mandate is None:
        return False
    try:
        await _check(mandate, card_id, amount, amount.fen > limits.review_above_fen, limits, now)
    except YoukaError:
        return False
    return True


async def _check(
    mandate: Mandate, card_id: UUID, amount: Money, takes_a_face: bool, limits: risk.Limits, now: datetime
) -> None:
    used = await queries.used(user_id=mandate.user_id, now=now)
    check_deduction(await queries.terms_of(mandate), card_id=card_id, amount=amount, used=used, now=now)
    risk.check_unattended(takes_a_face=takes_a_face, paid_today=used.count, limits=limits)


async def contract_in_force(*, mandate_id: UUID, now: datetime) -> str | None:
    """Return the contract to deduct by, holding the mandate's lock, or None where it may not be used any more."""
    mandate = await lock(mandate_id)
    return mandate.contract_id if in_force(mandate.state, mandate.expires_at, now) else None
