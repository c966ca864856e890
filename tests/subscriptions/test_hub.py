"""The hub: every event of a stream, in order, each once, whatever the broadcaster loses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from broadcaster import Broadcast

from domain.events import queries
from domain.events.messages import encode
from domain.events.ports import StoredEvent
from subscriptions.backends import MemoryBackend
from subscriptions.links import RESYNC
from tests.subscriptions.support import (
    TIMEOUT_S,
    Reader,
    Running,
    all_published,
    eventually,
    running,
    settings_for,
    take,
    write,
)

STREAM = "prices"


@pytest.fixture(params=["memory", "redis"])
def carrier(request: pytest.FixtureRequest) -> str:
    """The address of the broadcaster: none, for the one within this process, or a real Redis."""
    return "" if request.param == "memory" else str(request.getfixturevalue("redis_url"))


@pytest.fixture
async def system(database: str, carrier: str) -> AsyncIterator[Running]:
    async with running(settings_for(carrier)) as started:
        yield started


class TestDelivery:
    async def test_a_commit_reaches_every_follower(self, system: Running) -> None:
        readers = [await Reader(system.hub, STREAM).subscribed() for _ in range(5)]
        await write(STREAM, 3, of=lambda number: {"名": number})
        for reader in readers:
            assert await reader.until(3) == [1, 2, 3]
        assert [event.payload for event in readers[0].events] == [{"名": 0}, {"名": 1}, {"名": 2}]
        assert readers[0].events[0] == (await queries.after(STREAM, position=0, limit=1))[0]
        assert system.channels == {STREAM}
        for reader in readers:
            await reader.stop()

    async def test_without_a_position_it_starts_with_the_next_commit(self, system: Running) -> None:
        await write(STREAM, 3)
        reader = await Reader(system.hub, STREAM).subscribed()
        await write(STREAM)
        assert await reader.until(1) == [4]
        await reader.stop()

    async def test_behind_a_position_it_reads_the_table_first(self, system: Running) -> None:
        await write(STREAM, 450)
        reader = await Reader(system.hub, STREAM, after=7).subscribed()
        assert await reader.until(443) == list(range(8, 451))
        await write(STREAM, 2)
        assert await reader.until(445) == list(range(8, 453))
        await reader.stop()

    async def test_a_follower_hears_its_own_stream_only(self, system: Running) -> None:
        reader = await Reader(system.hub, "order:1").subscribed()
        other = await Reader(system.hub, "order:2").subscribed()
        await write("order:2", 2)
        await write("order:1")
        assert await other.until(2) == [1, 2]
        assert await reader.until(1) == [1]
        assert reader.events[0].stream == "order:1"
        await reader.stop()
        await other.stop()

    async def test_the_first_subscriber_hears_the_first_message(self, system: Running) -> None:
        for number in range(15):
            stream = f"order:{number}"
            reader = await Reader(system.hub, stream).subscribed()
            await write(stream)
            assert await reader.until(1, timeout_s=2) == [1]
            await reader.stop()

    async def test_concurrent_first_subscribers_share_one_channel(self, system: Running) -> None:
        readers = [Reader(system.hub, STREAM) for _ in range(50)]
        for reader in readers:
            await reader.subscribed()
        await write(STREAM)
        for reader in readers:
            assert await reader.until(1) == [1]
        assert system.channels == {STREAM}
        for reader in readers:
            await reader.stop()
        await eventually(lambda: system.channels == set())

    async def test_followers_who_join_in_the_middle_miss_nothing(self, system: Running) -> None:
        total = 300
        dice = random.Random(7)

        async def produce() -> None:
            done = 0
            while done < total:
                batch = min(dice.randint(1, 9), total - done)
                done += len(await write(STREAM, batch))

        async def join_late() -> tuple[int, list[int]]:
            await asyncio.sleep(dice.random() / 2)
            after = dice.randint(0, await queries.head(STREAM))
            return after, await take(system.hub, STREAM, total - after, after=after)

        _, *heard = await asyncio.gather(produce(), *(join_late() for _ in range(25)))
        for answer in heard:
            assert answer is not None
            after, positions = answer
            assert positions == list(range(after + 1, total + 1))

    async def test_a_slow_follower_loses_nothing_and_stops_nobody(self, database: str, carrier: str) -> None:
        async with running(settings_for(carrier, subscription_queue_size_max=4)) as system:
            quick = await Reader(system.hub, STREAM).subscribed()
            async with asyncio.timeout(TIMEOUT_S), aclosing(system.hub.follow(STREAM, after=0)) as slow:
                await write(STREAM)
                positions = [(await anext(slow)).position]
                for _ in range(25):
                    await write(STREAM, 20)
                assert await quick.until(501) == list(range(1, 502))
                positions += [(await anext(slow)).position for _ in range(250)]
                await write(STREAM, 9)
                positions += [(await anext(slow)).position for _ in range(259)]
            assert positions == list(range(1, 511))
            await quick.stop()


class Unreliable(MemoryBackend):
    """Loses, repeats and reorders messages as its dice fall."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.dice = random.Random(seed)
        self.held: list[tuple[str, Any]] = []
        self.loses_all = False

    async def publish(self, channel: str, message: Any) -> None:
        if self.loses_all or self.dice.random() < 0.3:
            return
        self.held += [(channel, message)] * self.dice.choice([1, 1, 2])
        if len(self.held) > 3:
            self.dice.shuffle(self.held)
            for held in self.held:
                await super().publish(*held)
            self.held.clear()


