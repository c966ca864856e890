"""Reading offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from models.offers import Offer


async def by_id(offer_id: UUID) -> Offer | None:
    return await Offer.get_or_none(id=offer_id)


async def any_offer() -> bool:
    return await Offer.exists()


async def by_ids(offer_ids: Sequence[UUID]) -> list[Offer | None]:
    """Return the offers in the order of their ids."""
    found = {offer.id: offer for offer in await Offer.filter(id__in=set(offer_ids))}
    return [found.get(offer_id) for offer_id in offer_ids]


async def open_now(*, first: int, after: UUID | None, now: datetime) -> list[Offer]:
    """Return up to `first` offers that can be taken now, newest first, behind the offer `after`."""
    rows = Offer.filter(starts_at__lte=now, ends_at__gt=now, stock_left__gt=0)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)
