"""The one way to run a transaction survives cancellation, and joins where one is open."""

from __future__ import annotations

import asyncio
import random

import pytest
from tortoise import Tortoise

from kernel.clock import utc_now
from kernel.tasks import SpawnedInsideTransaction, spawn
from models.database import dialect, drain, transactional
from models.events import Event, EventStream

pytestmark = pytest.mark.usefixtures("database")


async def _event(stream: str, position: int) -> None:
    await Event.create(stream=stream, position=position, type="t", payload={}, occurred_at=utc_now())


async def test_an_error_rolls_everything_back() -> None:
    @transactional
    async def broken() -> None:
        await _event("s", 1)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        await broken()
    assert await Event.all().count() == 0


async def test_a_call_inside_a_transaction_joins_it() -> None:
    @transactional
    async def inner() -> None:
        await _event("s", 1)

    @transactional
    async def outer() -> None:
        await inner()
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        await outer()
    assert await Event.all().count() == 0


async def test_cancelled_callers_leave_the_database_usable() -> None:
    @transactional
    async def work(number: int) -> None:
        await EventStream.create(name=f"s{number}", position=1)
        await _event(f"s{number}", 1)

    chance = random.Random(20260421)
    for batch in range(10):
        tasks = [asyncio.create_task(work(batch * 20 + index)) for index in range(20)]
        for task in chance.sample(tasks, 15):
            await asyncio.sleep(chance.random() / 2_000)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await drain()
    # Each transaction is whole or absent, and the next one runs at once.
    streams = set(await EventStream.all().values_list("name", flat=True))
    assert streams == set(await Event.all().values_list("stream", flat=True))
    async with asyncio.timeout(30):
        await work(999_999)
    if dialect() == "postgres":
        rows = await Tortoise.get_connection("default").execute_query_dict(
            "SELECT count(*) AS idle FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
            "AND datname = current_database()"
        )
        assert rows[0]["idle"] == 0


async def test_writers_queue_instead_of_failing() -> None:
    await EventStream.create(name="counter", position=0)

    @transactional
    async def increment() -> None:
        stream = await EventStream.select_for_update().get(name="counter")
        await asyncio.sleep(0)
        await EventStream.filter(name="counter").update(position=stream.position + 1)

    await asyncio.gather(*(increment() for _ in range(50)))
    assert (await EventStream.get(name="counter")).position == 50


async def test_a_task_is_never_started_inside_a_transaction() -> None:
    async def other() -> None:
        await _event("other", 1)

    @transactional
    async def work() -> None:
        spawn(other(), name="other")

    with pytest.raises(SpawnedInsideTransaction):
        await work()
    assert await Event.all().count() == 0
