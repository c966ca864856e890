"""Forgetting what is over: codes, assertions, revocations, tries, and sessions and refresh tokens that have expired."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tortoise.queryset import QuerySet

from models.access import (
    AccessAttempt,
    AssertionSeen,
    AuthorizationCode,
    DeviceCode,
    OAuthSession,
    RefreshToken,
    TokenRevocation,
)
from models.database import transactional
from models.sign_ins import SignInChallenge
from models.step_up import StepUpChallenge

EXPIRING = (
    AssertionSeen,
    AuthorizationCode,
    DeviceCode,
    RefreshToken,
    TokenRevocation,
    OAuthSession,
    SignInChallenge,
    StepUpChallenge,
)


async def purge(*, before: datetime, limit: int) -> int:
    """Delete what had expired before the moment, and tries that are older; of each kind `limit` rows at most.

    Return the most that were deleted of one kind: where it is the limit, there may be more.
    """
    old: list[QuerySet[Any]] = [model.filter(expires_at__lt=before) for model in EXPIRING]
    old.append(AccessAttempt.filter(occurred_at__lt=before))
    return max([await _delete(each, limit) for each in old])


@transactional
async def _delete(old: QuerySet[Any], limit: int) -> int:
    ids = await old.limit(limit).values_list("id", flat=True)
    return int(await old.model.filter(id__in=ids).delete()) if ids else 0
