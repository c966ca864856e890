"""The relay: at least once, soon after the commit, and never dead."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import redis.asyncio

from domain.events import operations, purges, queries
from jobs.relay import BatchPublisher, Relay
from jobs.wakes import WAKE_CHANNEL, RedisPublisher, forwarding_wakes, listen_for_wakes
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait
from models.database import connected
from models.events import Event
from subscriptions.broadcasting import create_broadcast
from tests.subscriptions.support import all_published, eventually, write

NEVER_MS = 3_600_000


class Recorder:
    """A publisher that keeps what it was given, and can be told to fail."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.fails = 0
        self.before: Callable[[], Any] | None = None

    async def publish(self, channel: str, message: Any) -> None:
        await asyncio.sleep(0)
        if channel == purges.CHANNEL:
            return
        if self.before:
            await self.before()
        if self.fails:
            self.fails -= 1
            raise ConnectionError("gone")
        self.sent.append((channel, orjson.loads(message)["position"]))


@asynccontextmanager
async def relaying(publisher: Any, **values: Any) -> AsyncIterator[Relay]:
    relay = Relay(publisher, Settings(**{"relay_poll_interval_ms": NEVER_MS, **values}))
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def unpublished() -> int:
    return await Event.filter(published_at__isnull=True).count()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_a_commit_is_published_at_once_and_in_order(database: str, recorder: Recorder) -> None:
    async with relaying(recorder):
        await write("a", 3)
        await eventually(lambda: len(recorder.sent) == 3)
        await write("b")
        await eventually(lambda: len(recorder.sent) == 4)
    assert recorder.sent == [("a", 1), ("a", 2), ("a", 3), ("b", 1)]
    assert await unpublished() == 0


