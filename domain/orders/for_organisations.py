"""Orders for cards of an organisation: made within the member's limits, and paid while they belong to it.

Who pays is the member, like anybody else; the organisation says how much they may recharge, and for which cards.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.cards import queries as cards
from domain.cards.queries import CardNotFound
from domain.identity.viewer import Viewer
from domain.orders.queries import OrderNotFound
from domain.organisations import membership, spending
from kernel.money import Money
from models.cards import FuelCard
from models.orders import RechargeOrder
from models.organisations import OrganisationMember


async def claim(*, viewer: Viewer, card: FuelCard, amount: Money, now: datetime) -> OrganisationMember | None:
    """Return as which member the viewer orders, in the transaction that makes the order; None for a card of their own.

    The member's row stays locked: two recharges at once take turns, and a removal comes before this or behind the
    order. Raises CardNotFound, or MemberLimitExceeded with what is left.
    """
    if card.organisation_id is None:
        return None
    found = await membership.lock_own(viewer=viewer, organisation_id=card.organisation_id)
    current = await cards.required(viewer=viewer, card_id=card.id)
    if found is None or current.organisation_id != found.organisation.id:
        raise CardNotFound
    await spending.check(member=found.member, amount=amount, now=now)
    return found.member


async def look(*, viewer: Viewer, card_id: UUID, amount: Money, now: datetime) -> None:
    """Say, without a lock, whether `claim` would refuse. Raises what that raises."""
    card = await cards.required(viewer=viewer, card_id=card_id)
    found = await membership.membership(viewer=viewer, organisation_id=card.organisation_id)
    if found:
        await spending.check(member=found.member, amount=amount, now=now)


async def require_payer(*, viewer: Viewer, order: RechargeOrder) -> None:
    """Hold the member's row in the transaction that begins a payment. Raises OrderNotFound for who may not recharge."""
    if order.organisation_id is None:
        return
    found = await membership.lock_own(viewer=viewer, organisation_id=order.organisation_id)
    if found is None or not found.standing.recharges:
        raise OrderNotFound
