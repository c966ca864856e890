"""What every stream does: go on behind a cursor, and tell of a gap where that cannot be."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from graphql import GraphQLError

from domain.events import queries
from domain.events.cursors import GapReason, Standing, Start
from domain.events.ports import HistoryGone, StoredEvent
from kernel.errors import YoukaError
from schema.types.context import Info
from subscriptions.hub import steadily

Gap = TypeVar("Gap")


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


@contextmanager
def refusals(info: Info) -> Iterator[None]:
    """Raise a GraphQLError with the code, the message in the caller's language, and the values that go with it."""
    try:
        yield
    except YoukaError as error:
        extensions = {"code": error.code, **error.values}
        raise GraphQLError(error.message(info.context.locale), extensions=extensions) from error
