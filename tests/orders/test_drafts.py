"""Drafts that were written down without a connection, made orders by their client ids."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.cards.queries import CardNotFound
from domain.identity.idempotency import IdempotencyConflict, IdempotencyKeyInvalid
from domain.orders.creating import PriceChanged
from domain.orders.drafts import Draft, Synced, TooManyDrafts, sync
from domain.risk.rules import AmountTooSmall
from kernel.clock import utc_now
from kernel.money import Money
from models.cards import FuelCard
from models.offers import Offer
from models.orders import RechargeOrder
from tests.factories import POLICY, create_card, create_offer, create_viewer, viewer_of


def draft(card: FuelCard, client_id: str = "draft-0001", **changes: Any) -> Draft:
    made = Draft(client_id, card.id, Decimal("100.00"), names_offer=False, offer_id=None, quoted=Decimal("100.00"))
    return replace(made, **changes)


async def synced(card: FuelCard, *drafts: Draft) -> list[Synced]:
    viewer = viewer_of((await FuelCard.get(id=card.id)).user_id)  # type: ignore[arg-type]
    return await sync(viewer=viewer, drafts=drafts, policy=POLICY, now=utc_now())


@pytest.fixture
async def card(database: str) -> FuelCard:
    return await create_card(await create_viewer())


async def test_each_draft_becomes_one_order_however_often_it_is_sent(card: FuelCard) -> None:
    drafts = [draft(card), draft(card, "draft-0002")]
    first = await synced(card, *drafts)
    again = await asyncio.gather(*(synced(card, *drafts) for _ in range(5)))
    made = [each.order.id for each in first if each.order]
    assert len(made) == 2
    assert all([each.order.id for each in results if each.order] == made for results in again)
    assert await RechargeOrder.all().count() == 2


async def test_a_price_that_has_changed_makes_no_order_until_it_is_confirmed(card: FuelCard) -> None:
    offer = await create_offer(amount_fen=10_000, price_fen=9_900)
    stale = draft(card, yuan=None, names_offer=True, offer_id=offer.id, quoted=Decimal("98.00"))
    (refused,) = await synced(card, stale)
    assert isinstance(refused.error, PriceChanged)
    assert refused.error.values["price"] == Money(9_900)
    assert await RechargeOrder.all().count() == 0
    assert (await Offer.get(id=offer.id)).stock_left == 10
    (made,) = await synced(card, replace(stale, quoted=Decimal("99.00")))
    assert made.order is not None
    assert (made.order.amount_fen, made.order.price_fen) == (10_000, 9_900)


async def test_an_order_that_was_made_is_found_after_the_price_has_changed(card: FuelCard) -> None:
    offer = await create_offer(amount_fen=10_000, price_fen=9_900)
    wanted = draft(card, yuan=None, names_offer=True, offer_id=offer.id, quoted=Decimal("99.00"))
    (made,) = await synced(card, wanted)
    await Offer.filter(id=offer.id).update(price_fen=9_950)
    (again,) = await synced(card, wanted)
    assert made.order is not None
    assert again.order is not None
    assert (again.order.id, again.order.price_fen) == (made.order.id, 9_900)


async def test_one_bad_draft_leaves_the_others_alone(card: FuelCard) -> None:
    theirs = await create_card(await create_viewer())
    results = await synced(
        card,
        draft(card, "draft-0001"),
        draft(theirs, "draft-0002"),
        draft(card, "draft-0003", yuan=Decimal("1.00"), quoted=Decimal("1.00")),
        draft(card, "x"),
        draft(card, "draft-0001", yuan=Decimal("200.00"), quoted=Decimal("200.00")),
        draft(card, "draft-0004"),
    )
    kinds = [type(each.error) for each in results]
    nothing = type(None)
    assert kinds == [nothing, CardNotFound, AmountTooSmall, IdempotencyKeyInvalid, IdempotencyConflict, nothing]
    assert [each.order is not None for each in results] == [True, False, False, False, False, True]
    assert await RechargeOrder.all().count() == 2


async def test_too_many_drafts_are_not_looked_at(card: FuelCard) -> None:
    with pytest.raises(TooManyDrafts):
        await synced(card, *(draft(card, f"draft-{number:04d}") for number in range(POLICY.drafts_max + 1)))
    assert await RechargeOrder.all().count() == 0
