"""What the commands share: an open database, and one clear line where it cannot be used."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from tortoise.exceptions import BaseORMException

from jobs.printing import printable
from jobs.wakes import forwarding_wakes, telling_by_redis
from kernel.errors import YoukaError
from kernel.settings import get_settings
from models.database import UNREACHABLE, connected, migrate, patient

NO_TABLE = re.compile(r"no such table|relation .* does not exist")

UNUSABLE = REFUSED = 2


def on_database(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a command on the database of the settings and return its exit code, or 2 where that cannot be used.

    The workers, the relays and the caches of other processes learn at once of what the command has committed.
    """

    async def opened() -> int:
        settings = get_settings()
        # The embedded database is nobody else's to prepare; another one is migrated when its deployment says so.
        if settings.database.startswith("sqlite"):
            await migrate(settings.database)
        async with (
            connected(settings.database, patient(settings)),
            forwarding_wakes(settings.redis_url),
            telling_by_redis(settings),
        ):
            return await work()

    try:
        return asyncio.run(opened())
    except (BaseORMException, *UNREACHABLE) as error:
        hint = " (make its tables with python -m models.database)" if NO_TABLE.search(str(error)) else ""
        print(f"the database cannot be used: {printable(str(error))}{hint}", file=sys.stderr)
        return UNUSABLE


def refusable(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a command on the database, and return 2 where it is refused as well; one line says why."""
    try:
        return on_database(work)
    except YoukaError as error:
        print(f"youka: {error.message('en')}", file=sys.stderr)
        return REFUSED
