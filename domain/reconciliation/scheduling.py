"""Which days are to be reconciled by now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta

from domain.work.operations import Kind, schedule
from kernel.clock import SHANGHAI, business_day
from kernel.states import ReconciliationState
from models.database import transactional
from models.reconciliation import ReconciliationRun

DAY = timedelta(days=1)
# After a longer stop somebody says which days are still to be done.
CATCH_UP_DAYS_MAX = 31


@transactional
async def schedule_days(*, sources: Iterable[str], hour: int, now: datetime) -> datetime:
    """Write down the work of every source's days up to yesterday, once each, and return when to come back: the next
    time that it is `hour` in Asia/Shanghai, before which yesterday's bills are not asked for."""
    today = business_day(now)
    ready_at = datetime.combine(today, time(hour), SHANGHAI)
    last = today - DAY if now >= ready_at else today - 2 * DAY
    for source in sources:
        done = (
            await ReconciliationRun.filter(source=source, state=ReconciliationState.DONE)
            .order_by("-business_day")
            .first()
        )
        for day in _days(done.business_day if done else last - DAY, last):
            await schedule(
                kind=Kind.RECONCILE,
                key=f"{source}:{day.isoformat()}",
                payload={"source": source, "day": day.isoformat()},
                due_at=now,
                now=now,
            )
    return ready_at if now < ready_at else ready_at + DAY


def _days(after: date, last: date) -> Iterator[date]:
    day = max(after + DAY, last - CATCH_UP_DAYS_MAX * DAY)
    while day <= last:
        yield day
        day += DAY
