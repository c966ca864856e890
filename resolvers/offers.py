"""Offers."""

from __future__ import annotations

from uuid import UUID

from domain.offers import queries
from schema.types.context import Info
from schema.types.offers import Offer, OfferConnection
from schema.types.prices import After, First
from schema.types.relay import Page


async def offers(info: Info, first: First = 20, after: After = None) -> OfferConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    if info.context.services.switches.state.marketing_hidden:
        return page.connection([], Offer.of)
    rows = await queries.open_now(first=page.limit, after=page.after_id, now=info.context.now)
    return page.connection(rows, Offer.of)


async def offer_by_key(info: Info, key: UUID) -> Offer | None:
    row = await info.context.loaders.offers.load(key)
    return Offer.of(row) if row else None
