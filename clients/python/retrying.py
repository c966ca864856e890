"""When to ask again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import httpx

from .errors import code_of

# Nothing was executed where these are answered, so that everything may be asked again.
NOT_EXECUTED = frozenset({"RATE_LIMITED", "CONNECTION_LIMIT_REACHED", "SERVER_RESTARTING", "TOO_MANY_MESSAGES"})
# Something may have been executed, so that only what is idempotent is asked again.
PERHAPS_EXECUTED = frozenset({"INTERNAL", "OPERATION_TIMED_OUT"})
UNAVAILABLE = frozenset({429, 502, 503, 504})
SERVER_ERROR = 500
MS = 1_000


@dataclass(frozen=True, slots=True)
class Retry:
    """How often something is tried, and how long is waited: doubling from `base_s`, drawn by chance, or as long as the
    server says. Where that is more than `wait_max_s`, the caller is told instead."""

    attempts_max: int = 5
    base_s: float = 0.2
    wait_max_s: float = 30.0

    def wait_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row."""
        longest: float = min(self.wait_max_s, self.base_s * 2 ** min(failures, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- it spreads clients and keeps no secret.


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something was not answered, whether it may have been executed, and how long the server wants to rest."""

    reason: str
    code: str | None = None
    perhaps_executed: bool = True
    retry_after_s: float | None = None


def trouble_of(answer: httpx.Response, body: Any) -> Trouble | None:
    """Return what is wrong for now with an answer; None where it is one to stay with."""
    errors = body.get("errors") if isinstance(body, dict) else None
    first: dict[str, Any] = errors[0] if isinstance(errors, list) and errors else {}
    code, reason = code_of(first) or None, f"HTTP {answer.status_code} {first.get('message', '')}".rstrip()
    after_s = retry_after_s(first, answer.headers.get("retry-after"))
    if code in NOT_EXECUTED or (answer.status_code in UNAVAILABLE and after_s is not None):
        return Trouble(reason, code, perhaps_executed=False, retry_after_s=after_s)
    if code in PERHAPS_EXECUTED or answer.status_code >= SERVER_ERROR:
        return Trouble(reason, code, retry_after_s=after_s)
    return None


def retry_after_s(error: dict[str, Any], header: str | None = None) -> float | None:
    """Return how long the server wants to be left alone, by an error or by the header."""
    given = (error.get("extensions") or {}).get("retryAfterMs")
    if isinstance(given, int | float) and not isinstance(given, bool):
        return max(0.0, given / MS)
    return float(header) if header and header.isascii() and header.isdecimal() else None
