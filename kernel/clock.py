"""Time is aware and UTC; it is read at the edge and passed in as `now`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def utc_now() -> datetime:
    return datetime.now(UTC)


def start_of_business_day(now: datetime) -> datetime:
    """Return midnight in Asia/Shanghai of the day of `now`, in UTC."""
    return now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def business_day(moment: datetime) -> date:
    """Return the day in Asia/Shanghai that the moment belongs to."""
    return moment.astimezone(SHANGHAI).date()
