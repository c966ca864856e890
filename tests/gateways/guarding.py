"""A third party that does as it is told, behind a guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import REGISTRY

from gateways.breakers import BreakerRule, Breakers, LocalBreakers
from gateways.guard import Guard, GuardedTransport
from kernel.settings import Settings
from tests.services import find_free_port

FAILURES_MAX = 3
PAUSE_S = 0.2
TIMEOUT_S = 0.5


def settings_for(**changes: Any) -> Settings:
    rule = {"third_party_failures_max": FAILURES_MAX, "third_party_pause_s": PAUSE_S}
    return Settings(**{**rule, "third_party_timeout_s": TIMEOUT_S, "third_party_place_wait_ms": 50, **changes})


class Party:
    """Answers with `status`; a step that is an exception is raised, and "hang" never answers."""

    def __init__(self) -> None:
        self.asked, self.status = 0, 200
        self.error: Exception | None = None
        self.hangs, self.hangs_in_body = False, False
        self.released, self._asked = asyncio.Event(), asyncio.Event()

    async def until_asked(self, count: int) -> None:
        while self.asked < count:
            self._asked.clear()
            await self._asked.wait()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self._asked.set()
        if self.hangs:
            await self.released.wait()
        if self.error is not None:
            raise self.error
        return httpx.Response(self.status, stream=Body(self))


class Body(httpx.AsyncByteStream):
    def __init__(self, party: Party) -> None:
        self._party = party

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"bo"
        if self._party.hangs_in_body:
            await self._party.released.wait()
        yield b"dy"


@asynccontextmanager
async def guarded(
    party: Party, settings: Settings, breakers: Breakers | None = None, *, name: str = "tested"
) -> AsyncIterator[tuple[httpx.AsyncClient, Guard]]:
    guard = Guard(name, breakers or Breakers(LocalBreakers(BreakerRule.of(settings))), settings)
    transport = GuardedTransport(guard, httpx.MockTransport(party))
    async with httpx.AsyncClient(transport=transport, base_url="http://third.party") as client:
        yield client, guard


def sample(name: str, **labels: str) -> float:
    """Return a metric of this process, 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def unused_redis_url() -> str:
    return f"redis://127.0.0.1:{find_free_port()}/0"
