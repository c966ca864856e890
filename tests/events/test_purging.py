"""Old events go, from the beginning of each stream, and what is left says so; the audit and the readers know of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta

import pytest
from tortoise import Tortoise

from domain.events import purging, queries
from domain.events.operations import append, append_internal, mark_published
from domain.events.ports import HistoryGone
from domain.events.streams import EventType, ledger_stream
from jobs.recurring import Recurring
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import connected, dialect, transactional
from models.events import EventStream
from models.jobs import Job
from tests.subscriptions.support import Reader, running, settings_for, take

NOW = utc_now()
OLD, CUTOFF = NOW - timedelta(days=40), NOW - timedelta(days=30)


@transactional
async def tell(stream: str, *moments: datetime) -> None:
    for moment in moments:
        await append(stream=stream, type=EventType.PRICE_CHANGED, payload={}, now=moment)


async def publish_all() -> None:
    ids = [item.id for item in await queries.unpublished(limit=1_000)]
    await mark_published(ids=ids, now=NOW)


async def positions(stream: str) -> list[int]:
    return [event.position for event in await queries.after(stream, position=0, limit=1_000)]


async def purged(stream: str) -> int:
    return int((await EventStream.get(name=stream)).purged)


async def test_the_old_beginning_of_each_stream_goes(database: str) -> None:
    await tell("a", OLD, OLD, NOW)
    await tell("b", OLD)
    await tell("c", NOW)
    await publish_all()
    assert await purging.purge(before=CUTOFF, limit=100) == 3
    assert [await positions(stream) for stream in "abc"] == [[3], [], [1]]
    assert [await purged(stream) for stream in "abc"] == [2, 1, 0]
    # Positions go on where they were: what is deleted is never handed out again.
    await tell("b", NOW)
    assert await positions("b") == [2]
    assert await purging.purge(before=CUTOFF, limit=100) == 0


async def test_an_event_that_was_not_sent_stays_and_holds_what_follows(database: str) -> None:
    await tell("a", OLD, OLD, OLD)
    rows = await queries.unpublished(limit=10)
    await mark_published(ids=[rows[0].id, rows[2].id], now=NOW)
    assert await purging.purge(before=CUTOFF, limit=100) == 1
    assert await positions("a") == [2, 3]
    await publish_all()
    assert await purging.purge(before=CUTOFF, limit=100) == 2
    assert (await positions("a"), await purged("a")) == ([], 3)


async def test_an_event_behind_a_newer_one_waits_for_it(database: str) -> None:
    await tell("a", NOW, OLD)
    await publish_all()
    assert await purging.purge(before=CUTOFF, limit=100) == 0
    assert await positions("a") == [1, 2]


async def test_the_ledgers_events_stay(database: str) -> None:
    stream = ledger_stream(3)
    await transactional(append_internal)(stream=stream, type=EventType.LEDGER_POSTED, payloads=[{}, {}], now=OLD)
    assert await purging.purge(before=CUTOFF, limit=100) == 0
    assert await positions(stream) == [1, 2]


async def test_a_batch_is_a_batch(database: str) -> None:
    await tell("a", *[OLD] * 7)
    await publish_all()
    assert [await purging.purge(before=CUTOFF, limit=3) for _ in range(4)] == [3, 3, 1, 0]


async def test_two_purges_at_once_delete_each_event_once(database: str) -> None:
    for stream in "abcdef":
        await tell(stream, OLD, OLD, NOW)
    await publish_all()
    counts = await asyncio.gather(*(purging.purge(before=CUTOFF, limit=100) for _ in range(4)))
    assert sum(counts) == 12
    assert [await purged(stream) for stream in "abcdef"] == [2] * 6


async def test_the_job_deletes_batch_by_batch_and_then_rests(database: str) -> None:
    await tell("a", NOW - timedelta(days=3), NOW - timedelta(days=1))
    await publish_all()
    recurring = Recurring(Settings(event_history_days=2))
    job = Job(kind="purge_events", key="recurring", payload={})
    assert await recurring.by_kind()["purge_events"](job, NOW) == NOW
    assert await recurring.by_kind()["purge_events"](job, NOW) == NOW + timedelta(hours=1)
    assert await positions("a") == [2]


class TestReaders:
    async def test_a_reader_behind_the_purge_is_told(self, database: str) -> None:
        await tell("a", OLD, OLD, NOW)
        await publish_all()
        await purging.purge(before=CUTOFF, limit=100)
        async with running(settings_for()) as system:
            for after in (0, 1):
                with pytest.raises(HistoryGone):
                    await take(system.hub, "a", 1, after=after)
            assert await take(system.hub, "a", 1, after=2) == [3]

    async def test_a_reader_is_told_where_nothing_is_left(self, database: str) -> None:
        await tell("a", OLD, OLD)
        await publish_all()
        await purging.purge(before=CUTOFF, limit=100)
        async with running(settings_for()) as system:
            with pytest.raises(HistoryGone):
                await take(system.hub, "a", 1, after=1)
            reader = await Reader(system.hub, "a", after=2).subscribed()
            await tell("a", NOW)
            assert await reader.until(1) == [3]
            await reader.stop()

    async def test_a_slow_reader_is_told_in_the_middle(self, database: str) -> None:
        async with running(settings_for(subscription_queue_size_max=1)) as system:
            await tell("a", OLD)
            async with aclosing(system.hub.follow("a", after=0)) as events:
                assert (await anext(events)).position == 1
                # More than its queue holds comes while it does not read, and is deleted before it does.
                await tell("a", OLD, OLD, OLD)
                keen = await Reader(system.hub, "a", after=0).subscribed()
                await keen.until(4)
                await keen.stop()
                await publish_all()
                assert await purging.purge(before=CUTOFF, limit=100) == 4
                await tell("a", NOW)
                with pytest.raises(HistoryGone):
                    await anext(events)

    async def test_a_channel_goes_on_behind_what_is_deleted(self, database: str) -> None:
        async with running(settings_for(subscription_check_interval_ms=50)) as system:
            reader = await Reader(system.hub, "a").subscribed()
            # As if this process had been cut off while events came and went.
            await EventStream.create(name="a", position=2, purged=2)
            await tell("a", NOW)
            with pytest.raises(HistoryGone):
                async with asyncio.timeout(60):
                    await reader.ended()
            late = await Reader(system.hub, "a").subscribed()
            await tell("a", NOW)
            assert await late.until(1) == [4]
            await late.stop()


async def test_a_new_epoch_has_another_name_and_the_same_positions(database: str) -> None:
    await tell("a", NOW)
    before = await queries.standing_of("a")
    name = await purging.new_epoch(now=NOW)
    after = await queries.standing_of("a")
    assert after.epoch == name != before.epoch
    assert (after.position, after.purged) == (before.position, before.purged)


async def test_databases_have_epochs_of_their_own(sqlite_url: str, postgres_url: str) -> None:
    names = []
    for url in (sqlite_url, postgres_url):
        async with connected(url):
            names.append((await queries.standing_of("a")).epoch)
    assert len(set(names)) == 2


async def test_an_index_finds_what_is_old(database: str) -> None:
    connection = Tortoise.get_connection("default")
    await tell("a", OLD)
    await publish_all()
    statement = purging.OLDEST.format(before=f"'{CUTOFF.isoformat(sep=' ')}'", limit="10")
    if dialect() == "postgres":
        await connection.execute_query("SET enable_seqscan = off")
        plan = await connection.execute_query_dict(f"EXPLAIN {statement}")
        await connection.execute_query("RESET enable_seqscan")
    else:
        plan = await connection.execute_query_dict(f"EXPLAIN QUERY PLAN {statement}")
    assert "event_purgeable" in str(plan), plan
    assert "sort" not in str(plan).lower().replace("order", "")
