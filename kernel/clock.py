"""Time is aware and UTC; it is read at the edge and passed in as `now`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
LONGEST_MONTH_DAYS = 31


def utc_now() -> datetime:
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """Write an aware moment in UTC with milliseconds, as clients are shown it: `2026-04-21T16:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start_of_business_day(now: datetime) -> datetime:
    """Return midnight in Asia/Shanghai of the day of `now`, in UTC."""
    return now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def business_day(moment: datetime) -> date:
    """Return the day in Asia/Shanghai that the moment belongs to."""
    return moment.astimezone(SHANGHAI).date()


def start_of_business_month(now: datetime) -> datetime:
    """Return midnight in Asia/Shanghai of the first day of the month of `now`, in UTC."""
    return start_of_business_day(now.astimezone(SHANGHAI).replace(day=1))


def next_business_day(now: datetime) -> datetime:
    """Return when the next day begins in Asia/Shanghai, in UTC. There is no summer time."""
    return start_of_business_day(now) + timedelta(days=1)


def next_business_month(now: datetime) -> datetime:
    """Return when the next month begins in Asia/Shanghai, in UTC."""
    return start_of_business_month(start_of_business_month(now) + timedelta(days=LONGEST_MONTH_DAYS + 1))
