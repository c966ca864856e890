"""How an event travels through the broadcaster: on the channel of its stream's name, as compact JSON."""

from __future__ import annotations

from datetime import datetime

import orjson

from domain.events.ports import StoredEvent


class MessageMalformed(ValueError):
    """The text on the channel is not an event; whoever listens should look at the table instead."""


def encode(event: StoredEvent) -> str:
    return orjson.dumps(
        {
            "position": event.position,
            "type": event.type,
            "payload": event.payload,
            "occurred_at": event.occurred_at.isoformat(),
        }
    ).decode()


def decode(stream: str, message: str) -> StoredEvent:
    """Read an event back. Raises MessageMalformed."""
    try:
        fields = orjson.loads(message)
        position, kind, payload = fields["position"], fields["type"], fields["payload"]
        occurred_at = datetime.fromisoformat(fields["occurred_at"])
    except (ValueError, TypeError, KeyError) as error:
        raise MessageMalformed from error
    if not isinstance(position, int) or not isinstance(kind, str) or not isinstance(payload, dict):
        raise MessageMalformed
    if occurred_at.tzinfo is None:
        raise MessageMalformed
    return StoredEvent(stream=stream, position=position, type=kind, payload=payload, occurred_at=occurred_at)
