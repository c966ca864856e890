"""Processes that tell each other what was changed, over a real Redis and within one process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio
from broadcaster import Broadcast, Event

from domain.events import purges
from domain.events.messages import MessageMalformed
from domain.events.operations import append
from domain.events.ports import StoredEvent
from domain.events.streams import STATIONS, EventType, arrivals_stream
from domain.identity.viewer import Viewer
from jobs.assembly import relaying
from jobs.wakes import telling_by_redis
from kernel.clock import utc_now
from kernel.fragments import Fragments, View
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.tagged_cache import TaggedCache
from models.changes import of_users
from models.database import connected, transactional
from models.identity import User
from models.pricing import PriceZone
from subscriptions.backends import MemoryBackend
from subscriptions.broadcasting import create_broadcast
from subscriptions.hub import Hub
from subscriptions.purging import Purger, hearing
from tests.factories import create_viewer
from tests.subscriptions.support import eventually


@asynccontextmanager
async def process(**values: Any) -> AsyncIterator[tuple[Hub, TaggedCache[Any]]]:
    """One more process as far as its cache is concerned."""
    settings = Settings(**values)
    async with create_broadcast(settings) as broadcast, hearing(broadcast, settings) as (hub, cache):
        if settings.redis_url:
            await eventually(lambda: cache.is_open)
        else:
            await eventually(lambda: cache.purges > 0)
        async with relaying(broadcast, settings):
            yield hub, cache


def keep(cache: TaggedCache[Any], viewer: Viewer) -> None:
    tags = (purges.USERS, purges.user_tag(viewer.user_id))
    assert cache.keep(cache.begin(), viewer.user_id, "kept", tags=tags, lasts_s=60, size_bytes=0)


async def rename(viewer: Viewer) -> None:
    with of_users(viewer.user_id):
        await User.filter(id=viewer.user_id).update(display_name="another")


async def test_ones_own_change_is_heard_before_anything_else_happens(database: str) -> None:
    viewer, other = await create_viewer(), await create_viewer()
    async with process() as (_, cache):
        keep(cache, viewer)
        keep(cache, other)
        await rename(viewer)
        assert cache.get(viewer.user_id) is None
        assert cache.get(other.user_id) == "kept"


async def test_every_process_hears_of_a_change(sqlite_url: str, redis_url: str) -> None:
    async with opened(sqlite_url), process(redis_url=redis_url) as (_, cache):
        viewer, other = await create_viewer(), await create_viewer()
        keep(cache, viewer)
        keep(cache, other)
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            message = purges.encode("another process", 1, {purges.user_tag(viewer.user_id)})
            await client.publish(purges.CHANNEL, message)
            await eventually(lambda: cache.get(viewer.user_id) is None)
            assert cache.get(other.user_id) == "kept"
            # What cannot be read says that something may have been lost.
            await client.publish(purges.CHANNEL, "")
            await eventually(lambda: cache.get(other.user_id) is None)


@pytest.mark.parametrize(("answers", "fragments"), [(0, 0), (1_000, 0), (0, 1_000)])
async def test_who_keeps_nothing_tells_and_does_not_listen(
    sqlite_url: str, redis_url: str, answers: int, fragments: int
) -> None:
    settings = Settings(redis_url=redis_url, response_cache_size_max_bytes=answers)
    async with (
        opened(sqlite_url),
        create_broadcast(settings) as broadcast,
        redis.asyncio.Redis.from_url(redis_url) as client,
        client.pubsub() as heard,
    ):
        await heard.subscribe(purges.CHANNEL)
        async with hearing(broadcast, settings, fragments=Fragments(fragments, tags=())):
            await create_viewer()
            listens = bool(answers or fragments)
            messages = [purges.decode(each) async for each in drained(heard)]
            assert frozenset({purges.USERS}) in [each.tags for each in messages]
            # One is this test, and the beats are for those who listen.
            assert await client.pubsub_numsub(purges.CHANNEL) == [(purges.CHANNEL.encode(), 1 + listens)]
            assert listens or all(each.tags for each in messages)


async def test_a_command_and_a_worker_tell_what_they_change(sqlite_url: str, redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    async with opened(sqlite_url), redis.asyncio.Redis.from_url(redis_url) as client, client.pubsub() as heard:
        await heard.subscribe(purges.CHANNEL)
        async with telling_by_redis(settings):
            await create_viewer()
        messages = [each async for each in drained(heard)]
        assert frozenset({purges.USERS}) in [purges.decode(each).tags for each in messages]


async def test_a_notice_comes_after_what_was_kept_is_forgotten(database: str) -> None:
    viewer = await create_viewer()
    async with process() as (hub, cache):
        following = hub.follow(arrivals_stream(viewer.user_id), after=0)
        first = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.01)
        keep(cache, viewer)
        await transactional(append)(
            stream=arrivals_stream(viewer.user_id), type=EventType.RECHARGE_ARRIVED, payload={}, now=utc_now()
        )
        await first
        assert cache.get(viewer.user_id) is None
        await following.aclose()


def test_who_does_not_hear_finds_nothing_and_begins_anew() -> None:
    """What is heard says how long ago everything was heard; beyond the time that is set nothing is found."""
    seconds = 0.0

    def clock() -> float:
        return seconds

    cache = TaggedCache[Any](1 << 20, clock=clock)
    fragments = Fragments(1 << 20, tags=(purges.STATIONS,), clock=clock)
    settings = Settings(redis_url="redis://127.0.0.1:1/0", response_cache_deaf_max_ms=1_000)
    purger = Purger(cache, Broadcast(backend=MemoryBackend()), settings, fragments=fragments, clock=clock)

    def hear(number: int) -> None:
        purger._take(Event(purges.CHANNEL, purges.encode(purger.origin, number, ())))

    assert cache.open_until == fragments.open_until == 0.0
    purger._beat(1)
    seconds = 0.2
    hear(1)
    assert cache.open_until == 1.0
    cache.keep(cache.begin(), "a", "kept", tags=(), lasts_s=3_600, size_bytes=0)
    purger._beat(2)
    seconds = 0.9
    # Of two that were sent the older one comes late, and one comes twice.
    hear(2)
    hear(2)
    hear(1)
    assert cache.open_until == 1.2
    assert cache.get("a") == "kept"
    fragments.hold(fragments.generation, 60)
    assert fragments.view() is not None
    seconds = 1.2
    assert cache.get("a") is None
    assert fragments.view() is None
    purger._beat(3)
    seconds = 1.3
    hear(3)
    assert cache.is_open
    assert cache.get("a") is None
    assert len(cache) == 0
    assert fragments.is_open
    assert fragments.view() is None, "for how long they are true has to be found out anew"


async def test_fragments_are_forgotten_with_answers(sqlite_url: str, redis_url: str) -> None:
    fragments, settings = Fragments(1 << 20, tags=(purges.STATIONS,)), Settings(redis_url=redis_url)

    def kept() -> View:
        fragments.hold(fragments.generation, 60)
        view = fragments.view()
        assert view is not None
        assert view.keep("a station", "kept", size_bytes=0)
        return view

    async with (
        opened(sqlite_url),
        create_broadcast(settings) as broadcast,
        hearing(broadcast, settings, fragments=fragments) as (hub, _),
        redis.asyncio.Redis.from_url(redis_url) as client,
    ):
        await eventually(lambda: fragments.is_open)
        view = kept()
        await create_viewer()
        assert view.get("a station") == "kept", "users are not what stations are made of"
        await PriceZone.create(id=new_id(), province_code="310000", province_name="上海市", code="a", name="一价区")
        assert view.get("a station") is None
        view = kept()
        await client.publish(purges.CHANNEL, purges.encode("another process", 1, {purges.STATIONS}))
        await eventually(lambda: view.get("a station") is None)
        view = kept()
        event = StoredEvent(STATIONS, 1, EventType.STATIONS_CHANGED, {"station_ids": []}, utc_now())
        hub._heard(event)
        assert view.get("a station") is None


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[None]:
    async with connected(url):
        yield


async def drained(subscription: Any) -> AsyncIterator[str]:
    while (message := await subscription.get_message(timeout=1.0)) is not None:
        if message["type"] == "message":
            yield message["data"].decode()


@pytest.mark.parametrize("message", ["", "[]", "{}", '{"origin":1,"number":1,"tags":[]}',
    '{"origin":"a","number":"1","tags":[]}', '{"origin":"a","number":1,"tags":[1]}'])  # fmt: skip
def test_what_is_no_purge_is_refused(message: str) -> None:
    with pytest.raises(MessageMalformed):
        purges.decode(message)


def test_a_purge_is_read_as_it_was_written() -> None:
    tags = {purges.USERS, purges.STATIONS}
    assert purges.decode(purges.encode("a", 3, tags)) == purges.Purge("a", 3, frozenset(tags))


@pytest.mark.parametrize(("answers", "awaited"), [(0, 0), (1_000, 10)])
async def test_beats_are_awaited_for_as_long_as_they_count(answers: int, awaited: int) -> None:
    """Each change is a beat, so that a busy process has many, and one that does not listen awaits none."""
    settings = Settings(redis_url="redis://127.0.0.1:1", response_cache_deaf_max_ms=1_000)
    ticks = itertools.count()
    purger = Purger(TaggedCache(answers), Broadcast(backend=MemoryBackend()), settings, clock=lambda: next(ticks) / 10)
    for number in range(100):
        purger._beat(number)
    assert len(purger._sent) == awaited
