"""Strict reading of other people's JSON: each field is there with its type, or the document is malformed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

Document = dict[str, Any]

# An amount beyond this is no amount of ours: one hundred billion yuan.
AMOUNT_MAX_FEN = 10**13


class Malformed(ValueError):
    """A document that lacks a field, or holds another type in it. The message names the field, never its value."""


def parse(body: bytes) -> Document:
    """Read an object. Raises Malformed for anything else, NaN and broken UTF-8 included."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("not JSON") from None
    if not isinstance(document, dict):
        raise Malformed("not an object")
    return document


def child(document: Document, name: str) -> Document:
    value = document.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is not an object")
    return value


def text(document: Document, name: str) -> str:
    """Return a text that is not empty."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name} is not a text")
    return value


def text_or_none(document: Document, name: str) -> str | None:
    return None if document.get(name) in (None, "") else text(document, name)


def fen(document: Document, name: str) -> int:
    """Return an amount in fen, zero or more. `500.0`, `"500"` and `true` are refused like anything else."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= AMOUNT_MAX_FEN:
        raise Malformed(f"{name} is not an amount in fen")
    return value


def moment_or_none(document: Document, name: str) -> datetime | None:
    """Return an RFC 3339 time with its offset, in UTC."""
    value = text_or_none(document, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Malformed(f"{name} is not a time") from None
    if moment.tzinfo is None:
        raise Malformed(f"{name} has no offset")
    return moment.astimezone(UTC)
