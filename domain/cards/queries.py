"""Reading cards; those of a person name the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.identity.viewer import Viewer
from models.cards import FuelCard


async def owned(*, viewer: Viewer, card_id: UUID) -> FuelCard | None:
    return await FuelCard.get_or_none(id=card_id, user_id=viewer.user_id)


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None) -> list[FuelCard]:
    """Return up to `first` cards, newest first, behind the card `after`."""
    rows = FuelCard.filter(user_id=viewer.user_id)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def by_ids(card_ids: Sequence[UUID]) -> list[FuelCard]:
    """Return the cards in the order of their ids, for rows that name them and were authorised themselves."""
    found = {card.id: card for card in await FuelCard.filter(id__in=set(card_ids))}
    return [found[card_id] for card_id in card_ids]
