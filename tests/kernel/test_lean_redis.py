"""Commands over one connection: their order, their errors, and what becomes of them where the connection does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
import redis as sync_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kernel.lean_redis import LeanRedis
from kernel.pubsub import single
from tests.services import find_free_port


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[LeanRedis]:
    async with aclosing(LeanRedis(single(redis_url))) as opened:
        yield opened


@pytest.fixture
def other(redis_url: str) -> sync_redis.Redis:
    return sync_redis.Redis.from_url(redis_url)


def kill_all(other: sync_redis.Redis) -> None:
    other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]


async def test_each_has_its_own_answer(client: LeanRedis) -> None:
    answers = await asyncio.gather(*(client.execute("ECHO", number) for number in range(200)))
    assert answers == [str(number).encode() for number in range(200)]


async def test_all_go_over_one_connection(client: LeanRedis, other: sync_redis.Redis) -> None:
    before = len(other.client_list())
    await asyncio.gather(*(client.execute("ECHO", "a") for _ in range(50)))
    assert len(other.client_list()) == before + 1


async def test_a_refusal_is_of_one_command(client: LeanRedis) -> None:
    commands = [("ECHO", "a"), ("NONSENSE",), ("ECHO", "b")]
    answers = await asyncio.gather(*(client.execute(*each) for each in commands), return_exceptions=True)
    assert (answers[0], answers[2]) == (b"a", b"b")
    assert isinstance(answers[1], ResponseError)


async def test_scripts_and_messages(client: LeanRedis, other: sync_redis.Redis) -> None:
    assert await client.eval("return {KEYS[1], ARGV[1], 7}", 1, "key", "value") == [b"key", b"value", 7]
    with other.pubsub() as subscription:  # type: ignore[no-untyped-call]
        subscription.subscribe("a", "b")
        assert [subscription.get_message(timeout=5)["type"] for _ in range(2)] == ["subscribe"] * 2
        await client.publish("a", "1")
        await client.publish_all([("b", "2"), ("a", "油卡")])
        heard = [subscription.get_message(timeout=5) for _ in range(3)]
    assert [(each["channel"], each["data"].decode()) for each in heard] == [(b"a", "1"), (b"b", "2"), (b"a", "油卡")]


async def test_an_answer_that_nobody_waits_for_is_nobody_elses(client: LeanRedis) -> None:
    await client.execute("ECHO", "a")
    given_up = asyncio.create_task(client.execute("ECHO", "given up"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await client.execute("ECHO", "b") == b"b"


async def test_a_connection_that_has_gone_stale_is_replaced(client: LeanRedis, other: sync_redis.Redis) -> None:
    assert await client.execute("ECHO", "a") == b"a"
    kill_all(other)
    assert await client.execute("ECHO", "b") == b"b"


async def test_a_command_whose_connection_is_lost_is_sent_once_more(client: LeanRedis, other: sync_redis.Redis) -> None:
    await client.execute("ECHO", "a")
    other.delete("lean")
    waiting = asyncio.create_task(client.execute("BLPOP", "lean", 0))
    await asyncio.sleep(0.05)
    kill_all(other)
    await asyncio.sleep(0.2)
    other.lpush("lean", "b")
    assert await waiting == [b"lean", b"b"]


async def test_where_nobody_is_there() -> None:
    async with aclosing(LeanRedis(single(f"redis://127.0.0.1:{find_free_port()}/0"))) as client:
        errors = await asyncio.gather(*(client.execute("PING") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, RedisConnectionError) for each in errors)


async def test_the_password_and_the_database_are_those_of_the_address(
    client: LeanRedis, redis_url: str, other: sync_redis.Redis
) -> None:
    async with aclosing(LeanRedis(single(redis_url.rpartition("/")[0] + "/3"))) as third:
        await third.execute("SET", "lean:three", 1)
        assert await third.execute("EXISTS", "lean:three") == 1
        assert await client.execute("EXISTS", "lean:three") == 0
        await third.execute("DEL", "lean:three")


async def test_what_waits_at_the_end_is_told(client: LeanRedis) -> None:
    await client.execute("ECHO", "a")
    waiting = asyncio.create_task(client.execute("BLPOP", "lean:never", 0))
    await asyncio.sleep(0.05)
    await client.aclose()
    with pytest.raises(RedisConnectionError):
        await waiting
    with pytest.raises(RedisConnectionError):
        await client.execute("ECHO", "b")


@asynccontextmanager
async def silent_after_the_handshake(redis_url: str) -> AsyncIterator[str]:
    """A Redis that does not answer any more once it has heard PING."""
    address = redis_url.rpartition("@")[2].partition("/")[0]
    host, _, port = address.partition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(host, int(port))

        async def up() -> None:
            while (data := await reader.read(65_536)) and b"PING" not in data:
                up_writer.write(data)

        async def down() -> None:
            while data := await up_reader.read(65_536):
                writer.write(data)

        tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
        try:
            await asyncio.sleep(10)
        finally:
            for each in tasks:
                each.cancel()
            up_writer.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield redis_url.replace(address, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()


async def test_nobody_is_waited_for_longer_than_agreed(redis_url: str) -> None:
    async with silent_after_the_handshake(redis_url) as url, aclosing(LeanRedis(single(url, timeout_s=0.3))) as client:
        assert await client.execute("ECHO", "a") == b"a"
        async with asyncio.timeout(5):
            with pytest.raises(RedisTimeoutError):
                await client.execute("PING")
        # The next one is asked on a connection of its own.
        assert await client.execute("ECHO", "b") == b"b"
