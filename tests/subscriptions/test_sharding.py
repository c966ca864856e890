"""Sharded publish/subscribe: on a real cluster of three processes, on a single Redis 7, and refused on an older one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis

from jobs.wakes import WAKE_CHANNEL, RedisPublisher
from kernel.pubsub import REDIS_MAJOR_MIN, ShardingUnsupported, require_sharding
from subscriptions.sharding import ShardedBackend
from tests.house_process import ROOT
from tests.redis_cluster import Node, move_slot, owner, single_node, three_nodes
from tests.subscriptions.support import Reader, Running, eventually, running, settings_for, write

STREAMS = [f"order:{number}" for number in range(12)]


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    with three_nodes() as cluster:
        yield cluster


def channels_of(node: Node) -> set[str]:
    return {channel.decode() for channel in node.run("PUBSUB SHARDCHANNELS") or []}


async def readers_of(system: Running, streams: list[str]) -> dict[str, Reader]:
    return {stream: await Reader(system.hub, stream).subscribed() for stream in streams}


async def told_to_each(readers: dict[str, Reader], position: int) -> None:
    for stream in readers:
        await write(stream)
    for reader in readers.values():
        assert await reader.until(position) == list(range(1, position + 1))


class TestCluster:
    async def test_each_channel_lives_on_the_node_of_its_slot(self, sqlite_database: str, nodes: list[Node]) -> None:
        async with running(settings_for(nodes[0].url, redis_sharded_pubsub=True)) as system:
            readers = await readers_of(system, STREAMS)
            await told_to_each(readers, 1)
            for node in nodes:
                assert channels_of(node) == {stream for stream in STREAMS if owner(nodes, stream) is node}
                assert channels_of(node)
                assert set(node.run("PUBSUB CHANNELS")) <= {WAKE_CHANNEL.encode()}
            for reader in readers.values():
                await reader.stop()
            await eventually(lambda: not any(channels_of(node) for node in nodes))

    async def test_a_channel_follows_its_slot(self, sqlite_database: str, nodes: list[Node]) -> None:
        stream = STREAMS[0]
        source = owner(nodes, stream)
        target = next(node for node in nodes if node is not source)
        async with running(settings_for(nodes[0].url, redis_sharded_pubsub=True)) as system:
            reader = await Reader(system.hub, stream).subscribed()
            await told_to_each({stream: reader}, 1)
            await asyncio.to_thread(move_slot, nodes, stream, target)
            await told_to_each({stream: reader}, 2)
            await eventually(lambda: channels_of(target) == {stream})
            await told_to_each({stream: reader}, 3)
            assert channels_of(source) == set()
            await reader.stop()

    async def test_a_node_that_is_killed_and_comes_back(self, sqlite_database: str, nodes: list[Node]) -> None:
        async with running(settings_for(nodes[0].url, redis_sharded_pubsub=True)) as system:
            readers = await readers_of(system, STREAMS)
            await told_to_each(readers, 1)
            lost = nodes[1]
            await asyncio.to_thread(lost.kill)
            await asyncio.to_thread(lost.start)
            await told_to_each(readers, 2)
            await eventually(lambda: channels_of(lost) == {one for one in STREAMS if owner(nodes, one) is lost})
            await told_to_each(readers, 3)
            for reader in readers.values():
                await reader.stop()

    async def test_a_message_is_carried_by_the_cluster_itself(self, sqlite_database: str, nodes: list[Node]) -> None:
        async with running(settings_for(nodes[0].url, redis_sharded_pubsub=True)) as system:
            backend = system.broadcast._backend
            assert isinstance(backend, ShardedBackend)
            await backend.subscribe("a")
            await backend.publish("a", "first")
            assert (await asyncio.wait_for(backend.next_published(), 5)).message == "first"
            # A worker that has no hub of its own publishes in the same way.
            publisher = RedisPublisher(nodes[2].url, sharded=True)
            await publisher.publish("a", "second")
            assert (await asyncio.wait_for(backend.next_published(), 5)).message == "second"
            await publisher.close()
            await backend.unsubscribe("a")


class TestSingle:
    async def test_a_single_redis_will_do(self, sqlite_database: str) -> None:
        with single_node() as node:
            async with running(settings_for(node.url, redis_sharded_pubsub=True)) as system:
                readers = await readers_of(system, STREAMS)
                await told_to_each(readers, 1)
                assert channels_of(node) == set(STREAMS)
                node.kill()
                node.start()
                await told_to_each(readers, 2)
                await eventually(lambda: channels_of(node) == set(STREAMS))
                for reader in readers.values():
                    await reader.stop()


class TestOldRedis:
    async def test_it_is_refused_at_the_start(self, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url) as client:
            if int(str(client.info("server")["redis_version"]).partition(".")[0]) >= REDIS_MAJOR_MIN:
                pytest.skip("the Redis of these tests is new enough")
        with pytest.raises(ShardingUnsupported, match="needs Redis 7 or newer"):
            await require_sharding(settings_for(redis_url, redis_sharded_pubsub=True))
        await require_sharding(settings_for(redis_url))
        environment = {**os.environ, "REDIS_URL": redis_url, "YOUKA_REDIS_SHARDED_PUBSUB": "true"}
        for module in ("app", "jobs"):
            command = [sys.executable, "-m", module]
            ended = await asyncio.to_thread(
                subprocess.run, command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
            assert ended.stderr.startswith("youka: YOUKA_REDIS_SHARDED_PUBSUB needs Redis 7 or newer, and this is ")

    async def test_a_redis_that_is_down_is_waited_for(self, free_port: int) -> None:
        await require_sharding(settings_for(f"redis://127.0.0.1:{free_port}/0", redis_sharded_pubsub=True))
