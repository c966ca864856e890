"""Reading cards; those of a person name the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain.cards import facts
from domain.cards.facts import CardFacts
from domain.identity.viewer import Viewer
from domain.organisations import queries as organisations
from domain.organisations.membership import membership
from kernel.errors import YoukaError
from models.cards import FuelCard


class CardNotFound(YoukaError):
    """Also where the card is somebody else's: the answer must not tell the two apart."""

    code = "CARD_NOT_FOUND"
    messages = {"zh-CN": "油卡不存在", "en": "There is no such card"}


async def owned(*, viewer: Viewer, card_id: UUID) -> FuelCard | None:
    """Return a card that the viewer has bound and not handed over."""
    return await FuelCard.get_or_none(
        id=card_id, user_id=viewer.user_id, organisation_id__isnull=True, unbound_at__isnull=True
    )


async def usable(*, viewer: Viewer, card_id: UUID) -> FuelCard | None:
    """Return a card that the viewer may recharge: their own, or one that an organisation shares with them."""
    card = await FuelCard.get_or_none(id=card_id, unbound_at__isnull=True)
    if card is None or card.organisation_id is None:
        return card if card and card.user_id == viewer.user_id else None
    return card if await organisations.recharges(viewer=viewer, card=card) else None


async def visible(*, viewer: Viewer, card_id: UUID) -> FuelCard | None:
    """Return a card that the viewer may recharge, or look after for an organisation."""
    card = await FuelCard.get_or_none(id=card_id, unbound_at__isnull=True)
    if card is None or card.organisation_id is None:
        return card if card and card.user_id == viewer.user_id else None
    return card if await organisations.sees_card(viewer=viewer, card=card) else None


async def required(*, viewer: Viewer, card_id: UUID | None) -> FuelCard:
    """Return a card that the viewer may recharge. Raises CardNotFound."""
    card = await usable(viewer=viewer, card_id=card_id) if card_id else None
    if card is None:
        raise CardNotFound
    return card


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None) -> list[FuelCard]:
    """Return up to `first` cards that the viewer may recharge, newest first, behind the card `after`."""
    reach = await organisations.reach(viewer=viewer)
    own = Q(user_id=viewer.user_id, organisation_id__isnull=True, unbound_at__isnull=True)
    return await _page(FuelCard.filter(own | _shared(reach)), first, after)


async def of_organisation(
    *, viewer: Viewer, organisation_id: UUID, first: int, after: UUID | None
) -> list[FuelCard] | None:
    """Return up to `first` cards of an organisation, all to who looks after them and else those that are shared.

    None to who does not belong to it.
    """
    found = await membership(viewer=viewer, organisation_id=organisation_id)
    if found is None:
        return None
    rows = FuelCard.filter(organisation_id=organisation_id)
    if not found.standing.sees_every_card:
        rows = rows.filter(_shared(await organisations.reach(viewer=viewer)))
    return await _page(rows, first, after)


def _shared(reach: organisations.Reach) -> Q:
    by_name = Q(id__in=reach.recharge_cards, organisation_id__isnull=False)
    return Q(organisation_id__in=reach.recharges) | by_name


async def _page(rows: QuerySet[FuelCard], first: int, after: UUID | None) -> list[FuelCard]:
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def by_ids(card_ids: Sequence[UUID]) -> list[CardFacts | LookupError]:
    """Return the cards in the order of their ids, for rows that name them and were authorised themselves.

    A card that was unbound since is among them. Who asks for one that there is not is alone in its error, whoever asked
    together with them."""
    found = await facts.by_ids(list(set(card_ids)))
    return [found.get(card_id) or LookupError(f"there is no card {card_id}") for card_id in card_ids]
