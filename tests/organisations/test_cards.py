"""Cards of an organisation: whose they are, with whom they are shared, and when they are not any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.cards import queries as cards
from domain.cards.operations import CardOwnedByOrganisation
from domain.cards.queries import CardNotFound
from domain.identity.viewer import Viewer
from domain.organisations import sharing
from domain.organisations.membership import OrganisationPermissionMissing
from domain.organisations.sharing import CardThereAlready, OrganisationCardNotFound, TooManyOrganisationCards
from kernel.clock import utc_now
from models.cards import FuelCard
from tests.factories import PETROCHINA_NUMBER, create_card, create_order, create_viewer
from tests.organisations.support import ACCOUNTANT, ADMIN, DRIVER, POLICY, Firm, create_firm, denied

ANOTHER_NUMBER = "1000111100000000002"


async def shown(viewer: Viewer) -> set[UUID]:
    return {card.id for card in await cards.of_viewer(viewer=viewer, first=50, after=None)}


async def listed(viewer: Viewer, firm: Firm) -> set[UUID] | None:
    found = await cards.of_organisation(viewer=viewer, organisation_id=firm.organisation.id, first=50, after=None)
    return {card.id for card in found} if found is not None else None


async def remove(firm: Firm, card: FuelCard, *, by: Viewer | None = None) -> FuelCard:
    return await sharing.remove(viewer=by or firm.owner, card_id=card.id, now=utc_now())


class TestWhoSeesThem:
    async def test_all_of_them_or_those_that_are_named(self, firm: Firm) -> None:
        named, member = await firm.join(DRIVER, all_cards=False)
        everything, _ = await firm.join(DRIVER, all_cards=True)
        second = await firm.add_card(await create_card(firm.owner, ANOTHER_NUMBER))
        assert (await shown(named), await shown(everything)) == (set(), {firm.card.id, second.id})
        await firm.share(member, second)
        assert (await shown(named), await listed(named, firm)) == ({second.id}, {second.id})
        assert await cards.usable(viewer=named, card_id=firm.card.id) is None
        assert await cards.visible(viewer=named, card_id=firm.card.id) is None
        await firm.share(member, firm.card)
        assert await shown(named) == {firm.card.id}
        await firm.share(member, all_cards=True)
        assert await shown(named) == {firm.card.id, second.id}

    async def test_who_looks_after_them_sees_all_and_recharges_what_is_shared(self, firm: Firm) -> None:
        for role in (ADMIN, ACCOUNTANT):
            viewer, _ = await firm.join(role, all_cards=False)
            assert (await shown(viewer), await listed(viewer, firm)) == (set(), {firm.card.id})
            assert await cards.visible(viewer=viewer, card_id=firm.card.id) is not None
            with pytest.raises(CardNotFound):
                await cards.required(viewer=viewer, card_id=firm.card.id)

    async def test_strangers_and_who_has_gone_see_none(self, firm: Firm) -> None:
        viewer, member = await firm.join(ADMIN)
        own = await create_card(viewer, PETROCHINA_NUMBER)
        assert await shown(viewer) == {firm.card.id, own.id}
        await firm.remove(member)
        assert await shown(viewer) == {own.id}
        for somebody in (viewer, await create_viewer()):
            assert await listed(somebody, firm) is None
            assert await cards.visible(viewer=somebody, card_id=firm.card.id) is None
            assert await cards.usable(viewer=somebody, card_id=firm.card.id) is None
            with pytest.raises(CardNotFound):
                await create_order(somebody, firm.card)

    async def test_who_comes_back_finds_nothing_of_before(self, firm: Firm) -> None:
        viewer, member = await firm.join(DRIVER, all_cards=False)
        await firm.share(member, firm.card)
        await firm.remove(member)
        await firm.join(DRIVER, viewer=viewer, all_cards=False)
        assert await shown(viewer) == set()


class TestHandingOver:
    async def test_it_is_the_organisations_and_not_the_founders_any_more(self, firm: Firm) -> None:
        card = await FuelCard.get(id=firm.card.id)
        assert card.organisation_id == firm.organisation.id
        assert (await firm.add_card(card)).id == card.id
        with pytest.raises(CardOwnedByOrganisation):
            await create_card(firm.owner)
        # It does not count among the founder's own.
        bound = await create_card(firm.owner, PETROCHINA_NUMBER)
        assert bound.organisation_id is None

    async def test_it_goes_back_to_who_had_bound_it(self, firm: Firm) -> None:
        admin, _ = await firm.join(ADMIN)
        given = await firm.add_card(await create_card(admin, PETROCHINA_NUMBER), by=admin)
        driver, member = await firm.join(DRIVER, all_cards=False)
        await firm.share(member, given)
        await remove(firm, given)
        assert await shown(driver) == set()
        assert given.id in await shown(admin)
        assert await listed(firm.owner, firm) == {firm.card.id}
        await denied(firm, OrganisationCardNotFound, remove(firm, given))

    async def test_only_ones_own_and_only_by_who_may(self, firm: Firm) -> None:
        admin, _ = await firm.join(ADMIN)
        driver, _ = await firm.join(DRIVER)
        stranger = await create_viewer()
        own = await create_card(driver, PETROCHINA_NUMBER)
        await denied(firm, OrganisationPermissionMissing, firm.add_card(own, by=driver))
        await denied(firm, OrganisationCardNotFound, firm.add_card(own, by=admin))
        await denied(firm, OrganisationPermissionMissing, remove(firm, firm.card, by=driver))
        await denied(firm, OrganisationCardNotFound, remove(firm, firm.card, by=stranger))
        await denied(firm, OrganisationCardNotFound, remove(firm, own))
        rival = await create_firm(7)
        await denied(firm, OrganisationCardNotFound, rival.share(rival.owner_member, firm.card))
        await denied(firm, OrganisationCardNotFound, rival.add_card(firm.card))
        assert await listed(rival.owner, firm) is None

    async def test_a_number_is_there_once(self, firm: Firm) -> None:
        people = [(await firm.join(ADMIN))[0] for _ in range(4)]
        bound = [await create_card(each, PETROCHINA_NUMBER) for each in people]
        outcomes = await asyncio.gather(
            *(firm.add_card(card, by=each) for card, each in zip(bound, people, strict=True)), return_exceptions=True
        )
        assert sum(isinstance(each, CardThereAlready) for each in outcomes) == 3
        assert await FuelCard.filter(organisation_id=firm.organisation.id).count() == 2

    async def test_there_are_so_many_and_no_more(self, firm: Firm) -> None:
        card = await create_card(firm.owner, PETROCHINA_NUMBER)
        wish: dict[str, Any] = {
            "viewer": firm.owner, "organisation_id": firm.organisation.id, "card_id": card.id, "now": utc_now(),
            "policy": replace(POLICY, cards_max=1),
        }  # fmt: skip
        await denied(firm, TooManyOrganisationCards, sharing.add(**wish))
        await denied(firm, OrganisationCardNotFound, sharing.add(**{**wish, "card_id": None}))

    async def test_only_who_manages_cards_shares_them(self, firm: Firm) -> None:
        _, member = await firm.join(DRIVER, all_cards=False)
        driver, _ = await firm.join(DRIVER)
        await denied(firm, OrganisationPermissionMissing, firm.share(member, firm.card, by=driver))
        nobody = {"member_id": member.id, "all_cards": False, "card_ids": [None], "now": utc_now()}
        await denied(firm, OrganisationCardNotFound, sharing.share(viewer=firm.owner, **nobody))  # type: ignore[arg-type]
