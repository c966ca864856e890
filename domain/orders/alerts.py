"""What waits for staff: told event by event, all of it at once, and counted. A role hears only what it can act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain.events.alerts import is_for
from domain.events.ports import StoredEvent
from domain.events.streams import AlertKind
from domain.identity.staff import Staff
from domain.work.manual_queue import READABLE
from kernel.fund_states import ClaimState, PayeeState, TransferState
from kernel.states import CaseState, DifferenceState, ReviewState
from models.funds import FundPayee, FundTransfer, InsuranceClaim
from models.jobs import Job
from models.reconciliation import ReconciliationDifference
from models.reviews import ManualCase, Review
from models.sign_ins import SignInLock

Subject: TypeAlias = (
    ManualCase | Review | FundTransfer | FundPayee | InsuranceClaim | Job | ReconciliationDifference | SignInLock
)


@dataclass(frozen=True, slots=True)
class Queue:
    """One kind of what waits: all of it, what of it waits, and by which column how long."""

    rows: Callable[[], QuerySet[Any]]
    waiting: Q
    since: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of one kind waits, and since when the oldest of it does."""

    kind: AlertKind
    count: int
    oldest_at: datetime | None


# Reviews have a deadline, so they come first.
QUEUES: Mapping[AlertKind, Queue] = {
    AlertKind.REVIEW: Queue(Review.all, Q(state=ReviewState.PENDING), "created_at"),
    AlertKind.CASE: Queue(ManualCase.all, Q(state__not=CaseState.RESOLVED), "created_at"),
    AlertKind.TRANSFER: Queue(
        FundTransfer.all,
        Q(state=TransferState.PROPOSED) | Q(state=TransferState.CHECKED, needs_director=True),
        "proposed_at",
    ),
    AlertKind.PAYEE: Queue(FundPayee.all, Q(state=PayeeState.PROPOSED), "proposed_at"),
    AlertKind.CLAIM: Queue(InsuranceClaim.all, Q(state=ClaimState.ACCEPTED), "accepted_at"),
    AlertKind.WORK: Queue(
        lambda: Job.all().only(*READABLE), Q(parked_at__isnull=False, done_at__isnull=True), "parked_at"
    ),
    AlertKind.DIFFERENCE: Queue(
        ReconciliationDifference.all, Q(state__in=[DifferenceState.OPEN, DifferenceState.PROPOSED]), "found_at"
    ),
    # A lock ends by itself; what is over is noticed within the hour, by the job that forgets old ones.
    AlertKind.SIGN_IN_LOCK: Queue(SignInLock.all, Q(locked_until__isnull=False), "window_began_at"),
}


async def subject_of(*, staff: Staff, event: StoredEvent) -> Subject | None:
    """Return what the alert is about, as it is now; None where it is for other roles, or was done and deleted since."""
    kind = AlertKind(event.payload["kind"])
    if not is_for(kind, staff.roles):
        return None
    found: Subject | None = await QUEUES[kind].rows().get_or_none(id=UUID(event.payload["id"]))
    return found


async def waiting(*, staff: Staff, limit: int) -> list[Subject]:
    """Return up to `limit` things that wait for the roles: reviews first, then cases, what finance has to approve,
    parked work and differences, each oldest first."""
    found: list[Subject] = []
    for kind, queue in QUEUES.items():
        if len(found) < limit and is_for(kind, staff.roles):
            rows = queue.rows().filter(queue.waiting).order_by(queue.since, "id")
            found += await rows.limit(limit - len(found))
    return found


async def counted(*, staff: Staff) -> list[Waiting]:
    """Return how much waits for the roles, kind by kind."""
    found = []
    for kind, queue in QUEUES.items():
        if is_for(kind, staff.roles):
            rows = queue.rows().filter(queue.waiting)
            oldest = await rows.order_by(queue.since, "id").first()
            since = getattr(oldest, queue.since) if oldest else None
            found.append(Waiting(kind, await queue.rows().filter(queue.waiting).count(), since))
    return found
