"""What the finance journal says of a posting; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.events.ports import StoredEvent
from domain.events.streams import EventType
from domain.ledger.shards import shard_of


class EventUnreadable(ValueError):
    """An event of a ledger's stream is not a posting; the journal waits at it until somebody has looked."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of one posting: either a debit or a credit, in fen, on a business day in Asia/Shanghai."""

    position: int
    line_number: int
    posting_key: str
    order_id: UUID | None
    user_id: UUID | None
    shard: int
    account: str
    debit_fen: int
    credit_fen: int
    business_day: date
    occurred_at: datetime


def lines_of(event: StoredEvent) -> Sequence[JournalLine]:
    """Read a posting off its event. Raises EventUnreadable."""
    if event.type != EventType.LEDGER_POSTED:
        raise EventUnreadable(f"{event.stream} {event.position} is {event.type}")
    try:
        payload = event.payload
        user_id = UUID(payload["user_id"]) if payload["user_id"] else None
        order_id = UUID(payload["order_id"]) if payload["order_id"] else None
        return [
            JournalLine(
                position=event.position,
                line_number=number,
                posting_key=payload["key"],
                order_id=order_id,
                user_id=user_id,
                shard=shard_of(user_id),
                account=line["account"],
                debit_fen=max(line["amount_fen"], 0),
                credit_fen=max(-line["amount_fen"], 0),
                business_day=date.fromisoformat(payload["business_day"]),
                occurred_at=event.occurred_at,
            )
            for number, line in enumerate(payload["lines"], start=1)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise EventUnreadable(f"{event.stream} {event.position}") from error
