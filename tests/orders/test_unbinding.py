"""Unbinding a card: with a second proof, not while money is on its way, and without losing what it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.cards import queries as cards
from domain.cards.queries import CardNotFound
from domain.identity.viewer import Viewer
from domain.mandates.operations import MandateCardsInvalid
from domain.orders import unbinding
from domain.orders.unbinding import CardInUse
from domain.step_up.operations import StepUpGrantInvalid, StepUpNeeded
from domain.step_up.rules import Content
from kernel.clock import utc_now
from kernel.states import MandateState, OrderState
from models.cards import FuelCard
from models.jobs import Job
from models.mandates import Mandate, MandateCard
from models.orders import RechargeOrder
from tests.factories import PETROCHINA_NUMBER, SEALER, create_card, create_grant, create_order, create_viewer
from tests.mandates.support import begin, create_signed
from tests.orders.conftest import House


async def unbind(viewer: Viewer, card: FuelCard, grant: str | None = None) -> FuelCard:
    given = grant or await create_grant(viewer, Content.of_card(card.id))
    return await unbinding.unbind(viewer=viewer, card_id=card.id, grant=given, sealer=SEALER, now=utc_now())


async def end(order: RechargeOrder) -> None:
    await RechargeOrder.filter(id=order.id).update(state=OrderState.FAILED, failure_kind="CANCELLED")


async def test_it_is_gone_from_the_list_and_its_history_is_not(database: str) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    order = await create_order(viewer, card)
    with pytest.raises(CardInUse):
        await unbind(viewer, card)
    assert (await FuelCard.get()).unbound_at is None
    await end(order)
    await unbind(viewer, card)
    assert await cards.of_viewer(viewer=viewer, first=10, after=None) == []
    (kept,) = await cards.by_ids([card.id])
    assert not isinstance(kept, LookupError)
    assert kept.id == card.id
    for work in (create_order(viewer, card), unbind(viewer, card)):
        with pytest.raises(CardNotFound):
            await work
    again = await create_card(viewer)
    assert (again.id, again.unbound_at) == (card.id, None)
    assert (await create_order(viewer, again)).card_id == card.id


@pytest.mark.parametrize("state", [OrderState.PENDING_PAYMENT, OrderState.PAYING, OrderState.RECHARGING])
async def test_no_order_may_be_under_way(database: str, state: OrderState) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    order = await create_order(viewer, card)
    await RechargeOrder.filter(id=order.id).update(state=state)
    with pytest.raises(CardInUse):
        await unbind(viewer, card)
    assert (await FuelCard.get()).unbound_at is None


async def test_it_takes_a_proof_for_this_card_of_its_owner(database: str) -> None:
    viewer, stranger = await create_viewer(), await create_viewer()
    card, other = await create_card(viewer), await create_card(viewer, PETROCHINA_NUMBER)
    given: dict[str, Any] = {"viewer": viewer, "card_id": card.id, "sealer": SEALER, "now": utc_now()}
    with pytest.raises(StepUpNeeded):
        await unbinding.unbind(**given, grant=None)
    with pytest.raises(StepUpGrantInvalid):
        await unbind(viewer, card, await create_grant(viewer, Content.of_card(other.id)))
    with pytest.raises(CardNotFound):
        await unbind(stranger, card)
    assert await FuelCard.filter(unbound_at__isnull=False).count() == 0


async def test_an_order_beside_it_is_made_or_the_card_is_unbound(database: str) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    order, unbound = await asyncio.gather(create_order(viewer, card), unbind(viewer, card), return_exceptions=True)
    if isinstance(order, RechargeOrder):
        assert isinstance(unbound, CardInUse)
    else:
        assert (type(order), type(unbound)) == (CardNotFound, FuelCard)


async def test_a_mandate_pays_for_it_no_more(house: House) -> None:
    other = await create_card(house.viewer, PETROCHINA_NUMBER)
    mandate = await create_signed(house, card_ids=[house.card.id, other.id])
    await unbind(house.viewer, house.card)
    row = await Mandate.get(id=mandate.id)
    assert row.state is MandateState.ACTIVE
    assert await MandateCard.all().values_list("card_id", flat=True) == [other.id]
    await unbind(house.viewer, other)
    row = await Mandate.get(id=mandate.id)
    assert row.state is MandateState.REVOKED
    assert await Job.filter(kind="end_contract").count() == 1
    with pytest.raises(MandateCardsInvalid):
        await begin(house)
