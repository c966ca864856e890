"""How long to wait before work is tried again, and what its payload must hold; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0

# What reads a value and raises ValueError where it is not of its kind.
Reader = Callable[[str], object]


def backoff_s(attempts: int, *, first_s: float = BACKOFF_FIRST_S) -> float:
    """Return the seconds to wait after so many attempts: doubled each time, never more than five minutes."""
    return float(min(BACKOFF_MAX_S, first_s * 2 ** min(max(attempts - 1, 0), 16)))


def some_text(value: str) -> str:
    """Return the text. Raises ValueError where it is empty."""
    if not value:
        raise ValueError("empty")
    return value


def payload_problem(payload: Any, fields: Mapping[str, Reader]) -> str | None:
    """Return what is wrong with a payload, without the value itself; None where each field can be read."""
    if not isinstance(payload, dict):
        return "the payload is not an object"
    for name, read in fields.items():
        value = payload.get(name)
        if not isinstance(value, str):
            return f"the payload has no text {name}"
        try:
            read(value)
        except ValueError:
            return f"the payload's {name} cannot be read"
    return None