class TestLosses:
    @pytest.mark.parametrize("seed", range(5))
    async def test_lost_repeated_and_reordered_messages_change_nothing(self, database: str, seed: int) -> None:
        broadcast = Broadcast(backend=Unreliable(seed))
        async with running(settings_for(subscription_check_interval_ms=50), broadcast) as system:
            readers = [await Reader(system.hub, STREAM).subscribed() for _ in range(3)]
            for _ in range(60):
                await write(STREAM, 2)
            for reader in readers:
                assert await reader.until(120) == list(range(1, 121))
                await reader.stop()

    async def test_a_gap_is_filled_without_waiting_for_the_check(self, database: str) -> None:
        backend = Unreliable(0)
        backend.loses_all = True
        async with running(settings_for(), Broadcast(backend=backend)) as system:
            reader = await Reader(system.hub, STREAM).subscribed()
            await write(STREAM, 5)
            await eventually(all_published)
            event = (await queries.after(STREAM, position=4, limit=1))[0]
            assert reader.positions == []
            await MemoryBackend.publish(backend, STREAM, encode(event))
            assert await reader.until(5) == [1, 2, 3, 4, 5]
            await reader.stop()

    async def test_the_last_message_is_found_by_the_check(self, database: str) -> None:
        backend = Unreliable(0)
        backend.loses_all = True
        async with running(settings_for(subscription_check_interval_ms=30), Broadcast(backend=backend)) as system:
            reader = await Reader(system.hub, STREAM).subscribed()
            await write(STREAM)
            assert await reader.until(1) == [1]
            await reader.stop()

    @pytest.mark.parametrize("message", [RESYNC, "null", "[]", '{"position": 2}', "\ud7ff", '{"position": "1"}'])
    async def test_what_is_no_event_makes_the_hub_look_at_the_table(self, database: str, message: str) -> None:
        backend = Unreliable(0)
        backend.loses_all = True
        async with running(settings_for(), Broadcast(backend=backend)) as system:
            reader = await Reader(system.hub, STREAM).subscribed()
            await write(STREAM, 2)
            await MemoryBackend.publish(backend, STREAM, message)
            assert await reader.until(2) == [1, 2]
            await reader.stop()

    async def test_a_position_that_the_table_does_not_have_is_not_believed(self, system: Running) -> None:
        reader = await Reader(system.hub, STREAM).subscribed()
        (position,) = await write(STREAM)
        await reader.until(1)
        event = (await queries.after(STREAM, position=0, limit=1))[0]
        forged = StoredEvent(
            stream=STREAM,
            position=position + 1_000_000,
            type=event.type,
            payload={"forged": True},
            occurred_at=event.occurred_at,
        )
        await system.broadcast.publish(STREAM, encode(forged))
        await write(STREAM)
        assert await reader.until(2) == [1, 2]
        assert reader.events[1].payload == {"n": 0}
        await reader.stop()

    async def test_a_follower_that_was_passed_over_reads_what_it_missed(self, system: Running) -> None:
        reader = await Reader(system.hub, STREAM).subscribed()
        await write(STREAM, 2)
        await reader.until(2)
        # As if the third event had been passed on while this follower was not looking.
        system.hub._channels[STREAM].position = 3
        await write(STREAM, 2)
        assert await reader.until(4) == [1, 2, 3, 4]
        await reader.stop()

    async def test_errors_of_the_database_are_waited_out(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        failures = {"after": 2, "head": 2, "heads": 2}
        _make_unreliable(monkeypatch, failures)
        backend = Unreliable(0)
        backend.loses_all = True
        async with running(settings_for(subscription_check_interval_ms=30), Broadcast(backend=backend)) as system:
            late = Reader(system.hub, STREAM)
            await write(STREAM, 3)
            reader = Reader(system.hub, STREAM, after=0)
            assert await reader.until(3) == [1, 2, 3]
            await late.subscribed()
            start = len(late.events)
            await write(STREAM, 2)
            assert (await late.until(start + 2))[-2:] == [4, 5]
            assert (await reader.until(5))[-2:] == [4, 5]
            assert failures == {"after": 0, "head": 0, "heads": 0}
            await reader.stop()
            await late.stop()


class TestLeaving:
    async def test_the_last_one_to_leave_unsubscribes(self, system: Running) -> None:
        first = await Reader(system.hub, STREAM).subscribed()
        second = await Reader(system.hub, STREAM).subscribed()
        await first.stop()
        await asyncio.sleep(0.05)
        assert system.channels == {STREAM}
        await second.stop()
        await eventually(lambda: system.channels == set() and not system.hub._channels)

    async def test_leaving_and_joining_at_once_hears_everything(self, system: Running) -> None:
        for number in range(1, 30):
            reader = await Reader(system.hub, STREAM).subscribed()
            await write(STREAM)
            assert await reader.until(1, timeout_s=2) == [number]
            await reader.stop()

    async def test_cancelled_followers_leave_nothing_behind(self, system: Running) -> None:
        before = asyncio.all_tasks()
        await write(STREAM, 30)
        dice = random.Random(3)
        for _ in range(10):
            tasks = [
                asyncio.create_task(take(system.hub, f"order:{dice.randint(1, 5)}", 9, after=dice.choice([None, 0])))
                for _ in range(20)
            ]
            tasks += [asyncio.create_task(take(system.hub, STREAM, 99, after=0)) for _ in range(20)]
            for task in tasks:
                await asyncio.sleep(dice.choice([0, 0, 0.001]))
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await eventually(lambda: not system.hub._channels and asyncio.all_tasks() == before)
        assert system.channels == set()
        assert system.broadcast._subscribers == {}
        # The database, too, is as usable as before.
        async with asyncio.timeout(30):
            await asyncio.gather(*(write(STREAM) for _ in range(20)))
            assert await take(system.hub, STREAM, 50, after=0) == list(range(1, 51))

    async def test_a_closed_hub_ends_its_followers_and_takes_no_new_ones(self, system: Running) -> None:
        readers = [await Reader(system.hub, f"order:{number % 3}").subscribed() for number in range(9)]
        idle = system.hub.follow(STREAM, after=0)
        await write(STREAM)
        assert (await anext(idle)).position == 1
        async with asyncio.timeout(30):
            await system.hub.close()
            for reader in readers:
                await reader.ended()
        assert system.channels == set()
        assert await take(system.hub, STREAM, 1, after=0) == []
        assert [event async for event in idle] == []


def _make_unreliable(monkeypatch: pytest.MonkeyPatch, failures: dict[str, int]) -> None:
    for name in list(failures):
        original = getattr(queries, name)

        async def unreliable(*args: Any, original: Any = original, name: str = name, **values: Any) -> Any:
            if failures[name]:
                failures[name] -= 1
                raise OSError("the database is gone")
            return await original(*args, **values)

        monkeypatch.setattr(queries, name, unreliable)
