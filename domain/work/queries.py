"""Reading how work stands: what waits, what is late, what runs, and what is left to people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from tortoise.expressions import Q

from domain.work import statements
from kernel.states import InterventionAction
from models.jobs import Job, JobIntervention

PAGE_SIZE = 500

STATUS = """
SELECT job.kind, COUNT(*) AS open,
    SUM(CASE WHEN job.lease_until >= $1 THEN 1 ELSE 0 END) AS running,
    SUM(CASE WHEN job.due_at < $1 AND COALESCE(job.lease_until < $1, TRUE) THEN 1 ELSE 0 END) AS overdue,
    MIN(CASE WHEN COALESCE(job.lease_until < $1, TRUE) THEN job.due_at END) AS oldest_due_at
FROM job WHERE job.done_at IS NULL AND job.parked_at IS NULL GROUP BY job.kind
"""
PARKED = "SELECT kind, COUNT(*) AS parked FROM job WHERE parked_at IS NOT NULL AND done_at IS NULL GROUP BY kind"


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person did with the work, and why."""

    actor: str
    action: InterventionAction
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """Work that waits for a person, the reason why, and what people did with it before."""

    id: UUID
    kind: str
    key: str
    parked_at: datetime
    attempts: int
    reason: str
    interventions: Sequence[Intervention]


@dataclass(slots=True)
class KindStatus:
    """How the work of one kind stands. Overdue work is part of what waits; its age is in seconds."""

    kind: str
    waiting: int = 0
    overdue: int = 0
    oldest_overdue_s: float = 0.0
    running: int = 0
    parked: int = 0


class Place(Protocol):
    """Where a page of the manual queue ends, such as at a `ParkedJob`."""

    @property
    def id(self) -> UUID: ...

    @property
    def parked_at(self) -> datetime: ...


async def parked(*, limit: int, after: Place | None = None, kind: str | None = None) -> list[ParkedJob]:
    """Return a page of the manual queue, of one kind or of all, what has waited longest first."""
    found = Job.filter(parked_at__isnull=False, done_at__isnull=True)
    if kind is not None:
        found = found.filter(kind=kind)
    if after:
        found = found.filter(Q(parked_at__gt=after.parked_at) | Q(parked_at=after.parked_at, id__gt=after.id))
    # Without the payload, which may be what nobody could read.
    rows = (
        await found.order_by("parked_at", "id")
        .limit(limit)
        .values("id", "kind", "key", "parked_at", "attempts", reason="last_error")
    )
    acted = await _interventions([row["id"] for row in rows])
    return [ParkedJob(**row, interventions=acted[row["id"]]) for row in rows]


async def all_parked() -> AsyncIterator[ParkedJob]:
    """Give the whole manual queue, read page by page."""
    page = await parked(limit=PAGE_SIZE)
    while page:
        for job in page:
            yield job
        page = await parked(limit=PAGE_SIZE, after=page[-1])


async def _interventions(job_ids: Sequence[UUID]) -> dict[UUID, list[Intervention]]:
    found: dict[UUID, list[Intervention]] = defaultdict(list)
    for row in await JobIntervention.filter(job_id__in=list(job_ids)).order_by("occurred_at", "id"):
        found[row.job_id].append(Intervention(row.actor, row.action, row.reason, row.occurred_at))
    return found


async def status(*, now: datetime) -> list[KindStatus]:
    """Return how the work of each kind stands, in the order of their names; kinds with nothing open are left out."""
    kinds: dict[str, KindStatus] = {}
    for row in await statements.rows(STATUS, STATUS, now):
        overdue, running = int(row["overdue"]), int(row["running"])
        kinds[row["kind"]] = KindStatus(
            row["kind"],
            waiting=row["open"] - running,
            overdue=overdue,
            oldest_overdue_s=(now - _moment(row["oldest_due_at"])).total_seconds() if overdue else 0.0,
            running=running,
        )
    for row in await statements.rows(PARKED, PARKED):
        kinds.setdefault(row["kind"], KindStatus(row["kind"])).parked = row["parked"]
    return [kinds[kind] for kind in sorted(kinds)]


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


async def suspect_waits(*, now: datetime) -> bool:
    """Whether work is due that must run alone."""
    return bool(await statements.rows(statements.SUSPECT_WAITS, statements.SUSPECT_WAITS, now))


async def has_begun(*, kind: str, key: str) -> bool:
    """Whether this work was claimed at least once, so that what is learned now may come too late for it."""
    begun = Q(done_at__isnull=False) | Q(claims__gt=0) | Q(attempts__gt=0)
    return await Job.filter(begun, kind=kind, key=key).exists()
