"""Runs: who works on a source's bill, under a lease that every transaction of the run holds first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from tortoise.exceptions import IntegrityError

from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import ReconciliationState
from models.database import transactional
from models.reconciliation import ReconciliationRun

RENEWALS_PER_LEASE = 3
REASON_LENGTH_MAX = 256
NO_DIGEST = ""

Clock = Callable[[], datetime]


class RunBusy(Exception):
    """Somebody else works on a bill of this source."""


class RunLost(Exception):
    """The lease ran out and somebody else may work on it by now; nothing more may be written."""


@dataclass(slots=True)
class Pass:
    """One pass of a run by its one worker. `id` marks what this pass has seen."""

    run_id: UUID
    source: str
    day: date
    id: UUID
    lease: timedelta
    clock: Clock = utc_now
    renewed_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.renewed_at = self.clock()

    async def hold(self) -> None:
        """Call first in a transaction: until it ends nobody else can begin a run of the source. Raises RunLost."""
        now = self.clock()
        mine = ReconciliationRun.filter(id=self.run_id, pass_id=self.id, state=ReconciliationState.RUNNING)
        if not await mine.update(lease_until=now + self.lease):
            raise RunLost(self.source)
        self.renewed_at = now

    async def keep(self) -> None:
        """Renew the lease where that is due. Raises RunLost."""
        if self.clock() - self.renewed_at > self.lease / RENEWALS_PER_LEASE:
            await transactional(self.hold)()


async def begin(*, source: str, day: date, digest: str, lease: timedelta, owner: str, clock: Clock) -> Pass:
    """Take the one lease of a source for a bill of it, again where the bill was compared before. Raises RunBusy."""
    try:
        return await _begin(source, day, digest, lease, owner, clock)
    except IntegrityError as error:
        # Another run began at the same moment; the database lets one of them run.
        raise RunBusy(source) from error


@transactional
async def _begin(source: str, day: date, digest: str, lease: timedelta, owner: str, clock: Clock) -> Pass:
    now, pass_id = clock(), new_id()
    running = ReconciliationRun.filter(source=source, state=ReconciliationState.RUNNING)
    await running.filter(lease_until__lt=now).update(
        state=ReconciliationState.STOPPED, reason="its lease ran out", lease_owner=None, lease_until=None
    )
    known = await ReconciliationRun.get_or_none(source=source, business_day=day, digest=digest)
    begun: dict[str, Any] = {
        "state": ReconciliationState.RUNNING,
        "reason": "",
        "pass_id": pass_id,
        "lease_owner": owner,
        "lease_until": now + lease,
        "begun_at": now,
        "finished_at": None,
    }
    if known is None:
        known = await ReconciliationRun.create(
            id=new_id(), source=source, business_day=day, digest=digest, passes=1, **_NOTHING, **begun
        )
    else:
        rows = ReconciliationRun.filter(id=known.id, passes=known.passes, state__not=ReconciliationState.RUNNING)
        if not await rows.update(passes=known.passes + 1, **begun):
            raise RunBusy(source)
    return Pass(known.id, source, day, pass_id, lease, clock)


_NOTHING: dict[str, Any] = {
    "bill_line_count": 0,
    "book_line_count": 0,
    "matched_count": 0,
    "difference_count": 0,
    "bill_fen": 0,
    "book_fen": 0,
    "counts": {},
}


@transactional
async def refuse(*, source: str, day: date, reason: str, now: datetime) -> None:
    """Note that a day's bill could not be used, once a day, with how often it was and why the last time."""
    known = await ReconciliationRun.get_or_none(source=source, business_day=day, digest=NO_DIGEST)
    noted: dict[str, Any] = {"reason": reason[:REASON_LENGTH_MAX], "begun_at": now, "finished_at": now}
    if known:
        await ReconciliationRun.filter(id=known.id).update(passes=known.passes + 1, **noted)
        return
    await ReconciliationRun.create(
        id=new_id(),
        source=source,
        business_day=day,
        digest=NO_DIGEST,
        state=ReconciliationState.REFUSED,
        passes=1,
        pass_id=new_id(),
        **_NOTHING,
        **noted,
    )


async def is_done(*, source: str, day: date) -> bool:
    """Say whether a bill of the day was compared to its end."""
    return await ReconciliationRun.exists(source=source, business_day=day, state=ReconciliationState.DONE)


@transactional
async def stop(a_pass: Pass, *, reason: str, now: datetime) -> None:
    """Give the lease back without an end, where it is still ours."""
    rows = ReconciliationRun.filter(id=a_pass.run_id, pass_id=a_pass.id, state=ReconciliationState.RUNNING)
    await rows.update(
        state=ReconciliationState.STOPPED,
        reason=reason[:REASON_LENGTH_MAX],
        lease_owner=None,
        lease_until=None,
        finished_at=now,
    )
