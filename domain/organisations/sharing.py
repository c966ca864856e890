"""Cards of an organisation: handing one over, taking it back, and sharing them with members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.organisations.chronicle import note
from domain.organisations.members import require_reach
from domain.organisations.membership import locked, locked_with, membership
from domain.organisations.policy import OrganisationPolicy
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.organisation_states import OrganisationAction, OrganisationPermission
from models.cards import FuelCard
from models.database import transactional
from models.organisations import OrganisationMember, OrganisationMemberCard

MASK = "**** {tail}"


class OrganisationCardNotFound(YoukaError):
    """Also where the card is somebody else's, or another organisation's: the answer must not tell them apart."""

    code = "ORGANISATION_CARD_NOT_FOUND"
    messages = {"zh-CN": "油卡不存在或不属于该企业", "en": "There is no such card, or it is not the organisation's"}


class CardThereAlready(YoukaError):
    code = "CARD_THERE_ALREADY"
    messages = {"zh-CN": "该卡号已在企业卡列表中", "en": "The organisation has a card of this number already"}


class TooManyOrganisationCards(YoukaError):
    code = "TOO_MANY_ORGANISATION_CARDS"
    messages = {"zh-CN": "企业最多{maximum}张油卡", "en": "The organisation can have {maximum} cards at most"}


async def add(
    *, viewer: Viewer, organisation_id: UUID | None, card_id: UUID | None, policy: OrganisationPolicy, now: datetime
) -> FuelCard:
    """Hand a card of the viewer's own over to the organisation; doing it again returns it.

    Raises OrganisationCardNotFound, CardThereAlready, TooManyOrganisationCards and the errors of `membership.locked`.
    """
    try:
        return await _add(viewer, organisation_id, card_id, policy, now)
    except IntegrityError as error:
        # Two members have bound the same number, and the other one's is there.
        raise CardThereAlready from error


@transactional
async def _add(
    viewer: Viewer, organisation_id: UUID | None, card_id: UUID | None, policy: OrganisationPolicy, now: datetime
) -> FuelCard:
    # A card is unbound under the same lock.
    await lock_user(viewer=viewer)
    asking = await locked(
        viewer=viewer, organisation_id=organisation_id, permission=OrganisationPermission.MANAGE_CARDS
    )
    bound = FuelCard.filter(user_id=viewer.user_id, unbound_at__isnull=True)
    card = await bound.get_or_none(id=card_id) if card_id else None
    if card is None or card.organisation_id not in {None, asking.organisation.id}:
        raise OrganisationCardNotFound
    if card.organisation_id is not None:
        return card
    if await FuelCard.filter(organisation_id=asking.organisation.id).count() >= policy.cards_max:
        raise TooManyOrganisationCards(maximum=policy.cards_max)
    own = FuelCard.filter(id=card.id, organisation_id__isnull=True)
    if await own.update(organisation_id=asking.organisation.id) != 1:
        raise OrganisationCardNotFound
    card.organisation_id = asking.organisation.id
    await note(OrganisationAction.CARD_ADDED, by=asking, after={"card": _shown(card)}, now=now)
    return card


@transactional
async def remove(*, viewer: Viewer, card_id: UUID | None, now: datetime) -> FuelCard:
    """Give a card back to who had bound it; what was ordered for it stays the organisation's.

    Raises OrganisationCardNotFound and the errors of `membership.locked`.
    """
    card = await FuelCard.get_or_none(id=card_id) if card_id else None
    organisation_id = card.organisation_id if card else None
    if card is None or await membership(viewer=viewer, organisation_id=organisation_id) is None:
        raise OrganisationCardNotFound
    asking = await locked(
        viewer=viewer, organisation_id=organisation_id, permission=OrganisationPermission.MANAGE_CARDS
    )
    await OrganisationMemberCard.filter(card_id=card.id).delete()
    if await FuelCard.filter(id=card.id, organisation_id=organisation_id).update(organisation_id=None) != 1:
        raise OrganisationCardNotFound
    card.organisation_id = None
    await note(OrganisationAction.CARD_REMOVED, by=asking, before={"card": _shown(card)}, now=now)
    return card


@transactional
async def share(
    *, viewer: Viewer, member_id: UUID | None, all_cards: bool, card_ids: Sequence[UUID | None], now: datetime
) -> OrganisationMember:
    """Say which cards a member may recharge: all that there are and will be, or these and no others.

    Raises OrganisationCardNotFound and the errors of `membership.locked_with`.
    """
    asking, member = await locked_with(
        viewer=viewer, member_id=member_id, permission=OrganisationPermission.MANAGE_CARDS
    )
    require_reach(asking, member.role)
    wanted = set() if all_cards else set(card_ids)
    cards = await FuelCard.filter(id__in=[each for each in wanted if each], organisation_id=asking.organisation.id)
    if len(cards) != len(wanted):
        raise OrganisationCardNotFound
    before = await _named(member)
    await OrganisationMemberCard.filter(member_id=member.id).delete()
    rows = [OrganisationMemberCard(id=new_id(), member_id=member.id, card_id=card.id) for card in cards]
    await OrganisationMemberCard.bulk_create(rows)
    await OrganisationMember.filter(id=member.id).update(all_cards=all_cards)
    member.all_cards = all_cards
    after = await _named(member)
    if before != after:
        await note(OrganisationAction.CARDS_SHARED, by=asking, about=member.id, before=before, after=after, now=now)
    return member


async def _named(member: OrganisationMember) -> dict[str, object]:
    """Return what is shared with a member, as the log shows it."""
    if member.all_cards:
        return {"allCards": True}
    rows = await OrganisationMemberCard.filter(member_id=member.id).select_related("card").order_by("card_id")
    return {"cards": ", ".join(_shown(row.card) for row in rows)}


def _shown(card: FuelCard) -> str:
    return MASK.format(tail=card.number_tail)
