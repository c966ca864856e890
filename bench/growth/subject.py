"""One database under measurement, in a process of its own that keeps its connection and plans from round to round."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

from tortoise import Tortoise

from bench.growth.measures import Meter, Touched
from bench.growth.road import STEPS, Customer, Road, settings_of
from domain.finance import queries as finance
from domain.work import operations as work
from domain.work import queries as work_queries
from jobs import ledger_partitions
from jobs.finance import Projection
from jobs.relay import Relay
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import connected

STOP_WITHIN_S = 15.0
PURGED = 50
PURGED_BEFORE = timedelta(days=30)
# What has just signed in and looked at the card is read before the order, so it is no cost of the order.
CUSTOMERS = """
SELECT u.id AS user_id, c.id AS card_id FROM user_account u JOIN fuel_card c ON c.user_id = u.id
WHERE u.openid = ANY($1::text[])
"""


class SubjectFailed(Exception):
    """A step went wrong in the process of a database; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Round:
    """Orders that went one after the other: seconds of each step of each, and the whole round's cost per order."""

    seconds: dict[str, list[float]]
    cpu_s: dict[str, float]
    log_bytes: float

    @property
    def totals(self) -> list[float]:
        """Return the seconds of each order over all steps."""
        return [sum(each) for each in zip(*self.seconds.values(), strict=True)]


@dataclass(frozen=True, slots=True)
class Glance:
    """What one run of something that runs by the clock has cost."""

    seconds: float
    touched: Touched = field(default_factory=Touched)


class Hands:
    """What can be asked of a subject, as it happens inside its process."""

    def __init__(self, settings: Settings, users: int, seed: int) -> None:
        self._settings, self._users, self._random = settings, users, random.Random(seed)
        self._road, self._relay, self._meter = Road(settings), Relay(Silent(), settings), Meter()

    async def round(self, count: int) -> Round:
        """Lead so many orders of as many customers from their creation to the end, and leave no work behind."""
        found = await self._lead(count)
        for finish in (self._road.finish_what_waits, self._publish, self._write_journal):
            await finish()
        return found

    async def _lead(self, count: int) -> Round:
        customers = await self._customers(count)
        seconds: dict[str, list[float]] = {step: [] for step in STEPS}
        cpu_s: defaultdict[str, float] = defaultdict(float)
        log_before = await self._meter.log_bytes()
        for customer in customers:
            async with self._road.order(customer) as journey:
                for step in STEPS:
                    await journey.prepare(step)
                    await self._meter.begin()
                    seconds[step].append(await journey.step(step))
                    cpu_s[step] += self._meter.spent_s()
        log_bytes = (await self._meter.log_bytes() - log_before) / count
        return Round(seconds, {step: spent / count for step, spent in cpu_s.items()}, log_bytes)

    async def count(self, count: int) -> dict[str, Touched]:
        """Lead so many orders, not timed, and return what each step has read for all of them together."""
        customers = await self._customers(count)
        found = dict.fromkeys(STEPS, Touched())
        for customer in customers:
            async with self._road.order(customer) as journey:
                for step in STEPS:
                    await journey.prepare(step)
                    await self._meter.touched()
                    await journey.step(step)
                    found[step] = found[step].plus(await self._meter.touched())
        return found

    async def by_the_clock(self, count: int) -> dict[str, Glance]:
        """Lead some orders, and then do once what workers and servers do by the clock."""
        await self._lead(count)
        found = {}
        for name, thing in self._clockwork().items():
            await self._meter.touched()
            begun_s = time.perf_counter()
            await thing()
            found[name] = Glance(time.perf_counter() - begun_s, await self._meter.touched())
        return found

    def _clockwork(self) -> dict[str, Callable[[], Awaitable[object]]]:
        settings, now = self._settings, utc_now()
        return {
            "relay of events": self._publish,
            "finance journal": self._write_journal,
            "lag of the journal": lambda: finance.lag(generation=finance.FIRST_GENERATION, now=now),
            "deadlines and queries": self._road.finish_what_waits,
            "a worker that finds nothing": self._road.work,
            "work-status": lambda: work_queries.status(now=now),
            "manual queue": lambda: work_queries.parked(limit=work_queries.PAGE_SIZE),
            f"purge of {PURGED} done jobs": lambda: work.purge_done(before=now - PURGED_BEFORE, limit=PURGED),
            "months of the ledger": lambda: ledger_partitions.prepare_partitions(settings=settings, now=now),
        }

    async def _publish(self) -> None:
        await self._relay.start()
        await self._relay.stop()

    async def _write_journal(self) -> None:
        await Projection(self._settings).catch_up()

    async def _customers(self, count: int) -> list[Customer]:
        wanted = [f"growth-{self._random.randrange(self._users)}" for _ in range(count)]
        rows = await Tortoise.get_connection("default").execute_query_dict(CUSTOMERS, [wanted])
        found = [Customer(row["user_id"], row["card_id"]) for row in rows]
        # Who was drawn twice is there once.
        return (found * count)[:count]


class Silent:
    """Implements the relay's `Publisher`: nobody listens."""

    async def publish(self, channel: str, message: Any) -> None:
        """Send nothing."""


class Subject:
    """The process of one database. Whatever is asked raises SubjectFailed where it goes wrong there."""

    def __init__(self, orders: int, connection: Connection) -> None:
        self.orders = orders
        self._connection = connection

    def round(self, count: int) -> Round:
        found: Round = self._ask("round", count)
        return found

    def count(self, count: int) -> dict[str, Touched]:
        found: dict[str, Touched] = self._ask("count", count)
        return found

    def by_the_clock(self, count: int) -> dict[str, Glance]:
        found: dict[str, Glance] = self._ask("by_the_clock", count)
        return found

    def _ask(self, what: str, count: int) -> Any:
        try:
            self._connection.send((what, count))
            found = self._connection.recv()
        except (EOFError, OSError) as error:
            raise SubjectFailed(f"the process over {self.orders:,} orders is gone") from error
        if isinstance(found, str):
            raise SubjectFailed(f"{what} over {self.orders:,} orders: {found}")
        return found


@contextmanager
def subject(url: str, orders: int, users: int, seed: int) -> Iterator[Subject]:
    """Keep a process for the database at the address for as long as the context lasts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, url, users, seed), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Subject(orders, ours)
    finally:
        ours.close()
        process.join(STOP_WITHIN_S)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(connection: Connection, url: str, users: int, seed: int) -> None:
    # Ctrl-C is for the benchmark, which closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(_answer(connection, url, users, seed))


async def _answer(connection: Connection, url: str, users: int, seed: int) -> None:
    settings = settings_of(url)
    async with connected(url, settings):
        hands = Hands(settings, users, seed)
        while (asked := _next(connection)) is not None:
            what, count = asked
            try:
                answer: object = await getattr(hands, what)(count)
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            connection.send(answer)


def _next(connection: Connection) -> tuple[str, int] | None:
    try:
        asked: tuple[str, int] = connection.recv()
    except (EOFError, OSError):
        return None
    return asked
