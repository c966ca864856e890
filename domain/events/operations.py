"""Appending events, and noting which of them were sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from tortoise import Tortoise

from domain.events import signals
from domain.events.streams import EventType
from kernel.tasks import inside_transaction
from models.database import after_commit
from models.events import Event
from models.lean_transactions import may_write_alone, write_alone

NEXT_POSITION = (
    "INSERT INTO event_stream (name, position) VALUES ({name}, 1) "
    "ON CONFLICT (name) DO UPDATE SET position = event_stream.position + 1 RETURNING position"
)

# The events depend on the head's row, so its lock is taken before the first of them is written.
APPEND_INTERNAL_POSTGRES = """
WITH head AS (
    INSERT INTO event_stream (name, position) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET position = event_stream.position + $2 RETURNING position
)
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT $1, head.position - $2 + item.number, $3, item.payload, $4, $4
FROM head, unnest($5::jsonb[]) WITH ORDINALITY AS item (payload, number)
RETURNING position
"""
TAKE_POSITIONS_SQLITE = (
    "INSERT INTO event_stream (name, position) VALUES (?1, ?2) "
    "ON CONFLICT (name) DO UPDATE SET position = position + ?2 RETURNING position"
)
APPEND_INTERNAL_SQLITE = """
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT ?1, ?2 + key, ?3, value, ?4, ?4 FROM json_each(?5)
"""


MARK_PUBLISHED_POSTGRES = "UPDATE event SET published_at = $2 WHERE id = ANY($1::bigint[]) AND published_at IS NULL"
# A crash that forgets it has the events sent once more, as any crash between sending and marking does. So nobody waits
# for the disk, least of all the orders whose commits would stand in line behind it. Only for a transaction by itself.
MARK_PUBLISHED_ALONE = (
    f"WITH marked AS ({MARK_PUBLISHED_POSTGRES}) SELECT set_config('synchronous_commit', 'off', true) AS waits"
)
MARK_PUBLISHED_SQLITE = (
    "UPDATE event SET published_at = ?2 WHERE id IN (SELECT value FROM json_each(?1)) AND published_at IS NULL"
)


class EventOutsideTransaction(RuntimeError):
    """An event must become visible with the change that it tells of, and not without it."""


async def append(
    *,
    stream: str,
    type: EventType,  # noqa: A002 -- the table's own word.
    payload: dict[str, Any],
    now: datetime,
) -> int:
    """Write one event, inside the transaction that makes it true, and return its position.

    The head row of the stream stays locked until the transaction ends, so positions are given in commit order.
    Raises EventOutsideTransaction.
    """
    if not inside_transaction.get():
        raise EventOutsideTransaction(type)
    connection = Tortoise.get_connection("default")
    placeholder = "$1" if connection.capabilities.dialect == "postgres" else "?"
    rows = await connection.execute_query_dict(NEXT_POSITION.format(name=placeholder), [stream])
    position = int(rows[0]["position"])
    await Event.create(stream=stream, position=position, type=type.value, payload=payload, occurred_at=now)
    after_commit(signals.notify)
    return position


async def append_internal(
    *,
    stream: str,
    type: EventType,  # noqa: A002 -- the table's own word.
    payloads: Sequence[dict[str, Any]],
    now: datetime,
) -> int:
    """Write events that only this house reads behind a cursor of its own, and return the position of the first.

    They are marked as published from the start, so no relay ever sends them. As with `append`, the stream's head stays
    locked until the transaction ends; whoever appends first thereby holds the stream alone. Raises
    EventOutsideTransaction.
    """
    if not inside_transaction.get():
        raise EventOutsideTransaction(type)
    connection = Tortoise.get_connection("default")
    if connection.capabilities.dialect == "postgres":
        texts = [orjson.dumps(payload).decode() for payload in payloads]
        rows = await connection.execute_query_dict(
            APPEND_INTERNAL_POSTGRES, [stream, len(texts), type.value, now, texts]
        )
        first = min(int(row["position"]) for row in rows)
    else:
        rows = await connection.execute_query_dict(TAKE_POSITIONS_SQLITE, [stream, len(payloads)])
        first = int(rows[0]["position"]) - len(payloads) + 1
        moment, items = now.astimezone(UTC), orjson.dumps(payloads).decode()
        await connection.execute_query(APPEND_INTERNAL_SQLITE, [stream, first, type.value, moment, items])
    after_commit(signals.notify)
    return first


async def mark_published(*, ids: Sequence[int], now: datetime) -> None:
    """Note that these rows were sent. Marking them again, as a second relay does, changes nothing."""
    connection = Tortoise.get_connection("default")
    if may_write_alone():
        await write_alone(MARK_PUBLISHED_ALONE, list(ids), now)
    elif connection.capabilities.dialect == "postgres":
        await connection.execute_query(MARK_PUBLISHED_POSTGRES, [list(ids), now])
    else:
        moment = now.astimezone(UTC)
        await connection.execute_query(MARK_PUBLISHED_SQLITE, [orjson.dumps(list(ids)).decode(), moment])
