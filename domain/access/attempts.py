"""Tries at what can be guessed, written down before they are judged, so guessing beside each other gains nothing."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise import Tortoise

from domain.access.policy import Attempts
from kernel.errors import YoukaError
from kernel.ids import new_id
from models.access import AccessAttempt
from models.database import dialect, transactional


class TooManyAttempts(YoukaError):
    code = "TOO_MANY_ATTEMPTS"
    messages = {
        "zh-CN": "尝试次数过多（最多{maximum}次），请稍后再试",
        "en": "There were too many wrong tries ({maximum} at most), please try later",
    }


@transactional
async def begin(*, subject: str, limit: Attempts, now: datetime) -> UUID:
    """Write a try down and return its id, for `succeeded`. Raises TooManyAttempts."""
    await _take_turns(subject)
    recent = await AccessAttempt.filter(subject=subject, occurred_at__gt=now - limit.window).count()
    if recent >= limit.maximum:
        raise TooManyAttempts(maximum=limit.maximum)
    attempt = await AccessAttempt.create(id=new_id(), subject=subject, occurred_at=now)
    return attempt.id


async def succeeded(attempt_id: UUID) -> None:
    """Forget a try that was right, so that only wrong ones count."""
    await AccessAttempt.filter(id=attempt_id).delete()


async def _take_turns(subject: str) -> None:
    """Let tries of one subject happen one after another, so that the limit counts all of them."""
    if dialect() == "postgres":
        statement = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
        await Tortoise.get_connection("default").execute_query(statement, [f"attempt:{subject}"])
