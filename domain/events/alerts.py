"""Telling staff that something waits for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from domain.events.operations import append
from domain.events.streams import ALERTS, AlertKind, EventType
from kernel.states import StaffRole

# Who can do something about it, and therefore hears of it.
AUDIENCES: Mapping[AlertKind, frozenset[StaffRole]] = {
    AlertKind.REVIEW: frozenset({StaffRole.RISK}),
    AlertKind.CASE: frozenset({StaffRole.FINANCE}),
    AlertKind.WORK: frozenset({StaffRole.OPERATIONS, StaffRole.FINANCE}),
    AlertKind.TRANSFER: frozenset({StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR}),
    AlertKind.PAYEE: frozenset({StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR}),
    AlertKind.CLAIM: frozenset({StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR}),
    AlertKind.DIFFERENCE: frozenset({StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR}),
    AlertKind.SIGN_IN_LOCK: frozenset({StaffRole.RISK, StaffRole.ADMIN}),
}


def is_for(kind: AlertKind, roles: Collection[StaffRole]) -> bool:
    """Say whether somebody with the roles can do something about what the alert is about."""
    return not AUDIENCES[kind].isdisjoint(roles)


async def raise_alert(*, kind: AlertKind, subject_id: UUID, now: datetime) -> None:
    """Append the alert inside the transaction that makes the thing wait, as the last event of that transaction.

    Every alert takes the lock of one stream; a transaction that went on to lock another one could meet a second
    transaction that does so in the other order. Raises EventOutsideTransaction.
    """
    payload = {"kind": kind.value, "id": str(subject_id)}
    await append(stream=ALERTS, type=EventType.ALERT_RAISED, payload=payload, now=now)
