"""The daily finance report: of a day in Asia/Shanghai, from the ledger alone.

A day ends, in each shard, before the first posting that was booked on a later day. When it is over for a while it is
closed: how far it goes is kept with its sums, and never changes. What is booked afterwards under an earlier time
belongs to the day after, so that the days together are the ledger, each posting once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from tortoise.exceptions import IntegrityError

from domain.events import queries as events
from domain.finance.figures import AccountSum, Report, ReportStatus, joined
from domain.finance.queries import STREAMS
from domain.finance.statements import first_since, sums_between
from kernel.clock import SHANGHAI, business_day
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import StaffRole
from models.database import transactional
from models.finance import FinanceDay
from models.ledger import LedgerTransaction

DAY = timedelta(days=1)
# Who reads the books of the house.
READERS = frozenset({StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR, StaffRole.AUDITOR})
# Nothing was booked before; an earlier day is a mistake.
FIRST_DAY = date(2020, 1, 1)
# A transaction that began before midnight has ended long before this.
CLOSE_AFTER = timedelta(minutes=15)
# After a longer stop the days are closed in several goes.
CLOSED_AT_ONCE_MAX = 31


class ReportDayInvalid(YoukaError):
    """The day has not begun, or lies before the service did."""

    code = "REPORT_DAY_INVALID"
    messages = {
        "zh-CN": "日期须在{minimum}至{maximum}之间",
        "en": "The day must be from {minimum} to {maximum}",
    }


async def report(*, day: date, now: datetime) -> Report:
    """Return the report of a day; one that is not closed yet is provisional. Raises ReportDayInvalid."""
    today = business_day(now)
    if not FIRST_DAY <= day <= today:
        raise ReportDayInvalid(minimum=FIRST_DAY.isoformat(), maximum=today.isoformat())
    row = await FinanceDay.get_or_none(business_day=day)
    if row is not None:
        return Report(day, ReportStatus.CLOSED, row.closed_at, [AccountSum.read(each) for each in row.sums])
    _, accounts = await _read(day)
    return Report(day, ReportStatus.PROVISIONAL, now, accounts)


async def _read(day: date) -> tuple[dict[int, int], list[AccountSum]]:
    """Return how far the day goes by now, and its sums: those of the last closed day before it, and what came since."""
    last = await FinanceDay.filter(business_day__lt=day).order_by("-business_day").first()
    base = {int(shard): position for shard, position in last.boundaries.items()} if last else {}
    held = [AccountSum.read(each) for each in last.sums] if last else []
    # A posting that commits meanwhile is behind these positions, so both reads tell of the same ledger.
    heads = {STREAMS[stream]: position for stream, position in (await events.heads(list(STREAMS))).items()}
    begins = base if last and last.business_day == day - DAY else await _boundaries(day - DAY, base, heads)
    ends = await _boundaries(day, begins, heads)
    between = await sums_between(base, begins)
    return ends, joined(joined(held, between), await sums_between(begins, ends))


async def _boundaries(day: date, before: Mapping[int, int], heads: Mapping[int, int]) -> dict[int, int]:
    """Return by shard the last position of a day that is not closed, which is never before that of an earlier day."""
    later = await first_since(end_of(day))
    return {
        shard: max(before.get(shard, 0), min(later.get(shard, head + 1) - 1, head)) for shard, head in heads.items()
    }


def end_of(day: date) -> datetime:
    """Return midnight in Asia/Shanghai behind the day."""
    return datetime.combine(day + DAY, time(), SHANGHAI)


async def close_days(*, now: datetime) -> datetime:
    """Close the days that have been over for CLOSE_AFTER, oldest first, and return when to come back."""
    last = business_day(now - CLOSE_AFTER) - DAY
    day = await _first_open()
    for _ in range(CLOSED_AT_ONCE_MAX):
        if day is None or day > last:
            return end_of(last + DAY) + CLOSE_AFTER
        await close_day(day=day, now=now)
        day += DAY
    return now


async def _first_open() -> date | None:
    """Return the day behind the last closed one, or the first one that has a posting; None where there is neither."""
    newest = await FinanceDay.all().order_by("-business_day").first()
    if newest is not None:
        return newest.business_day + DAY
    first = await LedgerTransaction.all().order_by("occurred_at").first()
    return business_day(first.occurred_at) if first else None


async def close_day(*, day: date, now: datetime) -> None:
    """Keep a day as the ledger has it now. A day that is closed already stays as it is, whoever has closed it.

    Raises ReportDayInvalid for a day that is not over.
    """
    if not FIRST_DAY <= day <= business_day(now - CLOSE_AFTER) - DAY:
        raise ReportDayInvalid(minimum=FIRST_DAY.isoformat(), maximum=(business_day(now) - DAY).isoformat())
    try:
        await _close(day, now)
    except IntegrityError:
        if not await FinanceDay.exists(business_day=day):
            raise


@transactional
async def _close(day: date, now: datetime) -> None:
    if await FinanceDay.exists(business_day=day):
        return
    boundaries, accounts = await _read(day)
    await FinanceDay.create(
        id=new_id(),
        business_day=day,
        boundaries={str(shard): position for shard, position in boundaries.items()},
        sums=[each.plain() for each in accounts],
        closed_at=now,
    )
