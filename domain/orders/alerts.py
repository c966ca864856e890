"""What waits for staff: told event by event, and all of it at once."""

from __future__ import annotations

from uuid import UUID

from tortoise.queryset import QuerySet

from domain.events.ports import StoredEvent
from domain.events.streams import AlertKind
from domain.identity.staff import Staff
from kernel.states import CaseState, ReviewState
from models.jobs import Job
from models.reviews import ManualCase, Review

Subject = ManualCase | Review | Job


async def subject_of(*, staff: Staff, event: StoredEvent) -> Subject | None:
    """Return what the alert is about, as it is now; None for work that was done and deleted since."""
    del staff  # Asking for a member of staff is the check; every one of them hears every alert.
    key = UUID(event.payload["id"])
    match AlertKind(event.payload["kind"]):
        case AlertKind.CASE:
            return await ManualCase.get(id=key)
        case AlertKind.REVIEW:
            return await Review.get(id=key)
        case AlertKind.WORK:
            return await _readable().get_or_none(id=key)


async def waiting(*, staff: Staff, limit: int) -> list[Subject]:
    """Return up to `limit` things that wait: reviews, which have a deadline, first, then cases, then parked work."""
    del staff
    found: list[Subject] = list(await Review.filter(state=ReviewState.PENDING).order_by("id").limit(limit))
    if len(found) < limit:
        cases = ManualCase.filter(state__not=CaseState.RESOLVED).order_by("id")
        found += await cases.limit(limit - len(found))
    if len(found) < limit:
        parked = _readable().filter(parked_at__isnull=False, done_at__isnull=True).order_by("parked_at", "id")
        found += await parked.limit(limit - len(found))
    return found


def _readable() -> QuerySet[Job]:
    # Without the payload, which may be what nobody could read.
    return Job.all().only("id", "kind", "key", "parked_at", "last_error", "attempts")
