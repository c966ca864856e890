"""Work that must happen: rows with a due time, attempts and a lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from tortoise.expressions import Q

from domain.events import signals
from domain.work.rules import backoff_s
from kernel.ids import new_id
from models.database import after_commit, transactional
from models.jobs import Job

ERROR_LENGTH_MAX = 256


class Kind(StrEnum):
    APPLY_NOTICE = "apply_notice"
    EXPIRE_ORDER = "expire_order"
    QUERY_PAYMENT = "query_payment"
    SUBMIT_RECHARGE = "submit_recharge"
    QUERY_RECHARGE = "query_recharge"
    REFUND = "refund"
    EXPIRE_REVIEW = "expire_review"
    CAPTURE_WALLET = "capture_wallet"
    QUERY_TOP_UP = "query_top_up"
    ANNOUNCE_PRICES = "announce_prices"


async def schedule(*, kind: Kind, key: str, payload: Mapping[str, str], due_at: datetime, now: datetime) -> None:
    """Write the work down once, in the transaction that needs it; the same kind and key again changes nothing."""
    job = Job(id=new_id(), kind=kind.value, key=key, payload=dict(payload), due_at=due_at, attempts=0, created_at=now)
    await Job.bulk_create([job], ignore_conflicts=True)
    after_commit(signals.notify)


@transactional
async def claim(*, owner: str, limit: int, lease: timedelta, now: datetime) -> list[Job]:
    """Lease due work to the owner. Work whose lease ran out is due again, so a killed worker's is taken over."""
    free = Q(done_at__isnull=True, parked_at__isnull=True, due_at__lte=now) & (
        Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    )
    wanted = await Job.filter(free).order_by("due_at").limit(limit).values_list("id", flat=True)
    if not wanted:
        return []
    token = f"{owner}:{uuid4().hex[:12]}"
    # The condition is repeated because another worker may have leased some of them since they were read.
    await Job.filter(Q(id__in=list(wanted)) & free).update(lease_owner=token, lease_until=now + lease)
    return await Job.filter(lease_owner=token).order_by("due_at")


async def renew(*, jobs: Sequence[Job], lease: timedelta, now: datetime) -> None:
    """Keep work that still runs. A lease that somebody else has taken over meanwhile is left alone."""
    # Work that was put back a moment ago has no lease, and must not get one again.
    mine = Q(
        id__in=[job.id for job in jobs], lease_owner__in={job.lease_owner for job in jobs}, lease_until__isnull=False
    )
    await Job.filter(mine).update(lease_until=now + lease)


async def finish(job: Job, *, now: datetime) -> None:
    await Job.filter(id=job.id, lease_owner=job.lease_owner).update(done_at=now, lease_until=None, last_error=None)


async def again(job: Job, *, due_at: datetime) -> None:
    """Put the work back for later; waiting for somebody else is not a failure, but it is counted."""
    await Job.filter(id=job.id, lease_owner=job.lease_owner).update(
        due_at=due_at, attempts=job.attempts + 1, failures=0, lease_until=None, last_error=None
    )


async def fail(job: Job, *, error: str, attempts_max: int, now: datetime) -> bool:
    """Put failed work back with backoff, or park it for a person. Returns whether it is parked now.

    Only failures in a row count: work that has waited for somebody else all day may fail as often as new work.
    """
    failures = job.failures + 1
    parked = failures >= attempts_max
    await Job.filter(id=job.id, lease_owner=job.lease_owner).update(
        attempts=job.attempts + 1,
        failures=failures,
        due_at=now + timedelta(seconds=backoff_s(failures)),
        parked_at=now if parked else None,
        lease_until=None,
        last_error=error[:ERROR_LENGTH_MAX],
    )
    return parked


async def park(job: Job, *, reason: str, now: datetime) -> None:
    """Leave the work to a person, because no retry can settle it."""
    await Job.filter(id=job.id, lease_owner=job.lease_owner).update(
        attempts=job.attempts + 1, parked_at=now, lease_until=None, last_error=reason[:ERROR_LENGTH_MAX]
    )
