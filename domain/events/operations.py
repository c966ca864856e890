"""Appending events, and noting which of them were sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tortoise import Tortoise

from domain.events import signals
from domain.events.streams import EventType
from kernel.tasks import inside_transaction
from models.database import after_commit
from models.events import Event

NEXT_POSITION = (
    "INSERT INTO event_stream (name, position) VALUES ({name}, 1) "
    "ON CONFLICT (name) DO UPDATE SET position = event_stream.position + 1 RETURNING position"
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


async def mark_published(*, ids: Sequence[int], now: datetime) -> None:
    """Note that these rows were sent. Marking them again, as a second relay does, changes nothing."""
    await Event.filter(id__in=list(ids), published_at__isnull=True).update(published_at=now)
