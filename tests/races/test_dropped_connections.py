"""Mutations over real sockets to a real server, cut off at random moments: everything is served afterwards, once.

A client goes away in three ways, all of which happen on the road: it says `complete` on its WebSocket, it drops its
WebSocket, or it drops the connection of its HTTP request.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import mean
from typing import Any

import asyncpg
import httpx

from kernel.settings import Settings
from models.database import alone_connections, connected, reading_connections
from schema.types.relay import key_of
from tests.house_process import running
from tests.races.wishes import QUERIES, ROOM, SUCCESSES, Kind, Neighbourhood, Wish, assert_each_happened_once, token_of
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.serving import Client, connecting
from tests.subscriptions.support import eventually

SEED = 20260502
MUTATIONS = 250
AT_ONCE = 21
# Waves that are left alone: the first opens connections, the second tells how long mutations take among as many others.
UNCUT = 2 * AT_ONCE
# Where fewer of a wave are cut, mutations take less time by now than they did, and the next ones are left less of it.
CUT_SHARE, QUICKER = 0.5, 0.8
NORMAL_S = 45.0
SETTLED_WITHIN_S = 45.0
STATES = """
SELECT CASE WHEN wait_event_type = 'Lock' THEN 'waits for a lock' ELSE state END AS state
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> ALL($1::int[])
"""


class Way(StrEnum):
    COMPLETE = "complete"
    DROP_WEBSOCKET = "drop the WebSocket"
    DROP_REQUEST = "drop the request"


@dataclass(frozen=True)
class Server:
    """A server as a process of its own, as its users reach it."""

    port: int
    url: str
    settings: Settings

    def headers(self, wish: Wish) -> dict[str, str]:
        return {"Authorization": f"Bearer {token_of(self.settings, wish.viewer)}"}

    @asynccontextmanager
    async def socket(self, wish: Wish) -> AsyncIterator[Client]:
        async with connecting(f"127.0.0.1:{self.port}") as client:
            await client.initialise(dict(self.headers(wish)))
            yield client

    async def cut(self, way: Way, wish: Wish, after_s: float) -> bool:
        """Send a mutation, leave it alone for so long, go away, and return whether it had not been answered by then."""
        if way is Way.DROP_REQUEST:
            return await self._drop_request(wish, after_s)
        async with self.socket(wish) as client:
            await client.send({"id": "1", "type": "subscribe", "payload": wish.payload})
            try:
                async with asyncio.timeout(after_s):
                    await client.connection.recv()
                return False
            except TimeoutError:
                pass
            if way is Way.DROP_WEBSOCKET:
                client.connection.transport.abort()
                return True
            await client.send({"id": "1", "type": "complete"})
            return await _is_forgotten(client)

    async def _drop_request(self, wish: Wish, after_s: float) -> bool:
        body = json.dumps(wish.payload).encode()
        lines = [
            "POST /graphql HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers(wish).items()),
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        try:
            async with asyncio.timeout(after_s):
                return not await reader.read(1)
        except TimeoutError:
            return True
        finally:
            writer.transport.abort()

    async def ask(self, client: httpx.AsyncClient, wish: Wish) -> Any:
        answer = await client.post(f"{self.url}/graphql", json=wish.payload, headers=self.headers(wish))
        body = answer.json()
        assert "errors" not in body, (wish.kind, body)
        return body["data"]["answer"]


async def _is_forgotten(client: Client) -> bool:
    """Whether nothing comes of an operation any more: the pong is behind whatever was sent before it."""
    await client.send({"type": "ping"})
    while (message := await client.receive())["type"] != "pong":
        assert message["type"] in {"next", "complete"}, message
        if message["type"] == "next":
            return False
    return True


async def test_mutations_cut_off_at_random_moments(database_url: str, tmp_path: Path, sandbox: Sandbox) -> None:
    # The tokens are made here, so both have to agree on who makes them, whatever the server's port is.
    room = {**ROOM, "token_issuer": "tests"}
    settings = sandbox.settings(database_url=database_url, **room)
    async with connected(database_url):
        wishes = await Neighbourhood(settings, sandbox).make(MUTATIONS)
    environment = {f"YOUKA_{name.upper()}": str(value) for name, value in room.items()}
    with running(tmp_path, sandbox, worker=False, DATABASE_URL=database_url, **environment) as house:
        server = Server(house.port, house.url, settings)
        async with httpx.AsyncClient(trust_env=False, timeout=NORMAL_S) as client:
            await cut_all(server, client, wishes)
            await assert_queries_are_served(server, client, wishes[-1])
            if database_url.startswith("postgres"):
                cancelled = next(wish for wish in wishes if wish.kind is Kind.CANCEL)
                await assert_pool_is_whole(server, client, cancelled, database_url)
            answers: list[Any] = []
            for begin in range(0, len(wishes), AT_ONCE):
                wave = wishes[begin : begin + AT_ONCE]
                answers += await asyncio.gather(*(server.ask(client, wish) for wish in wave))
        written = house.server.tail()
        assert "Traceback" not in written, written
    async with connected(database_url):
        await assert_each_happened_once(wishes, answers)


async def cut_all(server: Server, client: httpx.AsyncClient, wishes: list[Wish]) -> None:
    """Cut the wishes off by the ways in turn, and check that many of each way were cut before they were answered."""
    chance = random.Random(SEED)
    await _times(server, client, wishes[:AT_ONCE])
    takes_s = await _times(server, client, wishes[AT_ONCE:UNCUT])
    ways = list(Way)
    cut: Counter[Way] = Counter()
    pace = 1.0
    for begin in range(UNCUT, len(wishes), AT_ONCE):
        wave = wishes[begin : begin + AT_ONCE]
        moments = [chance.uniform(0, pace * takes_s[wish.kind]) for wish in wave]
        cuts = [
            server.cut(ways[number % len(ways)], wish, after_s)
            for number, (wish, after_s) in enumerate(zip(wave, moments, strict=True), start=begin)
        ]
        were_cut = await asyncio.gather(*cuts)
        for number, was_cut in enumerate(were_cut, start=begin):
            cut[ways[number % len(ways)]] += was_cut
        if sum(were_cut) < CUT_SHARE * len(wave):
            pace *= QUICKER
    assert all(cut[way] > len(wishes) / len(ways) / 4 for way in ways), cut


async def _times(server: Server, client: httpx.AsyncClient, wishes: list[Wish]) -> dict[Kind, float]:
    """Return how long a mutation of each kind takes while so many others are under way."""
    took_s: dict[Kind, list[float]] = defaultdict(list)

    async def time_one(wish: Wish) -> None:
        began_s = time.perf_counter()
        await server.ask(client, wish)
        took_s[wish.kind].append(time.perf_counter() - began_s)

    await asyncio.gather(*(time_one(wish) for wish in wishes))
    return {kind: mean(took_s[kind]) for kind in Kind}


async def assert_queries_are_served(server: Server, client: httpx.AsyncClient, wish: Wish) -> None:
    for query in QUERIES:
        answer = await client.post(f"{server.url}/graphql", json={"query": query}, headers=server.headers(wish))
        assert "errors" not in answer.json(), answer.json()
        async with server.socket(wish) as socket:
            await socket.subscribe(query)
            assert await socket.data()
    for path in ("/healthz", "/readyz"):
        assert (await client.get(f"{server.url}{path}")).status_code == 200


async def assert_pool_is_whole(server: Server, client: httpx.AsyncClient, wish: Wish, url: str) -> None:
    """No connection of the server is in a transaction, and it can use as many as it may have, all at once.

    The wish is to cancel an order that is cancelled. Its row is held here, and each request that waits for it keeps a
    connection meanwhile.
    """
    size = server.settings.database_pool_size_max
    size -= reading_connections(server.settings) + alone_connections(server.settings)
    watching, holding = await asyncpg.connect(url), await asyncpg.connect(url)

    async def states() -> Counter[str]:
        """Return what the connections of the server do."""
        rows = await watching.fetch(STATES, [watching.get_server_pid(), holding.get_server_pid()])
        return Counter(row["state"] for row in rows)

    async def all_idle() -> bool:
        return set(await states()) == {"idle"}

    async def all_wait() -> bool:
        # Beside them only those are there that read alone.
        found = await states()
        return found.pop("waits for a lock", 0) == size and set(found) <= {"idle"}

    try:
        await eventually(all_idle, timeout_s=SETTLED_WITHIN_S)
        assert (await states()).total() <= server.settings.database_pool_size_max
        async with holding.transaction():
            order_id = key_of(wish.variables["order"], "Order")
            await holding.execute("SELECT 1 FROM recharge_order WHERE id = $1 FOR UPDATE", order_id)
            asked = [asyncio.create_task(server.ask(client, wish)) for _ in range(size)]
            await eventually(all_wait, timeout_s=SETTLED_WITHIN_S)
        for answer in await asyncio.gather(*asked):
            assert answer["__typename"] == SUCCESSES[wish.kind]
        await eventually(all_idle, timeout_s=SETTLED_WITHIN_S)
    finally:
        await watching.close()
        await holding.close()
