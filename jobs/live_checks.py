"""What is wrong with what a deployment stands on: its database, its Redis, its certificate and the clocks of all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from redis.exceptions import RedisError
from tortoise import Tortoise
from tortoise.exceptions import BaseORMException

from jobs.config_checks import Finding
from kernel.clock import utc_now
from kernel.pubsub import single
from kernel.settings import Settings
from models import partitions
from models.database import UNREACHABLE, connected, dialect, pending_migrations

TIMEOUT_S = 5.0
CLOCK_SKEW_MAX = timedelta(seconds=2)
CERTIFICATE_LEFT_MIN = timedelta(days=14)
NTP = "let every machine keep its time by NTP: callbacks, leases and tokens depend on it"
Check = Callable[[Settings], Awaitable[list[Finding]]]


async def of_surroundings(settings: Settings) -> list[Finding]:
    """Look at each within TIMEOUT_S, one beside the other."""
    checks: tuple[Check, ...] = (_of_database, _of_redis, _of_certificate)
    return [finding for found in await asyncio.gather(*(each(settings) for each in checks)) for finding in found]


async def _of_database(settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(TIMEOUT_S), connected(settings.database):
            return [*await _of_schema(), *await _of_partitions(settings), *await _of_database_clock()]
    except (BaseORMException, TimeoutError, *UNREACHABLE) as error:
        # The driver's own words may hold the address, and with it the password.
        problem = f"names a database that does not answer ({type(error).__name__})"
        return [Finding("DATABASE_URL", problem, "start it, or correct the address, the account and the firewall")]


async def _of_schema() -> list[Finding]:
    pending = await pending_migrations()
    if not pending:
        return []
    problem = f"names a database that waits for {len(pending)} migrations, from {pending[0]} on"
    return [Finding("DATABASE_URL", problem, "run python -m models.database before the servers start")]


async def _of_partitions(settings: Settings) -> list[Finding]:
    if dialect() != "postgres" or await pending_migrations():
        return []
    missing = await partitions.missing(now=utc_now(), months_ahead=settings.ledger_partitions_ahead_months)
    if not missing:
        return []
    problem = f"has no partition of the ledger for {', '.join(missing)}"
    return [Finding("YOUKA_LEDGER_PARTITIONS_AHEAD_MONTHS", problem, "run python -m jobs prepare-partitions")]


async def _of_database_clock() -> list[Finding]:
    if dialect() != "postgres":
        return []
    (row,) = await Tortoise.get_connection("default").execute_query_dict("SELECT clock_timestamp() AS now")
    return _of_clock("DATABASE_URL", row["now"])


async def _of_redis(settings: Settings) -> list[Finding]:
    if not settings.redis_url:
        return []
    try:
        async with asyncio.timeout(TIMEOUT_S), single(settings.redis_url) as client:
            seconds, microseconds = await client.time()
    except (RedisError, OSError, TimeoutError, ValueError) as error:
        problem = f"names a Redis that does not answer ({type(error).__name__})"
        return [Finding("REDIS_URL", problem, "start it, or correct the address, the password and the firewall")]
    return _of_clock("REDIS_URL", datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds))


def _of_clock(variable: str, theirs: datetime) -> list[Finding]:
    skew = theirs - utc_now()
    if abs(skew) <= CLOCK_SKEW_MAX:
        return []
    return [Finding(variable, f"names a machine whose clock is {skew.total_seconds():+.0f} s off from ours", NTP)]


async def _of_certificate(settings: Settings) -> list[Finding]:
    url = urlsplit(settings.public_url)
    if url.scheme != "https" or not url.hostname:
        return []
    variable = "YOUKA_PUBLIC_URL"
    try:
        async with _secured(url.hostname, url.port or 443) as expires_at:
            left = expires_at - utc_now()
    except ssl.SSLCertVerificationError as error:
        problem = f"names a host whose certificate is not valid: {error.verify_message}"
        return [Finding(variable, problem, "renew it; third parties deliver no callbacks to such a host")]
    except (OSError, TimeoutError) as error:
        problem = f"cannot be reached from here ({type(error).__name__})"
        return [Finding(variable, problem, "look whether it can be reached from outside", must=False)]
    if left >= CERTIFICATE_LEFT_MIN:
        return []
    problem = f"names a host whose certificate ends in {left.days} days"
    return [Finding(variable, problem, "renew it", must=False)]


@asynccontextmanager
async def _secured(host: str, port: int) -> AsyncIterator[datetime]:
    """Connect by TLS, and give the end of the certificate. Raises OSError (ssl.SSLError among them) or TimeoutError."""
    async with asyncio.timeout(TIMEOUT_S):
        _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    try:
        certificate = writer.get_extra_info("peercert")
        yield datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    finally:
        writer.close()
