"""A server that stops: everybody is told when to come back, what is under way is finished, and it is gone in time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from models.database import migrate
from subscriptions.draining import EXIT_WITHIN_S, FORCED_EXIT_CODE
from tests.conftest import _started
from tests.house_process import ROOT, RunningHouse, running
from tests.memory import folder_in_memory
from tests.sandbox_fixtures import Sandbox
from tests.services import Service, run, start_postgres
from tests.subscriptions.events import reading
from tests.subscriptions.serving import COUNTED, Client, connecting, services_of, serving
from tests.subscriptions.support import eventually
from tests.subscriptions.test_slow_readers import HANDSHAKE, Deaf

FOREVER = "subscription { ticks(to: 1000000, everyS: 60) }"
PRICES = "subscription { priceChanges { __typename } }"
SOCKETS_MANY = 1_000
STOPPED_WITHIN_S = 10.0


async def reconnect_delay_ms(client: Client) -> int:
    """Return what the server says when it goes; other messages may come before, and signs of life are asked for."""
    message = await client.receive()
    while message["type"] != "ping" or "payload" not in message:
        message = await client.receive()
    return int(message["payload"]["reconnectAfterMs"])


class TestGoing:
    async def test_sockets_are_told_when_to_come_back(self) -> None:
        async with serving(services_of(reconnect_spread_ms=3_000)) as address, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connecting(address)) for _ in range(30)]
            for client in clients:
                await client.initialise()
                await client.subscribe(FOREVER)
                assert await client.data() == {"ticks": 1}
            await address.graphql.drain()
            delays_ms = [await reconnect_delay_ms(client) for client in clients]
            assert all(0 <= delay_ms < 3_000 for delay_ms in delays_ms)
            # They do not come back all at once.
            assert max(delays_ms) - min(delays_ms) > 1_000
            assert [await client.closed() for client in clients] == [(1012, "Server restarting")] * 30

    async def test_event_streams_end_without_being_complete(self) -> None:
        async with serving(services_of()) as address, reading(address, FOREVER) as events:
            assert await events.data() == {"ticks": 1}
            await address.graphql.drain()
            assert await events.next() is None
            assert len(events.retries_ms) == 2

    async def test_a_mutation_under_way_is_answered_and_nothing_new_begins(self) -> None:
        COUNTED.clear()
        async with serving(services_of()) as address, connecting(address) as client:
            await client.initialise()
            await client.subscribe("mutation { count(waitsS: 1) }", id="paid")
            await eventually(lambda: COUNTED == ["begun"])
            draining = asyncio.create_task(address.graphql.drain())
            await reconnect_delay_ms(client)
            await client.subscribe("mutation { count }", id="late")
            assert await client.error_code() == "SERVER_RESTARTING"
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with connecting(address):
                    pass
            assert refused.value.response.status_code == 503
            async with reading(address, FOREVER) as events:
                assert events.response.status_code == 503
            assert COUNTED == ["begun"]
            assert (await client.receive())["payload"] == {"data": {"count": 2}}
            assert await client.receive() == {"id": "paid", "type": "complete"}
            await draining
            assert await client.closed() == (1012, "Server restarting")
        assert COUNTED == ["begun", "once"]

    async def test_it_does_not_wait_for_ever(self) -> None:
        async with serving(services_of(drain_patience_s=0.3)) as address, connecting(address) as client:
            await client.initialise()
            await client.subscribe("{ slow }")
            begun = time.monotonic()
            await address.graphql.drain()
            assert time.monotonic() - begun < 20
            await reconnect_delay_ms(client)
            assert await client.closed() == (1012, "Server restarting")


@pytest.fixture
def stallable_postgres() -> Iterator[Service]:
    """A PostgreSQL of one test's own, migrated."""
    service = _started(lambda: start_postgres(beneath=folder_in_memory()))
    run(migrate(service.url))
    yield service
    service.kill()


