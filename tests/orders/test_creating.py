"""Making an order at once: what happens between the facts and the writing is seen, and nobody waits for a stranger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from domain.account import spending
from domain.account.rules import OwnLimitExceeded, OwnLimits
from domain.cards.queries import CardNotFound
from domain.events import signals
from domain.identity.idempotency import IdempotencyConflict
from domain.identity.queries import lock_user
from domain.orders import audit, creating, creation_facts, unbinding, writing
from domain.orders.creating import Making
from domain.risk.rules import DailyLimitExceeded, TooManyUnpaidOrders
from domain.step_up.rules import Content
from kernel.clock import utc_now
from kernel.money import Money
from models.changes import Changes, listening
from models.database import connected, drain, guarded, transactional
from models.events import Event, EventStream
from models.jobs import Job
from models.joining import Joined
from models.lean_transactions import may_write_alone
from models.orders import IdempotencyKey, OrderTransition, RechargeOrder
from tests.audits import assert_audits_find_nothing
from tests.factories import LIMITS, POLICY, SEALER, create_card, create_grant, create_offer, create_order, create_viewer

Between = Callable[[], Awaitable[object]]


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[None]:
    async with connected(postgres_url):
        yield


class Turns:
    """Counts the orders that were made under their user's lock."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        in_turn = creating.in_turn

        async def counted(making: Making) -> creating.Made:
            self.taken += 1
            return await in_turn(making)

        patch.setattr(creating, "in_turn", counted)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    return Turns(monkeypatch)


def once_the_facts_are_read(patch: pytest.MonkeyPatch, between: Between) -> None:
    """Let something happen between the facts of the next order and its writing."""
    load = creation_facts.together.load

    class Once:
        async def load(self, question: creation_facts.Question) -> creation_facts.CreationFacts:
            patch.setattr(creation_facts, "together", Joined(creation_facts.read))
            found = await load(question)
            await between()
            return found

    patch.setattr(creation_facts, "together", Once())


