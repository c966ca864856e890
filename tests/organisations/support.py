"""An organisation and its people, and the steps that many tests take."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest

from domain.identity.viewer import Viewer
from domain.organisations import invitations, members, operations, sharing
from domain.organisations.invitations import Offered
from domain.organisations.policy import OrganisationPolicy
from domain.organisations.rules import CODE_CHARACTERS, NO_LIMITS, MemberLimits, check_character
from kernel.clock import utc_now
from kernel.organisation_states import OrganisationAction, OrganisationRole
from kernel.settings import Settings
from models.cards import FuelCard
from models.events import Event
from models.organisations import (
    Organisation,
    OrganisationInvitation,
    OrganisationLogEntry,
    OrganisationMember,
    OrganisationMemberCard,
)
from tests.factories import SEALER, SINOPEC_NUMBER, create_card, create_viewer

POLICY = OrganisationPolicy.of(Settings())
OWNER, ADMIN, ACCOUNTANT, DRIVER = OrganisationRole
Person = tuple[Viewer, OrganisationMember]


def some_code(seed: int = 0) -> str:
    """Return a code that is right."""
    drawn = random.Random(seed)
    body = "91310000" + "".join(drawn.choice(CODE_CHARACTERS) for _ in range(9))
    return body + check_character(body)


@dataclass(frozen=True)
class Firm:
    """An organisation with its founder, who has handed a card over."""

    organisation: Organisation
    owner: Viewer
    owner_member: OrganisationMember
    card: FuelCard

    async def join(
        self,
        role: OrganisationRole = DRIVER,
        *,
        viewer: Viewer | None = None,
        limits: MemberLimits = NO_LIMITS,
        all_cards: bool = True,
        by: Viewer | None = None,
    ) -> Person:
        """Let somebody in as they would come: invited, with the code."""
        viewer = viewer or await create_viewer()
        offered = Offered(name="张三", role=role, all_cards=all_cards, limits=limits)
        joined = await invitations.accept(
            viewer=viewer, code=(await self.invite(offered, by=by)).code, policy=POLICY, now=utc_now()
        )
        return viewer, joined.member

    async def invite(
        self, offered: Offered, *, by: Viewer | None = None, now: datetime | None = None
    ) -> invitations.Invited:
        return await invitations.invite(
            viewer=by or self.owner,
            organisation_id=self.organisation.id,
            offered=offered,
            sealer=SEALER,
            policy=POLICY,
            now=now or utc_now(),
        )

    async def remove(self, member: OrganisationMember, *, by: Viewer | None = None) -> OrganisationMember:
        return await members.remove(viewer=by or self.owner, member_id=member.id, now=utc_now())

    async def set_limits(
        self, member: OrganisationMember, limits: MemberLimits, *, by: Viewer | None = None
    ) -> OrganisationMember:
        return await members.set_limits(viewer=by or self.owner, member_id=member.id, limits=limits, now=utc_now())

    async def change_role(
        self, member: OrganisationMember, role: OrganisationRole, *, by: Viewer | None = None
    ) -> OrganisationMember:
        return await members.change_role(viewer=by or self.owner, member_id=member.id, role=role, now=utc_now())

    async def share(
        self,
        member: OrganisationMember,
        *cards: FuelCard,
        all_cards: bool = False,
        by: Viewer | None = None,
    ) -> OrganisationMember:
        ids = [card.id for card in cards]
        return await sharing.share(
            viewer=by or self.owner, member_id=member.id, all_cards=all_cards, card_ids=ids, now=utc_now()
        )

    async def add_card(self, card: FuelCard, *, by: Viewer | None = None) -> FuelCard:
        return await sharing.add(
            viewer=by or self.owner,
            organisation_id=self.organisation.id,
            card_id=card.id,
            policy=POLICY,
            now=utc_now(),
        )


async def create_firm(
    seed: int = 0, *, owner: Viewer | None = None, number: str = SINOPEC_NUMBER, name: str = "顺达运输"
) -> Firm:
    owner = owner or await create_viewer()
    founded = await operations.create(
        viewer=owner, name=name, credit_code=some_code(seed), policy=POLICY, now=utc_now()
    )
    firm = Firm(founded.organisation, owner, founded.member, await create_card(owner, number))
    await firm.add_card(firm.card)
    return firm


async def trace() -> list[int]:
    """Return how many rows there are of everything that a refusal must leave alone."""
    kinds = (OrganisationMember, OrganisationMemberCard, OrganisationInvitation, OrganisationLogEntry, Event)
    return [await kind.all().count() for kind in kinds]


async def standings(firm: Firm) -> Sequence[tuple[object, ...]]:
    """Return how every member stands."""
    rows = OrganisationMember.filter(organisation_id=firm.organisation.id).order_by("id")
    return list(
        await rows.values_list(
            "id", "role", "state", "all_cards", "recharge_max_fen", "daily_max_fen", "monthly_max_fen"
        )
    )


async def denied(firm: Firm, refusal: type[Exception], attempt: Awaitable[object]) -> None:
    """The refusal comes, and nothing has changed."""
    before = await trace(), await standings(firm)
    with pytest.raises(refusal):
        await attempt
    assert (await trace(), await standings(firm)) == before


async def actions(firm: Firm) -> list[OrganisationAction]:
    rows = OrganisationLogEntry.filter(organisation_id=firm.organisation.id).order_by("id")
    return [row.action for row in await rows]
