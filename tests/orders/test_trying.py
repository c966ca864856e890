"""An order is written by its statement where the facts are no worse than its room, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast
from uuid import UUID

import pytest

from domain.account import spending
from domain.account.rules import OwnLimitExceeded, OwnLimits
from domain.identity.viewer import Viewer
from domain.orders import creating, operations, trying
from domain.orders.creating import Making, Wanted
from domain.orders.trying import Tried, Trying
from domain.risk.rules import Facts, Room
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import ReviewReason
from models.cards import FuelCard
from models.database import connected
from models.events import Event
from models.identity import User
from models.orders import RechargeOrder
from tests.factories import (
    LIMITS,
    PETROCHINA_NUMBER,
    POLICY,
    SEALER,
    create_card,
    create_order,
    create_viewer,
    viewer_of,
)

# What `create_order` has spent twice before anything is tried here.
FACTS = Facts(spent_today_fen=20_000, unpaid_orders=2, unreviewed_fen=20_000)
ROOM = Room(20_000, 2, 20_000)
NONE = OwnLimits()
LARGE = 2**62


@pytest.fixture
async def card(postgres_url: str) -> AsyncIterator[FuelCard]:
    async with connected(postgres_url):
        viewer = await create_viewer()
        card = await create_card(viewer)
        for _ in range(2):
            await create_order(viewer, card, yuan="100.00")
        yield card


def owner_of(card: FuelCard) -> Viewer:
    return viewer_of(cast(UUID, card.user_id))


async def attempt(card: FuelCard, room: Room = ROOM, own: OwnLimits = NONE, *, user: User | None = None) -> Tried:
    viewer = viewer_of(user.id) if user else owner_of(card)
    wanted = Wanted(operations.CREATE, "the-key-of-this-one", card.id)
    making = Making(viewer, wanted, None, Money(30_000), POLICY, utc_now())
    new = creating._new(making, creating._order(making, None, None))
    return await trying.alone(Trying(creating._question(making), new, room, own))


async def written() -> int:
    count = await RechargeOrder.all().count() - 2
    assert await Event.all().count() - 2 == count
    return count


class TestRoom:
    @pytest.mark.parametrize("room", [ROOM, Room(LARGE, LARGE, LARGE), replace(ROOM, unreviewed_max_fen=None)])
    async def test_what_is_no_worse_is_written(self, card: FuelCard, room: Room) -> None:
        tried = await attempt(card, room)
        assert (tried.written, await written()) == (True, 1)
        assert tried.found.risk == FACTS

    @pytest.mark.parametrize(
        "room",
        [
            replace(ROOM, spent_today_max_fen=19_999),
            replace(ROOM, unpaid_orders_max=1),
            replace(ROOM, unreviewed_max_fen=19_999),
        ],
    )
    async def test_what_is_worse_is_not_and_is_told(self, card: FuelCard, room: Room) -> None:
        tried = await attempt(card, room)
        assert (tried.written, await written()) == (False, 0)
        assert tried.found.risk == FACTS
        assert tried.found.card is not None
        assert tried.found.card.facts.id == card.id

    async def test_what_others_put_on_the_same_card_counts(self, card: FuelCard) -> None:
        twin = await create_viewer()
        await create_order(twin, await create_card(twin), yuan="200.01")
        tried = await attempt(card)
        assert (tried.written, tried.found.risk.unreviewed_fen) == (False, 40_001)

    async def test_what_the_user_put_on_another_card_counts(self, card: FuelCard) -> None:
        other = await create_card(owner_of(card), PETROCHINA_NUMBER)
        tried = await attempt(other, replace(ROOM, unreviewed_max_fen=19_999))
        assert (tried.written, tried.found.risk) == (False, FACTS)


class TestWhatElseIsCompared:
    @pytest.mark.parametrize("own", [OwnLimits(50_000, None), OwnLimits(None, 50_000)])
    async def test_the_users_own_limits(self, card: FuelCard, own: OwnLimits) -> None:
        viewer = owner_of(card)
        assert not (await attempt(card, own=own)).written
        await spending.set_limits(viewer=viewer, wanted=own, grant=None, sealer=SEALER, now=utc_now())
        tried = await attempt(card)
        assert (tried.written, tried.found.own) == (False, own)
        assert (await attempt(card, own=own)).written
        assert await written() == 1

    async def test_whose_card_it_is(self, card: FuelCard) -> None:
        stranger = await User.get(id=(await create_viewer()).user_id)
        tried = await attempt(card, user=stranger)
        assert (tried.written, await written()) == (False, 0)
        assert tried.found.card is not None
        assert tried.found.card.user_id == card.user_id

    async def test_what_the_key_has_made_before(self, card: FuelCard) -> None:
        assert (await attempt(card)).written
        again = await attempt(card, Room(LARGE, LARGE, LARGE))
        assert (again.written, await written()) == (False, 1)
        assert again.found.known is not None

    async def test_whether_the_card_is_bound(self, card: FuelCard) -> None:
        await FuelCard.filter(id=card.id).update(unbound_at=utc_now())
        tried = await attempt(card)
        assert (tried.written, tried.found.card, await written()) == (False, None, 0)


class TestTheRulesLookAtWhatWasFound:
    """Nobody takes the user's lock for it."""

    @pytest.fixture(autouse=True)
    def no_turns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(creating, "in_turn")

    async def test_a_limit_of_ones_own(self, card: FuelCard) -> None:
        viewer = owner_of(card)
        await spending.set_limits(
            viewer=viewer, wanted=OwnLimits(50_000, 60_000), grant=None, sealer=SEALER, now=utc_now()
        )
        await create_order(viewer, card, yuan="400.00")
        with pytest.raises(OwnLimitExceeded):
            await create_order(viewer, card, yuan="10.00")
        assert await written() == 1

    async def test_small_pieces_of_a_large_one(self, card: FuelCard) -> None:
        limits = replace(LIMITS, review_above_fen=40_000)
        viewer = owner_of(card)
        for yuan, reason in (
            ("200.00", None),
            ("10.00", ReviewReason.SPLIT_ORDERS),
            ("400.01", ReviewReason.LARGE_AMOUNT),
        ):
            made = await create_order(viewer, card, yuan=yuan, limits=limits)
            stored = await RechargeOrder.get(id=made.id)
            assert (stored.review_reason, made.review_reason) == (reason, reason)
