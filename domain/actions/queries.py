"""Reading what people who work here have done, and proving that the record is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.actions.recording import Acting, columns_of
from domain.actions.rules import GENESIS, digest_of
from models.staff_actions import StaffAction

PROOF_PAGE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which actions to list; None stands for any. Times are `[since, until)`."""

    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def listed(*, staff: Acting, wanted: Wanted, first: int, after: UUID | None) -> list[StaffAction]:
    """Return up to `first` actions, newest first, behind the action `after`."""
    assert staff.roles, "whoever may read the record was let in by a role"
    rows = StaffAction.all()
    for name in ("actor", "action", "object_type", "object_id"):
        value = getattr(wanted, name)
        if value is not None:
            rows = rows.filter(**{name: value})
    if wanted.since is not None:
        rows = rows.filter(occurred_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(occurred_at__lt=wanted.until)
    if after is not None:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def any_action(*, staff: Acting, action_id: UUID) -> StaffAction | None:
    """Return one action."""
    assert staff.roles, "whoever may read the record was let in by a role"
    return await StaffAction.get_or_none(id=action_id)


async def about(*, object_ids: Sequence[tuple[str, str]], limit: int) -> list[StaffAction]:
    """Return up to `limit` actions on the objects, each a type and an id, oldest first."""
    found: list[StaffAction] = []
    for kind, key in object_ids:
        found += await StaffAction.filter(object_type=kind, object_id=key).order_by("id").limit(limit)
    return sorted(found, key=lambda row: row.position)[:limit]


async def last() -> StaffAction | None:
    """Return the newest action, whose digest stands for all of them."""
    return await StaffAction.all().order_by("-position").first()


async def broken_links() -> list[int]:
    """Return the positions whose row was changed, or before which one is missing; none where the record is whole."""
    broken, position, previous = [], 0, GENESIS
    while rows := await StaffAction.filter(position__gt=position).order_by("position").limit(PROOF_PAGE_SIZE):
        for row in rows:
            whole = row.position == position + 1 and row.previous_digest == previous
            if not whole or digest_of(columns_of(row), previous=previous) != row.digest:
                broken.append(row.position)
            position, previous = row.position, row.digest
    return broken
