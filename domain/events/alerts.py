"""Telling staff that something waits for them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.events.operations import append
from domain.events.streams import ALERTS, AlertKind, EventType


async def raise_alert(*, kind: AlertKind, subject_id: UUID, now: datetime) -> None:
    """Append the alert inside the transaction that makes the thing wait, as the last event of that transaction.

    Every alert takes the lock of one stream; a transaction that went on to lock another one could meet a second
    transaction that does so in the other order. Raises EventOutsideTransaction.
    """
    payload = {"kind": kind.value, "id": str(subject_id)}
    await append(stream=ALERTS, type=EventType.ALERT_RAISED, payload=payload, now=now)
