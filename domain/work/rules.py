"""How long to wait before work is tried again; no I/O."""

from __future__ import annotations

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0


def backoff_s(attempts: int, *, first_s: float = BACKOFF_FIRST_S) -> float:
    """Return the seconds to wait after so many attempts: doubled each time, never more than five minutes."""
    return float(min(BACKOFF_MAX_S, first_s * 2 ** min(max(attempts - 1, 0), 16)))
