"""Cards as clients are shown them, read without the ORM and without their sealed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from kernel.states import CardBrand
from models.lean import Row, Statement, fetch
from models.moments import read_kept, read_kept_or_none, shown

BRANDS: dict[str, CardBrand] = {each: each for each in CardBrand}

BY_IDS = Statement(
    postgres="SELECT id, brand, number_tail, "  # noqa: S608 - names of our own
    f"{shown('created_at')}, {shown('checked_at')}, organisation_id, {shown('unbound_at')} "
    "FROM fuel_card WHERE id = ANY($1::uuid[]) ORDER BY id",
    sqlite="SELECT id, brand, number_tail, created_at, checked_at, organisation_id, unbound_at "
    "FROM fuel_card WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
)


class CardFacts(NamedTuple):
    """What clients are shown of one row of the table of cards, which has the same names for it.

    Moments are texts as `kernel.clock.written` writes them.
    """

    id: UUID
    brand: CardBrand
    number_tail: str
    created_at: str
    checked_at: str | None
    organisation_id: UUID | None
    unbound_at: str | None


async def by_ids(card_ids: Sequence[UUID]) -> dict[UUID, CardFacts]:
    return {facts.id: facts for facts in map(_read, await fetch(BY_IDS, card_ids))}


def shown_of(
    card_id: UUID,
    brand: str,
    tail: str,
    created_at: str,
    checked_at: str | None,
    organisation_id: str | None,
    unbound_at: str | None,
) -> CardFacts:
    """Return a card of texts as JSON has them."""
    organisation = UUID(organisation_id) if organisation_id else None
    return CardFacts(card_id, BRANDS[brand], tail, created_at, checked_at, organisation, unbound_at)


def _read(row: Row) -> CardFacts:
    card_id, brand, tail, created_at, checked_at, organisation_id, unbound_at = row
    if isinstance(card_id, str):
        return CardFacts(
            UUID(card_id), BRANDS[brand], tail, read_kept(created_at), read_kept_or_none(checked_at),
            UUID(organisation_id) if organisation_id else None, read_kept_or_none(unbound_at),
        )  # fmt: skip
    return CardFacts(card_id, BRANDS[brand], tail, created_at, checked_at, organisation_id, unbound_at)
