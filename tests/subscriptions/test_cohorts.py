"""Cohorts: one execution for many, and for each of them every event once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from domain.events.queries import head
from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from schema.types.context import Context
from schema.types.delivery import DeliveryPolicy
from subscriptions.cohorts import Cohorts, Membership
from subscriptions.deliveries import Delivery, OperationRefused
from subscriptions.execution import Executor
from subscriptions.requests import GraphQLRequest
from tests.subscriptions.notes import EXECUTED, NOTES, SCHEMA, STREAM
from tests.subscriptions.serving import services_of
from tests.subscriptions.support import TIMEOUT_S, Running, eventually, running, settings_for, write

pytestmark = pytest.mark.usefixtures("database")


@dataclass
class Reader:
    """An outlet that keeps what it is given; while `closed_off` it has no room."""

    policy: DeliveryPolicy
    deliveries: list[Delivery] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)
    roomy: asyncio.Event = field(default_factory=asyncio.Event)
    membership: Membership | None = None

    def deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    async def room(self) -> None:
        await self.roomy.wait()

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        self.ended.append(errors)
        if self.membership:
            self.membership.close()

    def seen(self, name: str) -> list[Any]:
        (key,) = {key for each in self.deliveries for key in orjson.loads(each.payload)["data"]} or {"notes"}
        return [orjson.loads(each.payload)["data"][key][name] for each in self.deliveries]


@dataclass
class Stage:
    house: Running
    cohorts: Cohorts
    executor: Executor
    services: Any

    async def open(
        self, document: str = NOTES, *, after: int | None = None, viewer: Viewer | None = None, roomy: bool = True
    ) -> Reader:
        context = Context(services=self.services, loaders=None, viewer=viewer)  # type: ignore[arg-type]
        asked = GraphQLRequest(query=document, variables={"after": after}, operation_name=None, extensions=None)
        prepared = self.executor.prepare(asked, context)
        readers: list[Reader] = []

        def outlet(policy: DeliveryPolicy) -> Reader:
            readers.append(Reader(policy))
            if roomy:
                readers[0].roomy.set()
            return readers[0]

        membership = await self.cohorts.open(prepared, context, outlet)
        (reader,) = readers
        reader.membership = membership
        return reader


@asynccontextmanager
async def stage(*, held_max: int = 100) -> AsyncIterator[Stage]:
    EXECUTED.clear()
    async with running(settings_for()) as house:
        services = services_of(house.hub)
        executor = Executor(SCHEMA, loaders=lambda: None)  # type: ignore[arg-type,return-value]
        cohorts = Cohorts(executor, house.hub, held_max=held_max)
        made = Stage(house, cohorts, executor, services)
        opened: list[Reader] = []
        original = made.open

        async def open_and_note(*args: Any, **values: Any) -> Reader:
            reader = await original(*args, **values)
            opened.append(reader)
            return reader

        made.open = open_and_note  # type: ignore[method-assign]
        try:
            yield made
        finally:
            for reader in opened:
                assert reader.membership
                reader.membership.close()
            await eventually(lambda: cohorts.size == 0)


def viewer(user_id: UUID | None = None) -> Viewer:
    return Viewer(user_id or uuid4(), "tests", frozenset(), utc_now() + timedelta(hours=1))


def sees(reader: Reader, numbers: list[int]) -> Callable[[], bool]:
    return lambda: reader.seen("number") == numbers


def live(cohorts: Cohorts) -> int:
    """How many have read what was before they came."""
    return sum(member.live for cohort, _ in cohorts._cohorts.values() for member in cohort.members)


COUNTING = "subscription { notes { number executed } }"


class TestSharing:
    async def test_one_execution_and_the_same_bytes_serve_all_who_ask_for_the_same(self) -> None:
        async with stage() as house:
            readers = [await house.open(COUNTING) for _ in range(10)]
            assert house.cohorts.size == 1
            # Whoever is still reading what was before is told of what comes meanwhile by an execution of its own.
            await eventually(lambda: live(house.cohorts) == 10)
            await write(STREAM, 3, of=lambda number: {"n": number})
            for reader in readers:
                await eventually(sees(reader, [0, 1, 2]))
            assert len(EXECUTED) == 3
            for place in range(3):
                assert len({id(reader.deliveries[place].payload) for reader in readers}) == 1

    async def test_other_words_or_variables_or_languages_are_other_cohorts(self) -> None:
        async with stage() as house:
            await house.open(NOTES)
            await house.open(COUNTING)
            assert house.cohorts.size == 2

    async def test_a_cursor_is_no_difference(self) -> None:
        await write(STREAM, 3, of=lambda number: {"n": number})
        async with stage() as house:
            readers = [await house.open(after=after) for after in (None, 0, 2)]
            assert house.cohorts.size == 1
            await eventually(lambda: len(readers[1].deliveries) == 3)
            await write(STREAM, 1, of=lambda number: {"n": 10})
            await eventually(sees(readers[0], [10]))
            await eventually(sees(readers[1], [0, 1, 2, 10]))
            await eventually(sees(readers[2], [2, 10]))

    async def test_what_everyone_sees_is_executed_as_nobody(self) -> None:
        async with stage() as house:
            document = "subscription { notes { number seenBy } }"
            readers = [await house.open(document, viewer=viewer()), await house.open(document, viewer=None)]
            assert house.cohorts.size == 1
            await write(STREAM, 1, of=lambda number: {"n": 1})
            for reader in readers:
                await eventually(lambda reader=reader: reader.seen("seenBy") == ["nobody"])  # type: ignore[misc]

    async def test_two_viewers_share_nothing_and_two_devices_of_one_do(self) -> None:
        me, you = viewer(), viewer()
        async with stage() as house:
            document = "subscription { private { number seenBy } }"
            mine, also_mine, yours = [await house.open(document, viewer=each) for each in (me, viewer(me.user_id), you)]
            assert house.cohorts.size == 2
            await write(f"notes:{me.user_id}", 1, of=lambda number: {"n": 1})
            await write(f"notes:{you.user_id}", 1, of=lambda number: {"n": 2})
            await eventually(lambda: mine.seen("seenBy") == [str(me.user_id)])
            await eventually(lambda: also_mine.seen("seenBy") == [str(me.user_id)])
            await eventually(lambda: yours.seen("seenBy") == [str(you.user_id)])
            assert mine.seen("number") == also_mine.seen("number") == [1]
            assert yours.seen("number") == [2]

    async def test_who_may_not_begin_joins_nothing(self) -> None:
        async with stage() as house:
            with pytest.raises(OperationRefused) as caught:
                await house.open("subscription { private { number } }")
            assert caught.value.errors[0]["extensions"]["code"] == "UNAUTHENTICATED"
            assert house.cohorts.size == 0


class TestJoining:
    async def test_members_come_while_events_do_and_none_misses_or_repeats_one(self) -> None:
        async with stage() as house:
            readers: list[tuple[int, Reader]] = []

            async def writing() -> None:
                for number in range(60):
                    await write(STREAM, 1, of=lambda _, number=number: {"n": number})  # type: ignore[misc]

            job = asyncio.create_task(writing())
            while not job.done():
                after = await head(STREAM) // 2
                readers.append((after, await house.open(after=after)))
                await asyncio.sleep(0.002)
            await job
            assert len(readers) > 3
            for after, reader in readers:
                await eventually(lambda reader=reader: reader.seen("position")[-1:] == [60])  # type: ignore[misc]
                assert reader.seen("position") == list(range(after + 1, 61))

    async def test_one_who_catches_up_slowly_gets_what_the_others_got_meanwhile(self) -> None:
        await write(STREAM, 5, of=lambda number: {"n": number})
        async with stage() as house:
            quick = await house.open()
            slow = await house.open(after=0, roomy=False)
            await eventually(sees(slow, [0]))
            await write(STREAM, 3, of=lambda number: {"n": 10 + number})
            await eventually(sees(quick, [10, 11, 12]))
            assert slow.seen("number") == [0]
            slow.roomy.set()
            await eventually(sees(slow, [0, 1, 2, 3, 4, 10, 11, 12]))

    async def test_what_could_not_be_held_is_read_back(self) -> None:
        await write(STREAM, 5, of=lambda number: {"n": number})
        async with stage(held_max=2) as house:
            quick = await house.open()
            slow = await house.open(after=0, roomy=False)
            await eventually(sees(slow, [0]))
            await write(STREAM, 20, of=lambda number: {"n": 10 + number})
            await eventually(lambda: len(quick.deliveries) == 20)
            slow.roomy.set()
            await eventually(sees(slow, [*range(5), *range(10, 30)]))

    async def test_the_last_to_leave_ends_the_execution(self) -> None:
        async with stage() as house:
            first, second = await house.open(), await house.open()
            await eventually(lambda: house.house.channels == {STREAM})
            assert first.membership
            assert second.membership
            first.membership.close()
            first.membership.close()
            await write(STREAM, 1)
            await eventually(lambda: len(second.deliveries) == 1)
            assert first.deliveries == []
            second.membership.close()
            assert house.cohorts.size == 0
            await eventually(lambda: house.house.channels == set())


class TestEnding:
    async def test_an_error_nobody_meant_ends_every_member_without_saying_what_it_was(self) -> None:
        async with stage() as house:
            readers = [await house.open(), await house.open()]
            await write(STREAM, 1, of=lambda number: {"n": 1})
            for reader in readers:
                await eventually(sees(reader, [1]))
            await write(STREAM, 1, of=lambda number: {"n": -1})
            for reader in readers:
                await eventually(lambda reader=reader: len(reader.ended) == 1)  # type: ignore[misc]
                assert reader.ended[0][0]["extensions"]["code"] == "INTERNAL"
                assert "hunter2" not in str(reader.ended)
            assert house.cohorts.size == 0
            again = await house.open()
            await write(STREAM, 1, of=lambda number: {"n": 2})
            await eventually(sees(again, [2]))

    async def test_closing_the_hub_completes_every_member(self) -> None:
        async with stage() as house:
            readers = [await house.open(), await house.open(after=0)]
            await write(STREAM, 1)
            for reader in readers:
                await eventually(lambda reader=reader: len(reader.deliveries) == 1)  # type: ignore[misc]
            await house.house.hub.close()
            for reader in readers:
                await eventually(lambda reader=reader: reader.ended == [None])  # type: ignore[misc]

    async def test_a_field_without_a_rule_runs_by_itself(self) -> None:
        async with stage() as house:
            reader = await house.open("subscription { alone { number } }")
            assert house.cohorts.size == 0
            await write(STREAM, 1, of=lambda number: {"n": 7})
            await eventually(sees(reader, [7]))
            async with asyncio.timeout(TIMEOUT_S):
                await house.house.hub.close()
                await eventually(lambda: reader.ended == [None])
