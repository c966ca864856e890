"""Servers, Redis and clients are killed at random while money arrives: no notice is lost, and none comes twice.

Everything is a process of its own: two servers on PostgreSQL and Redis, and clients that keep their cursor in a file.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from domain.events.cursors import Cursor
from domain.events.streams import arrivals_stream
from domain.identity.tokens import authority
from kernel.clock import utc_now
from models.database import connected
from models.orders import RechargeOrder
from tests.factories import SCOPES, create_card, create_order, create_viewer
from tests.house_process import ROOT, Process
from tests.sandbox_fixtures import Sandbox
from tests.services import ServiceUnavailable, find_free_port
from tests.subscriptions.happenings import arrive
from tests.subscriptions.listener_process import lines_of
from tests.subscriptions.listening import cursor_of
from tests.subscriptions.support import eventually
from tests.subscriptions.test_redis_restarts import Restartable

SEED = 20_260_422
CLIENTS = 4
KILLS = ["server", "redis", "client", "server", "client", "redis", "client", "server"]
BETWEEN_KILLS_S = 0.8
RESUMES_WITHIN_S = 5.0
SETTLED_WITHIN_S = 90.0


@dataclass
class Listener:
    """A client process; `delivered` is what it wrote down, in the order in which it came."""

    order: RechargeOrder
    file: Path
    arguments: list[str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    told: int = 0

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.subscriptions.listener_process", str(self.file), *self.arguments]
        with self.file.with_suffix(".log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT))

    def kill(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()

    @property
    def delivered(self) -> list[int]:
        return [Cursor.read(line.split(" ")[0]).position for line in lines_of(self.file)]

    @property
    def last_came_at_s(self) -> float:
        lines = lines_of(self.file)
        return float(lines[-1].split(" ")[1]) if lines else 0.0

    async def tell(self) -> None:
        await arrive(self.order)
        self.told += 1


@dataclass
class Chaos:
    redis: Restartable
    servers: list[Process]
    ports: list[int]
    listeners: list[Listener]
    random: random.Random

    def kill_server(self) -> None:
        server = self.random.choice(self.servers)
        server.kill()
        server.start()

    def kill_redis(self) -> None:
        self.redis.kill()
        time.sleep(self.random.uniform(0.1, 0.6))
        self.redis.start()

    def kill_client(self) -> None:
        listener = self.random.choice(self.listeners)
        listener.kill()
        listener.start()

    def serves(self, port: int) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
        return False


@pytest.fixture
async def chaos(postgres_url: str, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Chaos]:
    try:
        redis = Restartable()
    except ServiceUnavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    ports = [find_free_port() for _ in range(2)]
    common = {"SANDBOX_PORT": str(sandbox.port), "DATA_DIR": str(sandbox.data_dir)}
    common |= {"DATABASE_URL": postgres_url, "REDIS_URL": redis.url, "YOUKA_TOKEN_ISSUER": "tests"}
    servers = [Process("app", {**common, "PORT": str(port)}, tmp_path / f"server-{port}.log") for port in ports]
    tokens = authority(sandbox.settings(database_url=postgres_url, token_issuer="tests"))
    async with connected(postgres_url):
        listeners = []
        for number in range(CLIENTS):
            viewer = await create_viewer()
            order = await create_order(viewer, await create_card(viewer))
            token = tokens.issue(user_id=viewer.user_id, client_id="tests", scopes=SCOPES, now=utc_now())
            begin = await cursor_of(arrivals_stream(viewer.user_id), 0)
            arguments = [token, begin, *map(str, ports)]
            listeners.append(Listener(order, tmp_path / f"client-{number}.txt", arguments))
        started = Chaos(redis, servers, ports, listeners, random.Random(SEED))
        try:
            for server in servers:
                server.start()
            for listener in listeners:
                listener.start()
            await eventually(lambda: all(started.serves(port) for port in ports), timeout_s=40)
            yield started
        finally:
            for listener in listeners:
                listener.kill()
            for server in servers:
                server.kill()
            redis._service.stop()


async def test_no_notice_is_lost_or_doubled(chaos: Chaos) -> None:
    await delivery_resumes_soon_after_redis_does(chaos)
    ended = asyncio.Event()
    telling = asyncio.create_task(tell_until(ended, chaos.listeners))
    kills: dict[str, Callable[[], None]] = {
        "server": chaos.kill_server, "redis": chaos.kill_redis, "client": chaos.kill_client
    }  # fmt: skip
    for victim in KILLS:
        await asyncio.to_thread(kills[victim])
        await asyncio.sleep(BETWEEN_KILLS_S)
    ended.set()
    await telling
    await everything_came(chaos)
    assert min(listener.told for listener in chaos.listeners) > 20
    for listener in chaos.listeners:
        # A client that was killed has its last line or has not; what it has is never sent to it again.
        assert listener.delivered == list(range(1, listener.told + 1))


async def delivery_resumes_soon_after_redis_does(chaos: Chaos) -> None:
    for listener in chaos.listeners:
        await listener.tell()
    await everything_came(chaos)
    await asyncio.to_thread(chaos.redis.kill)
    for listener in chaos.listeners:
        await listener.tell()
    await asyncio.to_thread(chaos.redis.start)
    restarted_at_s = time.time()
    for listener in chaos.listeners:
        await listener.tell()
    await everything_came(chaos)
    for listener in chaos.listeners:
        assert listener.delivered == [1, 2, 3]
        assert listener.last_came_at_s - restarted_at_s < RESUMES_WITHIN_S


async def tell_until(ended: asyncio.Event, listeners: list[Listener]) -> None:
    while not ended.is_set():
        for listener in listeners:
            await listener.tell()
        await asyncio.sleep(0.02)


async def everything_came(chaos: Chaos) -> None:
    def came() -> bool:
        return all(len(listener.delivered) >= listener.told for listener in chaos.listeners)

    await eventually(came, timeout_s=SETTLED_WITHIN_S)
