"""Reading events: where a stream stands, what lies behind a position, and what was not sent yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from tortoise import Tortoise
from tortoise.expressions import Q

from domain.events.cursors import Standing
from domain.events.ports import StoredEvent
from models.database import dialect
from models.events import Event, EventStream
from models.lean import Statement, fetch, read_moment

STANDING = """
SELECT epoch.name AS epoch, COALESCE(head.position, 0) AS position, COALESCE(head.purged, 0) AS purged
FROM event_epoch AS epoch LEFT JOIN event_stream AS head ON head.name = {stream}
"""
UNSENT = (
    "SELECT id, stream, position, type, {payload} AS payload, occurred_at FROM event "
    "WHERE published_at IS NULL ORDER BY id LIMIT {limit}"
)
UNPUBLISHED = Statement(
    postgres=UNSENT.format(payload="payload::text", limit="$1"), sqlite=UNSENT.format(payload="payload", limit="?1")
)


@dataclass(frozen=True, slots=True)
class UnpublishedEvent:
    """A row that no relay has marked yet, by the key under which it is marked."""

    id: int
    event: StoredEvent


async def standing_of(stream: str) -> Standing:
    """Return where the stream stands and in which epoch, in one statement."""
    placeholder = "$1" if dialect() == "postgres" else "?"
    connection = Tortoise.get_connection("default")
    (row,) = await connection.execute_query_dict(STANDING.format(stream=placeholder), [stream])
    return Standing(stream, str(row["epoch"]), int(row["position"]), int(row["purged"]))


async def head(stream: str) -> int:
    """Return the position of the newest event; 0 where the stream has none."""
    return (await heads([stream])).get(stream, 0)


async def heads(streams: Sequence[str]) -> dict[str, int]:
    """Return the newest position of each stream that has any event, in one statement."""
    rows = await EventStream.filter(name__in=list(streams)).values_list("name", "position")
    return {str(name): int(position) for name, position in rows}


async def after(stream: str, *, position: int, limit: int) -> list[StoredEvent]:
    """Return up to `limit` events behind the position, in order."""
    rows = await Event.filter(stream=stream, position__gt=position).order_by("position").limit(limit)
    return [_stored(row) for row in rows]


async def times(places: Sequence[tuple[str, int]]) -> dict[str, datetime]:
    """Return when the event at each place, a stream and a position in it, occurred; a stream is named once at most."""
    if not places:
        return {}
    wanted = [Q(stream=stream, position=position) for stream, position in places]
    rows = await Event.filter(Q(*wanted, join_type=Q.OR)).values_list("stream", "occurred_at")
    return {str(stream): occurred_at for stream, occurred_at in rows}


async def unpublished(*, limit: int) -> list[UnpublishedEvent]:
    """Return up to `limit` unsent events, the oldest first; within a stream that is the order of positions."""
    return [
        UnpublishedEvent(
            id=row["id"],
            event=StoredEvent(
                stream=row["stream"],
                position=row["position"],
                type=row["type"],
                payload=orjson.loads(row["payload"]),
                occurred_at=read_moment(row["occurred_at"]),
            ),
        )
        for row in await fetch(UNPUBLISHED, limit)
    ]


def _stored(row: Event) -> StoredEvent:
    return StoredEvent(
        stream=row.stream,
        position=row.position,
        type=row.type,
        payload=row.payload,
        occurred_at=row.occurred_at,
    )
