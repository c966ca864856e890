"""Which prices a machine may publish, and from when a document's prices are in force; no I/O."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from kernel.clock import SHANGHAI

# A document about a day that is further away is a mistake.
ADJUSTMENT_AGE_MAX = timedelta(days=30)
ADJUSTMENT_AHEAD_MAX = timedelta(days=10)
BASIS_POINTS = 10_000


def effective_from(adjusted_on: date) -> datetime:
    """Return 24:00 of the day in Asia/Shanghai, in UTC."""
    return datetime.combine(adjusted_on + timedelta(days=1), time(), SHANGHAI).astimezone(UTC)


def is_plausible(adjusted_on: date, *, today: date) -> bool:
    return today - ADJUSTMENT_AGE_MAX <= adjusted_on <= today + ADJUSTMENT_AHEAD_MAX


def moves_too_much(*, milliyuan: int, previous_milliyuan: int | None, limit_basis_points: int) -> bool:
    """Say whether a person must look: it moves by more than the limit, or there is nothing to compare it with."""
    if previous_milliyuan is None:
        return True
    return abs(milliyuan - previous_milliyuan) * BASIS_POINTS > previous_milliyuan * limit_basis_points