class TestBetweenFactsAndWriting:
    async def test_another_order(self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        limits = replace(LIMITS, daily_max_fen=70_000)
        once_the_facts_are_read(monkeypatch, lambda: create_order(viewer, card, yuan="400.00", limits=limits))
        with pytest.raises(DailyLimitExceeded) as over:
            await create_order(viewer, card, yuan="300.01", limits=limits)
        assert over.value.values["maximum"] == Money(30_000)
        assert [each.amount_fen for each in await RechargeOrder.all()] == [40_000]
        assert turns.taken == 1

    async def test_another_order_that_leaves_room(
        self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns
    ) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        once_the_facts_are_read(monkeypatch, lambda: create_order(viewer, card))
        await create_order(viewer, card)
        assert await RechargeOrder.all().count() == 2
        assert turns.taken == 1
        await assert_audits_find_nothing()

    async def test_a_limit_that_is_lowered(self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        once_the_facts_are_read(
            monkeypatch,
            lambda: spending.set_limits(
                viewer=viewer, wanted=OwnLimits(10_000, None), grant=None, sealer=SEALER, now=utc_now()
            ),
        )
        with pytest.raises(OwnLimitExceeded):
            await create_order(viewer, card, yuan="100.01")
        assert await RechargeOrder.all().count() == 0
        assert turns.taken == 1

    async def test_the_card_is_unbound(self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        grant = await create_grant(viewer, Content.of_card(card.id))
        once_the_facts_are_read(
            monkeypatch,
            lambda: unbinding.unbind(viewer=viewer, card_id=card.id, grant=grant, sealer=SEALER, now=utc_now()),
        )
        with pytest.raises(CardNotFound):
            await create_order(viewer, card)
        assert await RechargeOrder.all().count() == 0
        assert turns.taken == 1

    async def test_the_same_key(self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        made: list[RechargeOrder] = []

        async def first() -> None:
            made.append(await create_order(viewer, card, key="the-same-key"))

        once_the_facts_are_read(monkeypatch, first)
        again = await create_order(viewer, card, key="the-same-key")
        assert [each.id for each in made] == [again.id]
        assert await RechargeOrder.all().count() == await Job.all().count() == 1
        assert turns.taken == 1

    async def test_the_same_key_for_something_else(self, postgres: None, monkeypatch: pytest.MonkeyPatch) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        once_the_facts_are_read(monkeypatch, lambda: create_order(viewer, card, yuan="10.00", key="the-same-key"))
        with pytest.raises(IdempotencyConflict):
            await create_order(viewer, card, yuan="20.00", key="the-same-key")
        assert await RechargeOrder.all().count() == 1

    async def test_a_turn_that_was_rolled_back_changes_nothing(
        self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns
    ) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)

        @transactional
        async def fail() -> None:
            await lock_user(viewer=viewer)
            raise LookupError

        async def between() -> None:
            with pytest.raises(LookupError):
                await fail()

        once_the_facts_are_read(monkeypatch, between)
        await create_order(viewer, card)
        assert turns.taken == 0


class TestTogether:
    async def test_an_order_of_ones_own_takes_nobodys_lock_and_says_when_it_has_committed(
        self, postgres: None, turns: Turns
    ) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        with signals.listening() as committed:
            order = await create_order(viewer, card, key="a-key-of-mine")
            assert committed.is_set()
        assert turns.taken == 0
        again = await create_order(viewer, card, key="a-key-of-mine")
        assert (again.id, turns.taken) == (order.id, 0)
        stored = await RechargeOrder.get(id=order.id)
        for name in RechargeOrder._meta.db_fields:
            assert getattr(stored, name) == getattr(order, name), name

    async def test_strangers_are_written_in_one_statement(
        self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns
    ) -> None:
        viewers = [await create_viewer() for _ in range(20)]
        cards = [await create_card(each) for each in viewers]
        sizes: list[int] = []

        async def counted(orders: list[writing.NewOrder]) -> list[bool]:
            sizes.append(len(orders))
            return await writing._write_together(orders)

        monkeypatch.setattr(writing, "together", Joined(counted))
        made = await asyncio.gather(*map(create_order, viewers, cards))
        assert sum(sizes) == 20
        assert len(sizes) < 10
        assert turns.taken == 0
        assert [each.user_id for each in made] == [each.user_id for each in viewers]
        assert await Job.all().count() == await Event.all().count() == await IdempotencyKey.all().count() == 20
        await assert_audits_find_nothing()
        assert await audit.findings() == []

    async def test_each_has_statements_of_its_own_where_loads_are_not_joined(
        self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns
    ) -> None:
        viewers = [await create_viewer() for _ in range(6)]
        cards = [await create_card(each) for each in viewers]
        sizes: list[int] = []
        write, read = writing._write_together, creation_facts.read

        async def counted(orders: Sequence[writing.NewOrder]) -> list[bool]:
            sizes.append(len(orders))
            return await write(orders)

        async def asked(questions: Sequence[creation_facts.Question]) -> list[creation_facts.CreationFacts]:
            sizes.append(len(questions))
            return await read(questions)

        monkeypatch.setattr(writing, "_write_together", counted)
        monkeypatch.setattr(creation_facts, "read", asked)
        policy = replace(POLICY, joins_loads=False)
        made = await asyncio.gather(
            *(create_order(viewer, card, policy=policy) for viewer, card in zip(viewers, cards, strict=True))
        )
        assert sizes == [1] * 12
        assert turns.taken == 0
        assert [each.user_id for each in made] == [each.user_id for each in viewers]

    async def test_an_order_of_its_own_is_written_though_its_caller_goes_away(
        self, postgres: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        write, begun = writing._write_together, asyncio.Event()

        async def begins(orders: Sequence[writing.NewOrder]) -> list[bool]:
            begun.set()
            await asyncio.sleep(0)
            return await write(orders)

        monkeypatch.setattr(writing, "_write_together", begins)
        making = asyncio.create_task(create_order(viewer, card, policy=replace(POLICY, joins_loads=False)))
        await begun.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        await drain()
        assert await RechargeOrder.all().count() == await Event.all().count() == 1

    async def test_more_than_fit_in_one_statement_are_written_by_several(self, postgres: None, turns: Turns) -> None:
        viewers = [await create_viewer() for _ in range(2 * creation_facts.AT_ONCE_MAX + 3)]
        cards = [await create_card(each) for each in viewers]
        made = await asyncio.gather(*map(create_order, viewers, cards))
        assert [each.user_id for each in made] == [each.user_id for each in viewers]
        assert turns.taken == 0
        assert await RechargeOrder.all().count() == len(viewers)

    async def test_one_user_at_once_keeps_to_the_limits(self, database: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        limits = replace(LIMITS, unpaid_orders_max=3)
        made = await asyncio.gather(
            *(create_order(viewer, card, yuan="10.00", limits=limits) for _ in range(8)), return_exceptions=True
        )
        assert sum(isinstance(each, RechargeOrder) for each in made) == 3
        assert sum(isinstance(each, TooManyUnpaidOrders) for each in made) == 5
        assert await RechargeOrder.all().count() == 3

    async def test_one_key_at_once_makes_one_order(self, database: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        made = await asyncio.gather(*(create_order(viewer, card, key="one-and-only") for _ in range(8)))
        assert len({each.id for each in made}) == 1
        assert await RechargeOrder.all().count() == await Event.all().count() == 1

    async def test_who_is_locked_is_waited_for_by_nobody_else(self, postgres: None, turns: Turns) -> None:
        slow, quick = await create_viewer(), await create_viewer()
        held, leave = asyncio.Event(), asyncio.Event()

        @transactional
        async def hold() -> None:
            await lock_user(viewer=slow)
            held.set()
            await leave.wait()

        card, other = await create_card(slow), await create_card(quick)
        holding = asyncio.create_task(hold())
        await held.wait()
        waiting = asyncio.create_task(create_order(slow, card))
        async with asyncio.timeout(30):
            await create_order(quick, other)
        assert turns.taken <= 1
        assert not waiting.done()
        leave.set()
        await holding
        assert (await waiting).user_id == slow.user_id
        assert turns.taken == 1

    async def test_what_the_database_refuses_harms_nobody_else(
        self, postgres: None, monkeypatch: pytest.MonkeyPatch, turns: Turns
    ) -> None:
        viewers = [await create_viewer() for _ in range(3)]
        cards = [await create_card(each) for each in viewers]
        new = creating._new

        def spoilt(making: Making, order: RechargeOrder, turn: str) -> writing.NewOrder:
            made = new(making, order, turn)
            if making.viewer is viewers[1]:
                made.values["amount_fen"] = 0
            return made

        monkeypatch.setattr(creating, "_new", spoilt)
        made = await asyncio.gather(*map(create_order, viewers, cards), return_exceptions=True)
        assert [isinstance(each, RechargeOrder) for each in made] == [True, False, True]
        assert turns.taken >= 1
        assert set(await RechargeOrder.all().values_list("user_id", flat=True)) == {
            viewers[0].user_id,
            viewers[2].user_id,
        }
        assert await Job.all().count() == await EventStream.all().count() == 2
        await assert_audits_find_nothing()

    async def test_callers_who_are_cancelled_leave_whole_orders_or_none(self, postgres: None) -> None:
        viewers = [await create_viewer() for _ in range(12)]
        cards = [await create_card(each) for each in viewers]
        tasks = [asyncio.create_task(create_order(*each)) for each in zip(viewers, cards, strict=True)]
        for turn, task in enumerate(tasks):
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Whoever asks again with another key is served, and what was begun is all there.
        await asyncio.gather(*map(create_order, viewers, cards))
        count = await RechargeOrder.all().count()
        assert count >= 12
        for model in (IdempotencyKey, OrderTransition, Event, Job):
            assert await model.all().count() == count
        await assert_audits_find_nothing()


class TestWhoIsTold:
    """Whoever keeps answers hears whose order was made, and nobody else's are forgotten."""

    async def test_of_an_order_and_of_a_turn(self, database: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        told: list[Changes] = []
        with listening(told.append):
            await create_order(viewer, card)
            await create_order(viewer, card, yuan=None, offer=await create_offer())
        orders = [each.tables for each in told if "recharge_order" in each.tables]
        assert [each["recharge_order"] for each in orders] == [{viewer.user_id}] * 2
        assert all(each.get("user_account", set()) in (set(), {viewer.user_id}) for each in orders)


class TestWhereItIsNotPossible:
    async def test_the_turn_is_taken(self, postgres: None, turns: Turns) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        called: list[str] = []

        async def guard() -> None:
            called.append("guard")

        with guarded(guard):
            assert not may_write_alone()
            await create_order(viewer, card)
        assert (called, turns.taken) == (["guard"], 1)

        @transactional
        async def inside() -> UUID:
            assert not may_write_alone()
            order = await create_order(viewer, card)
            raise LookupError(order.id)

        with pytest.raises(LookupError):
            await inside()
        assert await RechargeOrder.all().count() == 1
        await create_order(viewer, card, yuan=None, offer=await create_offer())
        assert turns.taken == 3
