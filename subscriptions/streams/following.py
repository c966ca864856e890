"""What every stream does: go on behind a cursor, and tell of a gap where that cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from domain.events import queries
from domain.events.cursors import GapReason, Standing, Start
from domain.events.ports import HistoryGone, StoredEvent
from kernel.errors import YoukaError
from kernel.tasks import cancel_and_wait, spawn
from schema.types.context import Info
from subscriptions.hub import steadily

Gap = TypeVar("Gap")
Event = TypeVar("Event")


class NothingFound(YoukaError):
    """Also where it is somebody else's: the answer must not tell the two apart."""

    code = "NOT_FOUND"
    messages = {"zh-CN": "没有找到", "en": "There is no such thing"}


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream; `standing` names the epoch in which the reader began."""

    event: StoredEvent
    standing: Standing

    @property
    def cursor(self) -> str:
        return self.standing.cursor(self.event.position)


async def follow(
    info: Info, start: Start, gap: Callable[[Standing, GapReason], Awaitable[Gap]]
) -> AsyncGenerator[Told | Gap, None]:
    """Yield the events behind the start, then new ones; where events are missing, first what `gap` makes of that.

    The gap's standing is read before its snapshot, so what changes in between is told again rather than left out.
    """
    standing, position, reason = start.standing, start.position, start.gap
    while True:
        if reason is not None:
            standing = await steadily(lambda: queries.standing_of(start.standing.stream), doing="read a standing")
            missing = (standing, reason)
            yield await steadily(lambda missing=missing: gap(*missing), doing="take a snapshot")  # type: ignore[misc]
            position = standing.position
        try:
            events = info.context.services.events.follow(standing.stream, after=position)
            async with aclosing(events):
                async for event in events:
                    position = event.position
                    yield Told(event, standing)
            return
        except HistoryGone:
            reason = GapReason.HISTORY_GONE


async def while_allowed(
    events: AsyncGenerator[Event, None], changed: asyncio.Event, still: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[Event, None]:
    """Yield the events, and ask whenever something has changed whether the reader may still have them.

    Raises NothingFound as soon as they may not, in the middle of the wait for an event, too.
    """
    alarm = spawn(changed.wait(), name="stream:changed")
    following = spawn(_next(events), name="stream:next")
    try:
        while True:
            await asyncio.wait({alarm, following}, return_when=asyncio.FIRST_COMPLETED)
            if alarm.done():
                changed.clear()
                alarm = spawn(changed.wait(), name="stream:changed")
                if not await steadily(still, doing="ask who may follow"):
                    raise NothingFound
            if following.done():
                try:
                    event = following.result()
                except StopAsyncIteration:
                    return
                yield event
                following = spawn(_next(events), name="stream:next")
    finally:
        await cancel_and_wait(alarm, following)


async def _next(events: AsyncGenerator[Event, None]) -> Event:
    return await anext(events)
