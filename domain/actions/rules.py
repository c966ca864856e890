"""What the record of an action says, without secrets, and how its rows are chained; no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from kernel.logs import masked
from kernel.money import Money

# What the first row stands on.
GENESIS = "0" * 64


def picture(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON can hold them. What a name calls secret, and digits as long as a phone's or a card's, are
    masked; bytes, which are sealed, are left out."""
    return {name: _plain(name, value) for name, value in values.items() if not isinstance(value, bytes | memoryview)}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Money):
        return value.fen
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return picture(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(name, each) for each in value]
    if isinstance(value, str) and _is_id(value):
        return value
    return masked(name, value)


def _is_id(text: str) -> bool:
    """Ids are made by us, and may hold as many digits as a card."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def digest_of(row: Mapping[str, Any], *, previous: str) -> str:
    """Return the SHA-256, in hexadecimal, of a row's words and of the digest before it."""
    words = [
        row["position"],
        row["actor"],
        row["roles"],
        row["action"],
        row["object_type"],
        row["object_id"],
        row["reason"],
        row["before"],
        row["after"],
        row["request_id"],
        row["occurred_at"].astimezone(UTC).isoformat(),
        previous,
    ]
    return hashlib.sha256(orjson.dumps(words, option=orjson.OPT_SORT_KEYS)).hexdigest()
