"""What tests of streams share: writing events, and a running hub with its relay."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import AsyncGeneratorType
from typing import Any

from broadcaster import Broadcast

from domain.events import queries
from domain.events.operations import append
from domain.events.ports import StoredEvent
from domain.events.streams import EventType
from jobs.relay import Relay
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import transactional
from subscriptions.broadcasting import create_broadcast
from subscriptions.hub import Follower, Hub

# Long enough that a test which needs the periodic check to pass would time out.
NEVER_MS = 3_600_000
TIMEOUT_S = 60.0


def settings_for(redis_url: str = "", **values: Any) -> Settings:
    return Settings(**{"redis_url": redis_url, "subscription_check_interval_ms": NEVER_MS, **values})


@transactional
async def write(stream: str, count: int = 1, *, of: Callable[[int], dict[str, Any]] | None = None) -> list[int]:
    """Append that many events in one transaction and return their positions."""
    return [
        await append(
            stream=stream, type=EventType.PRICE_CHANGED, payload=of(number) if of else {"n": number}, now=utc_now()
        )
        for number in range(count)
    ]


@dataclass
class Running:
    hub: Hub
    relay: Relay
    broadcast: Broadcast
    settings: Settings

    @property
    def channels(self) -> set[str]:
        """The channels that the backend is subscribed to."""
        return set(self.broadcast._backend.channels)  # type: ignore[attr-defined]


@asynccontextmanager
async def running(settings: Settings, broadcast: Broadcast | None = None) -> AsyncIterator[Running]:
    """A hub and a relay as the server runs them; on the way out nothing of theirs may be left."""
    before = asyncio.all_tasks()
    broadcast = broadcast or create_broadcast(settings)
    await broadcast.connect()
    hub = Hub(broadcast, settings)
    relay = Relay(broadcast, settings)
    await relay.start()
    try:
        yield Running(hub, relay, broadcast, settings)
    finally:
        await relay.stop()
        await hub.close()
        await broadcast.disconnect()
    assert hub._channels == {}
    await eventually(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})


async def take(hub: Hub, stream: str, count: int, *, after: int | None = None) -> list[int]:
    """Follow until that many events have come, and return their positions."""
    positions: list[int] = []
    async with asyncio.timeout(TIMEOUT_S), aclosing(hub.follow(stream, after=after)) as events:
        async for event in events:
            positions.append(event.position)
            if len(positions) == count:
                break
    return positions


class Reader:
    """A follower in a task of its own."""

    def __init__(self, hub: Hub, stream: str, *, after: int | None = None) -> None:
        self.events: list[StoredEvent] = []
        self._source = hub.follow(stream, after=after)
        self._heard = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    @property
    def positions(self) -> list[int]:
        return [event.position for event in self.events]

    async def _read(self) -> None:
        async with aclosing(self._source) as events:
            async for event in events:
                self.events.append(event)
                self._heard.set()

    async def subscribed(self) -> Reader:
        """Return once the follower has read what there was and waits for news."""
        await eventually(lambda: self._task.done() or _waits(self._source))
        return self

    async def until(self, count: int, *, timeout_s: float = TIMEOUT_S) -> list[int]:
        async with asyncio.timeout(timeout_s):
            while len(self.events) < count:
                self._heard.clear()
                await self._heard.wait()
        return self.positions

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ended(self) -> None:
        await self._task


def _waits(source: AsyncGenerator[StoredEvent, None]) -> bool:
    assert isinstance(source, AsyncGeneratorType)
    follower = source.ag_frame.f_locals.get("follower") if source.ag_frame else None
    return isinstance(follower, Follower) and bool(follower._changed._waiters)


async def all_published() -> bool:
    return not await queries.unpublished(limit=1)


async def eventually(condition: Callable[[], Any], *, timeout_s: float = TIMEOUT_S) -> None:
    """Return once the condition, which may have to be awaited, holds."""
    async with asyncio.timeout(timeout_s):
        while not await _holds(condition):  # noqa: ASYNC110 -- what is waited for tells nobody.
            await asyncio.sleep(0.005)


async def _holds(condition: Callable[[], Any]) -> bool:
    answer = condition()
    return bool(await answer if inspect.isawaitable(answer) else answer)
