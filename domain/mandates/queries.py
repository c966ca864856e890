"""Reading mandates; those of a person name the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tortoise.functions import Count, Sum

from domain.identity.viewer import Viewer
from domain.mandates.rules import Caps, Terms, Used
from domain.organisations.membership import organisations_of
from kernel.clock import start_of_business_day
from kernel.errors import YoukaError
from kernel.states import MandateState, PaymentState
from models.cards import FuelCard
from models.mandates import Mandate, MandateCard
from models.orders import RechargeOrder
from models.payments import PaymentAttempt


class MandateNotFound(YoukaError):
    """Also where the mandate is somebody else's: the answer must not tell the two apart."""

    code = "MANDATE_NOT_FOUND"
    messages = {"zh-CN": "免密支付授权不存在", "en": "There is no such mandate"}


async def owned(*, viewer: Viewer, mandate_id: UUID) -> Mandate | None:
    return await Mandate.get_or_none(id=mandate_id, user_id=viewer.user_id)


async def require_owned(*, viewer: Viewer, mandate_id: UUID | None) -> Mandate:
    """Raises MandateNotFound; an id of None is one that names no mandate."""
    mandate = await owned(viewer=viewer, mandate_id=mandate_id) if mandate_id else None
    if mandate is None:
        raise MandateNotFound
    return mandate


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None) -> list[Mandate]:
    """Return up to `first` mandates, newest first, behind the one `after`."""
    rows = Mandate.filter(user_id=viewer.user_id)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def cards_of(mandate_ids: Sequence[UUID]) -> list[list[FuelCard]]:
    """Return the cards of each mandate, in the order of their ids, for mandates that were authorised.

    A card of an organisation is left out where its user belongs to that no more.
    """
    found: dict[UUID, list[FuelCard]] = {mandate_id: [] for mandate_id in mandate_ids}
    rows = await MandateCard.filter(mandate_id__in=list(found)).order_by("mandate_id", "card_id")
    cards = {card.id: card for card in await FuelCard.filter(id__in=[row.card_id for row in rows])}
    owners = {card.organisation_id for card in cards.values() if card.organisation_id}
    belongs = await organisations_of([row.user_id for row in rows], owners) if owners else set()
    for row in rows:
        card = cards[row.card_id]
        if card.organisation_id is None or (row.user_id, card.organisation_id) in belongs:
            found[row.mandate_id].append(card)
    return [found[mandate_id] for mandate_id in mandate_ids]


async def active_of(user_id: UUID) -> Mandate | None:
    return await Mandate.get_or_none(user_id=user_id, state=MandateState.ACTIVE)


async def terms_of(mandate: Mandate) -> Terms:
    cards = [row.card_id for row in await MandateCard.filter(mandate_id=mandate.id)]
    caps = Caps(mandate.transaction_max_fen, mandate.daily_max_fen)
    return Terms(mandate.state, caps, frozenset(cards), mandate.expires_at)


async def used(*, user_id: UUID, now: datetime) -> Used:
    """Return what was deducted from the user today, in Asia/Shanghai, under whichever mandate.

    What is under way counts, and so does what was paid back since: only a deduction that did not happen is none.
    """
    today = PaymentAttempt.filter(
        user_id=user_id,
        mandate_id__isnull=False,
        created_at__gte=start_of_business_day(now),
        state__not=PaymentState.CLOSED,
    )
    (found,) = await today.annotate(total=Sum("amount_fen"), number=Count("id")).values("total", "number")
    return Used(found["total"] or 0, found["number"] or 0)


async def under_way(*, mandate_id: UUID) -> list[RechargeOrder]:
    """Return the orders whose deductions the channel was asked for and has not settled, oldest first."""
    asked = PaymentAttempt.filter(mandate_id=mandate_id, state=PaymentState.OPEN, asked_at__isnull=False)
    order_ids = await asked.values_list("order_id", flat=True)
    return await RechargeOrder.filter(id__in=list(order_ids)).order_by("id")
