"""Failures of a user, a client or an address within a window: too many lock it for a while, and staff are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.signins import records
from domain.signins.policy import SignInPolicy
from domain.signins.records import Origin
from kernel.access_states import SignInKind
from kernel.errors import YoukaError
from kernel.ids import new_id
from models.database import transactional
from models.sign_ins import SignInLock


class SignInLocked(YoukaError):
    """`retry_at` is when the lock is over."""

    code = "SIGN_IN_LOCKED"
    messages = {
        "zh-CN": "登录失败次数过多，已暂时锁定，请稍后再试",
        "en": "There were too many failures, and signing in is locked for a while",
    }


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose failures are counted together. `display` is what staff see, and is no address."""

    key: str
    display: str
    maximum: int
    owner_id: UUID | None = None

    @classmethod
    def of_address(cls, origin: Origin, policy: SignInPolicy) -> Self:
        return cls(f"address:{origin.address_digest}", origin.address_masked, policy.per_address_max)

    @classmethod
    def of_client(cls, client_id: str, policy: SignInPolicy) -> Self:
        return cls(f"client:{client_id}", client_id, policy.per_client_max)

    @classmethod
    def of_owner(cls, owner_id: UUID, policy: SignInPolicy) -> Self:
        return cls(f"owner:{owner_id}", "", policy.per_user_max, owner_id)


async def require_open(*subjects: Subject, now: datetime) -> None:
    """Raises SignInLocked where one of them is locked."""
    keys = [each.key for each in subjects]
    locked = await SignInLock.filter(subject__in=keys, locked_until__gt=now).order_by("-locked_until").first()
    if locked is not None:
        raise SignInLocked(retry_at=locked.locked_until)


async def recent_failures(subject: Subject, *, policy: SignInPolicy, now: datetime) -> int:
    """Return how often the subject has failed within the window. Raises SignInLocked."""
    row = await SignInLock.get_or_none(subject=subject.key)
    if row is None:
        return 0
    if row.locked_until is not None and now < row.locked_until:
        raise SignInLocked(retry_at=row.locked_until)
    return row.failures if row.window_began_at > now - policy.window and row.locked_until is None else 0


@transactional
async def failed(
    *subjects: Subject,
    origin: Origin,
    reason: str,
    policy: SignInPolicy,
    now: datetime,
    owner_id: UUID | None = None,
) -> None:
    """Write a failure down and count it for each subject; the ones that are over their maximum are locked from now."""
    await records.write(kind=SignInKind.FAILED, origin=origin, owner_id=owner_id, reason=reason, now=now)
    rows = [SignInLock(id=new_id(), subject=each.key, display=each.display, owner_id=each.owner_id, failures=0,
                       window_began_at=now) for each in subjects]  # fmt: skip
    await SignInLock.bulk_create(rows, ignore_conflicts=True)
    begun = [lock for each in sorted(subjects, key=lambda each: each.key) if (lock := await _count(each, policy, now))]
    for lock in begun:
        reason = lock.subject.partition(":")[0].upper()
        await records.write(kind=SignInKind.LOCKED, origin=origin, owner_id=lock.owner_id, reason=reason, now=now)
    for lock in begun:
        await raise_alert(kind=AlertKind.SIGN_IN_LOCK, subject_id=lock.id, now=now)


async def _count(subject: Subject, policy: SignInPolicy, now: datetime) -> SignInLock | None:
    """Return the lock where this failure begins one."""
    row = await SignInLock.select_for_update().get(subject=subject.key)
    if row.locked_until is not None and now < row.locked_until:
        return None
    if row.locked_until is not None or row.window_began_at <= now - policy.window:
        row.failures, row.window_began_at, row.locked_until = 0, now, None
    row.failures += 1
    if row.failures >= subject.maximum:
        row.locked_until = now + policy.lock
    await row.save(update_fields=["failures", "window_began_at", "locked_until"])
    return row if row.locked_until else None


async def forgive(subject: Subject) -> None:
    """Forget the failures of somebody who was let in; those of an address are not forgotten for one who lives there."""
    await SignInLock.filter(subject=subject.key, locked_until__isnull=True, failures__gt=0).update(failures=0)


async def end_those_over(*, now: datetime) -> None:
    """Let locks that are over wait for staff no more."""
    await SignInLock.filter(locked_until__lte=now).update(failures=0, locked_until=None)


@transactional
async def purge(*, before: datetime, limit: int) -> int:
    """Forget up to `limit` counts that began before the moment and lock nobody, and return how many they were."""
    old: Sequence[UUID] = await SignInLock.filter(window_began_at__lt=before).limit(limit).values_list("id", flat=True)  # type: ignore[assignment]
    return await SignInLock.filter(id__in=list(old)).delete() if old else 0