class BatchRecorder(Recorder):
    """The same, which takes a batch at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        # What tells of changes goes before all events.
        assert purges.CHANNEL not in {channel for channel, _ in messages[1:]}
        self.batches.append(sum(channel != purges.CHANNEL for channel, _ in messages))
        if self.fails:
            self.fails -= 1
            raise ConnectionError("gone")
        for channel, message in messages:
            await self.publish(channel, message)


async def test_a_batch_goes_out_in_one_call(database: str) -> None:
    batched = BatchRecorder()
    await write("a", 25)
    async with relaying(batched, relay_batch_size_max=10):
        await eventually(lambda: len(batched.sent) == 25)
    assert batched.sent == [("a", position) for position in range(1, 26)]
    assert batched.batches == [10, 10, 5]


async def test_a_batch_that_did_not_go_out_goes_out_again(database: str) -> None:
    batched = BatchRecorder()
    batched.fails = 1
    await write("a", 3)
    async with relaying(batched):
        await eventually(lambda: len(batched.sent) == 3)
    assert batched.batches == [3, 3]
    assert await unpublished() == 0


@asynccontextmanager
async def closing(publisher: RedisPublisher) -> AsyncIterator[RedisPublisher]:
    try:
        yield publisher
    finally:
        await publisher.close()


async def test_redis_passes_a_batch_on_in_its_order(redis_url: str) -> None:
    messages = [("one", "1"), ("other", "2"), ("one", "3"), ("one", "四")]
    async with redis.asyncio.Redis.from_url(redis_url) as client, client.pubsub() as heard:
        await heard.subscribe("one", "other")
        broadcast = create_broadcast(Settings(redis_url=redis_url))
        assert isinstance(broadcast, BatchPublisher)
        async with broadcast, closing(RedisPublisher(redis_url)) as other:
            await broadcast.publish_all(messages)
            await other.publish_all(messages)
        arrived: list[tuple[str, str]] = []
        while len(arrived) < 8:
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=10)
            if message:
                arrived.append((message["channel"].decode(), message["data"].decode()))
    assert arrived == messages * 2


async def test_what_was_committed_before_it_started_is_published(database: str, recorder: Recorder) -> None:
    await write("a", 25)
    async with relaying(recorder, relay_batch_size_max=10):
        await eventually(lambda: len(recorder.sent) == 25)
    assert recorder.sent == [("a", position) for position in range(1, 26)]


async def test_a_commit_of_another_process_is_found_by_polling(database: str, recorder: Recorder) -> None:
    async with relaying(recorder, relay_poll_interval_ms=10):
        # An update tells nobody, as a commit elsewhere does.
        await write("a")
        await eventually(lambda: len(recorder.sent) == 1)
        await eventually(all_published)
        await Event.all().update(published_at=None)
        await eventually(lambda: len(recorder.sent) == 2)
    assert recorder.sent == [("a", 1), ("a", 1)]


async def test_what_is_rolled_back_is_never_published(database: str, recorder: Recorder) -> None:
    def fail(number: int) -> dict[str, Any]:
        if number == 2:
            raise ValueError("stop")
        return {}

    async with relaying(recorder) as relay:
        with pytest.raises(ValueError, match="stop"):
            await write("a", 3, of=fail)
        relay.poke()
        await write("b")
        await eventually(lambda: len(recorder.sent) == 1)
    assert recorder.sent == [("b", 1)]


async def test_no_transaction_is_open_while_a_message_is_sent(database: str, recorder: Recorder) -> None:
    wrote: list[int] = []

    async def write_meanwhile() -> None:
        recorder.before = None
        # SQLite has one writer: this would hang behind a transaction of the relay.
        async with asyncio.timeout(30):
            wrote.extend(await write("other"))

    recorder.before = write_meanwhile
    async with relaying(recorder):
        await write("a")
        await eventually(lambda: len(recorder.sent) == 2)
    assert wrote == [1]
    assert recorder.sent == [("a", 1), ("other", 1)]


async def test_an_error_of_the_broadcaster_is_waited_out(database: str, recorder: Recorder) -> None:
    recorder.fails = 3
    async with relaying(recorder):
        await write("a", 4)
        await eventually(lambda: len(recorder.sent) == 4)
    assert recorder.sent == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert await unpublished() == 0


async def test_what_went_out_before_an_error_is_marked(database: str, recorder: Recorder) -> None:
    seen = 0

    async def fail_at_the_third() -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise ConnectionError("gone")

    recorder.before = fail_at_the_third
    async with relaying(recorder):
        await write("a", 5)
        await eventually(lambda: len(recorder.sent) == 5)
    assert [position for _, position in recorder.sent] == [1, 2, 3, 4, 5]


async def test_an_error_of_the_database_is_waited_out(
    database: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failures = queries.unpublished, 3

    async def unreliable(*, limit: int) -> list[queries.UnpublishedEvent]:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError("the database is gone")
        return await read(limit=limit)

    monkeypatch.setattr(queries, "unpublished", unreliable)
    async with relaying(recorder):
        await write("a")
        await eventually(lambda: len(recorder.sent) == 1)
    assert failures == 0


async def test_a_crash_between_sending_and_marking_sends_twice(
    database: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, failures = operations.mark_published, 1

    async def unreliable(**values: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError("the database is gone")
        await mark(**values)

    monkeypatch.setattr(operations, "mark_published", unreliable)
    async with relaying(recorder):
        await write("a", 2)
        await eventually(lambda: len(recorder.sent) == 4)
    assert [position for _, position in recorder.sent] == [1, 2, 1, 2]
    assert await unpublished() == 0


async def test_stopping_publishes_what_is_left(database: str, recorder: Recorder) -> None:
    relay = Relay(recorder, Settings(relay_poll_interval_ms=NEVER_MS))
    await relay.start()
    await asyncio.sleep(0.05)
    await write("a", 3)
    await relay.stop()
    assert [position for _, position in recorder.sent] == [1, 2, 3]


async def test_stopping_does_not_wait_for_a_broken_broadcaster(database: str, recorder: Recorder) -> None:
    recorder.fails = 1_000
    relay = Relay(recorder, Settings(relay_poll_interval_ms=NEVER_MS))
    await relay.start()
    await write("a")
    async with asyncio.timeout(30):
        await relay.stop()
    assert await unpublished() == 1


async def test_stopping_what_was_never_started_does_nothing(recorder: Recorder) -> None:
    await Relay(recorder, Settings()).stop()
    assert recorder.sent == []


async def test_two_relays_send_twice_at_most(database: str) -> None:
    one, other = Recorder(), Recorder()
    async with relaying(one), relaying(other):
        for _ in range(20):
            await write("a")
        await eventually(lambda: {*one.sent, *other.sent} == {("a", position) for position in range(1, 21)})
    assert await unpublished() == 0
    assert len(one.sent) <= 20
    assert len(other.sent) <= 20


class TestAcrossProcesses:
    async def test_a_wake_on_redis_makes_a_relay_look(self, database: str, redis_url: str, recorder: Recorder) -> None:
        async with relaying(recorder, redis_url=redis_url), redis.asyncio.Redis.from_url(redis_url) as client:
            await write("a")
            await eventually(lambda: len(recorder.sent) == 1)
            await eventually(all_published)
            await Event.all().update(published_at=None)
            await eventually(lambda: client.publish(WAKE_CHANNEL, ""))
            await eventually(lambda: len(recorder.sent) == 2)

    async def test_a_process_does_not_wake_itself(self, database: str, redis_url: str) -> None:
        wakes: list[None] = []
        listening = asyncio.create_task(listen_for_wakes(redis_url, lambda: wakes.append(None)))
        async with redis.asyncio.Redis.from_url(redis_url) as client, client.pubsub() as subscription:
            # It looks once when it is connected.
            await eventually(lambda: len(wakes) == 1)
            await subscription.subscribe(WAKE_CHANNEL)
            assert (await subscription.get_message(timeout=5))["type"] == "subscribe"
            async with forwarding_wakes(redis_url):
                await write("a")
                assert (await subscription.get_message(timeout=5))["type"] == "message"
            await client.publish(WAKE_CHANNEL, "of another process")
            assert (await subscription.get_message(timeout=5))["type"] == "message"
            await eventually(lambda: len(wakes) > 1)
            assert len(wakes) == 2
        await cancel_and_wait(listening)

    async def test_a_process_without_a_relay_wakes_the_others(
        self, postgres_url: str, redis_url: str, recorder: Recorder
    ) -> None:
        script = """
            import asyncio, sys
            from jobs.wakes import forwarding_wakes
            from models.database import connected
            from tests.subscriptions.support import write

            async def main():
                async with connected(sys.argv[1]), forwarding_wakes(sys.argv[2]):
                    await write("from-afar", 2)

            asyncio.run(main())
        """

        async with (
            connected(postgres_url),
            redis.asyncio.Redis.from_url(redis_url) as client,
            relaying(recorder, redis_url=redis_url),
        ):
            await eventually(lambda: _listens(client))
            command = [sys.executable, "-c", textwrap.dedent(script), postgres_url, redis_url]
            process = await asyncio.create_subprocess_exec(*command)
            assert await process.wait() == 0
            await eventually(lambda: len(recorder.sent) == 2)
        assert recorder.sent == [("from-afar", 1), ("from-afar", 2)]

    async def test_without_redis_nothing_is_forwarded(self, database: str) -> None:
        async with forwarding_wakes(""):
            await write("a")
        assert await unpublished() == 1

    async def test_a_publisher_without_a_hub_reaches_redis(self, database: str, redis_url: str) -> None:
        publisher = RedisPublisher(redis_url)
        async with redis.asyncio.Redis.from_url(redis_url) as client, client.pubsub() as subscription:
            await subscription.subscribe("a")
            assert (await subscription.get_message(timeout=5))["type"] == "subscribe"
            async with relaying(publisher):
                await write("a")
                message = await subscription.get_message(timeout=5)
        await publisher.close()
        assert orjson.loads(message["data"])["position"] == 1
        assert orjson.loads(message["data"])["payload"] == {"n": 0}


async def _listens(client: redis.asyncio.Redis) -> bool:
    """Say whether somebody listens for wakes."""
    return bool((await client.pubsub_numsub(WAKE_CHANNEL))[0][1])
