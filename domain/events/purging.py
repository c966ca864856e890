"""Deleting old events, and beginning another epoch."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from tortoise import Tortoise

from models.database import dialect, transactional
from models.events import Event, EventEpoch, EventStream

EPOCH_LENGTH_BYTES = 6

# The oldest first. The condition is word for word that of the index which serves it. The ledger's events are kept: the
# finance journal can be written anew from them.
OLDEST = """
SELECT id, stream, position FROM event
WHERE occurred_at < {before} AND published_at IS NOT NULL AND SUBSTR(stream, 1, 7) <> 'ledger:'
ORDER BY occurred_at, id LIMIT {limit}
"""
NOTE_POSTGRES = """
UPDATE event_stream AS head SET purged = gone.position
FROM unnest($1::text[], $2::bigint[]) AS gone (stream, position) WHERE head.name = gone.stream
"""
NOTE_SQLITE = """
UPDATE event_stream SET purged = (SELECT gone.value FROM json_each(?1) AS gone WHERE gone.key = event_stream.name)
WHERE name IN (SELECT gone.key FROM json_each(?1) AS gone)
"""


@transactional
async def purge(*, before: datetime, limit: int) -> int:
    """Delete up to `limit` published events that occurred before the moment, and return how many it deleted.

    What is deleted of a stream is always its beginning, and `event_stream.purged` says how much. A stream whose next
    event is not to be deleted, or to which somebody appends at this moment, is left for another time.
    """
    candidates = await _oldest(before, limit)
    heads = EventStream.filter(name__in=sorted(candidates)).select_for_update(skip_locked=True)
    ids: list[int] = []
    gone: dict[str, int] = {}
    for head in await heads:
        position = head.purged
        while position + 1 in candidates[head.name]:
            position += 1
            ids.append(candidates[head.name][position])
        if position > head.purged:
            gone[head.name] = position
    if gone:
        await Event.filter(id__in=ids).delete()
        await _note(gone)
    return len(ids)


async def _oldest(before: datetime, limit: int) -> dict[str, dict[int, int]]:
    """Return the ids of old events by stream and position."""
    placeholders = ("$1", "$2") if dialect() == "postgres" else ("?1", "?2")
    statement = OLDEST.format(before=placeholders[0], limit=placeholders[1])
    connection = Tortoise.get_connection("default")
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for row in await connection.execute_query_dict(statement, [before.astimezone(UTC), limit]):
        found[row["stream"]][int(row["position"])] = int(row["id"])
    return found


async def _note(gone: Mapping[str, int]) -> None:
    connection = Tortoise.get_connection("default")
    if dialect() == "postgres":
        values: list[Any] = [list(gone), list(gone.values())]
        await connection.execute_query(NOTE_POSTGRES, values)
    else:
        await connection.execute_query(NOTE_SQLITE, [orjson.dumps(gone).decode()])


@transactional
async def new_epoch(*, now: datetime) -> str:
    """Begin another epoch and return its name.

    For after a restore from a backup: positions are then handed out a second time, and a cursor of before must not be
    taken for one of now. Whoever comes with such a cursor is told of a gap.
    """
    name = secrets.token_hex(EPOCH_LENGTH_BYTES)
    await EventEpoch.filter(id=1).update(name=name, started_at=now)
    return name
