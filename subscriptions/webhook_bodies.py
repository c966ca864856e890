"""What a webhook's request holds (Standard Webhooks 1.0.0, "Payload structure")."""

from __future__ import annotations

from datetime import datetime

import orjson

from kernel.errors import Locale
from schema.types.scalars import serialize_datetime

PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
MESSAGES: dict[Locale, str] = {
    "zh-CN": "该事件超过{maximum}字节, 请用查询读取",
    "en": "This event has more than {maximum} bytes; read it by a query",
}


def body_of(
    *, event_type: str, occurred_at: datetime, cursor: str, payload: bytes, size_max: int, locale: Locale
) -> bytes:
    """Return the body of one event: `type`, `timestamp`, `cursor`, and the GraphQL `data` (and `errors`).

    A payload that is too large could never be delivered and would keep the others waiting: an error stands in for it.
    """
    head = orjson.dumps({"type": event_type, "timestamp": serialize_datetime(occurred_at), "cursor": cursor})
    body = _joined(head, payload)
    if len(body) <= size_max:
        return body
    error = {
        "message": MESSAGES[locale].format(maximum=size_max),
        "extensions": {"code": PAYLOAD_TOO_LARGE, "maximum": size_max},
    }
    return _joined(head, orjson.dumps({"data": None, "errors": [error]}))


def _joined(head: bytes, payload: bytes) -> bytes:
    """Return one object with the members of both, without reading the payload again."""
    assert head.endswith(b"}")
    assert payload.startswith(b'{"')
    return head[:-1] + b"," + payload[1:]
