"""The ledger's months to come: made ready by a daily job, or by hand with `python -m jobs prepare-partitions`."""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime, timedelta
from typing import Any

from asyncpg import LockNotAvailableError

from kernel.clock import start_of_business_day, utc_now
from kernel.logs import get_logger
from kernel.settings import Settings, get_settings
from models import partitions
from models.database import connected, patient, transactional
from models.partitions import Prepared

log = get_logger(__name__)

# Early in the morning in Shanghai, when few recharge.
HOUR_OF_DAY = timedelta(hours=4)
RETRY_AFTER = timedelta(minutes=10)

_prepare = transactional(partitions.prepare)


def next_due(now: datetime) -> datetime:
    """Return the next four o'clock in the morning in Shanghai."""
    today = start_of_business_day(now) + HOUR_OF_DAY
    return today if today > now else today + timedelta(days=1)


async def prepare_partitions(*, settings: Settings, now: datetime) -> datetime:
    """Make the months ready and return when to come back: tomorrow, or soon where the ledger was in use all the time.

    Entries that lie in the rest partition are moved into their months and logged as a warning, because they say that
    this job has not run for months or that a clock is wrong.
    """
    try:
        prepared = await _prepare(now=now, months_ahead=settings.ledger_partitions_ahead_months)
    except LockNotAvailableError:
        log.warning("partitions.ledger_in_use", retry_s=RETRY_AFTER.total_seconds())
        return now + RETRY_AFTER
    _tell(prepared)
    return next_due(now)


def _tell(prepared: Prepared) -> None:
    if prepared.moved_count:
        log.warning("partitions.rest_was_used", entries=prepared.moved_count, created=prepared.created)
    elif prepared.created:
        log.info("partitions.created", created=prepared.created)


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("prepare-partitions", help="make the ledger's months of the time to come (PostgreSQL)")
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print what was made. Return 0, or 1 where the ledger was in use all the time."""
    settings = get_settings()
    try:
        prepared = asyncio.run(_by_hand(settings))
    except LockNotAvailableError:
        print("the ledger is in use by something that does not end; try again later")
        return 1
    for partition in prepared.created:
        print(f"created {partition}")
    if prepared.moved_count:
        print(f"moved {prepared.moved_count} entries out of the rest partition")
    if not prepared.created:
        print("every month is there")
    return 0


async def _by_hand(settings: Settings) -> Prepared:
    async with connected(settings.database, patient(settings)):
        return await _prepare(now=utc_now(), months_ahead=settings.ledger_partitions_ahead_months)