@contextmanager
def stalled(service: Service) -> Iterator[None]:
    """Stop every process of the server, so that it neither answers nor closes a connection."""
    pids = _descendants(service._process.pid)
    assert len(pids) > 3
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text().partition(" (")
        except OSError:
            continue
        children.setdefault(int(rest.rpartition(") ")[2].split()[1]), []).append(int(number))
    found, unseen = [], [pid]
    while unseen:
        unseen += (below := children.get(unseen.pop(), []))
        found += below
    return found


def stop(house: RunningHouse) -> float:
    """Send SIGTERM, and return after how many seconds the process was gone."""
    begun = time.monotonic()
    house.server.send(signal.SIGTERM)
    while not house.server.ended:
        assert time.monotonic() - begun < STOPPED_WITHIN_S, house.server.tail()
        time.sleep(0.02)
    return time.monotonic() - begun


async def _follow(stack: AsyncExitStack, house: RunningHouse) -> Client:
    client = await stack.enter_async_context(connecting(f"127.0.0.1:{house.port}"))
    await client.initialise()
    await client.subscribe(PRICES)
    return client


async def _told(client: Client) -> tuple[int, str]:
    await reconnect_delay_ms(client)
    return await client.closed()


class TestProcesses:
    async def test_a_thousand_sockets_and_some_that_do_not_read(
        self, tmp_path: Path, sandbox: Sandbox, sqlite_url: str
    ) -> None:
        with running(tmp_path, sandbox, worker=False, DATABASE_URL=sqlite_url) as house:
            async with AsyncExitStack() as stack:
                clients = [await _follow(stack, house) for _ in range(SOCKETS_MANY)]
                deaf = [stack.enter_context(Deaf(f"127.0.0.1:{house.port}", HANDSHAKE)) for _ in range(20)]
                for each in deaf:
                    await each.read_until(b"\r\n\r\n")
                    each.send({"type": "connection_init"})
                    for number in range(40):
                        each.send({"type": "ping", "payload": {"x": "x" * 50_000, "n": number}})
                waiting = asyncio.gather(*(_told(client) for client in clients))
                took_s = await asyncio.to_thread(stop, house)
                assert await waiting == [(1012, "Server restarting")] * SOCKETS_MANY
        assert took_s < STOPPED_WITHIN_S
        assert "Traceback" not in house.server.log.read_text(errors="replace")

    @pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
    async def test_a_database_that_does_not_answer_holds_nothing_up(
        self, tmp_path: Path, sandbox: Sandbox, stallable_postgres: Service
    ) -> None:
        environment = {"DATABASE_URL": stallable_postgres.url, "REDIS_URL": "", "YOUKA_WORKER_IN_SERVER": "true"}
        with running(tmp_path, sandbox, worker=False, **environment) as house:
            async with AsyncExitStack() as stack:
                clients = [await _follow(stack, house) for _ in range(20)]
                with stalled(stallable_postgres):
                    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as http:
                        unanswered = asyncio.create_task(
                            http.post("/graphql", json={"query": "{ offers { edges { cursor } } }"})
                        )
                        waiting = asyncio.gather(*(_told(client) for client in clients))
                        took_s = await asyncio.to_thread(stop, house)
                        assert await waiting == [(1012, "Server restarting")] * 20
                        await asyncio.gather(unanswered, return_exceptions=True)
        assert took_s < STOPPED_WITHIN_S
        assert house.server.stop() == -signal.SIGTERM


HANGING = """
import asyncio, sys, time
import uvicorn
from subscriptions import draining

draining.EXIT_WITHIN_S = 0.5

async def app(scope, receive, send):
    raise NotImplementedError

async def drain():
    time.sleep(60)

config = uvicorn.Config(app, port=0, lifespan="off", log_config=None)
server = draining.Server(config, drain=drain)

async def main():
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print("started", flush=True)
    await serving

asyncio.run(main())
"""


def test_a_loop_that_hangs_is_ended_all_the_same() -> None:
    process = subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.terminate()
        assert process.wait(20) == FORCED_EXIT_CODE
    finally:
        process.kill()
        process.communicate()
    assert EXIT_WITHIN_S < STOPPED_WITHIN_S
