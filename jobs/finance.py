"""The consumer that writes the finance journal, and the commands that look at it and write it anew."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from domain.events import signals
from domain.finance import operations, queries
from domain.finance.queries import Lag
from kernel.backoff import Backoff
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings, get_settings
from kernel.tasks import spawn
from models.database import connected, patient

log = get_logger(__name__)

STOP_TIMEOUT_S = 5.0


class Projection:
    """Carries the journal on behind the ledger, batch by batch, for as long as it runs.

    Any number of processes may run one: a stream that another one reads is left to it. A pause after each round lets a
    few commits come together, which costs less than a round for each. Errors are logged and tried again with growing
    delays; what cannot be read stays unread, and the lag says so.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._batch_size_max = settings.finance_batch_size_max
        self._poll_interval_s = settings.finance_poll_interval_ms / 1_000
        self._pause_s = settings.finance_pause_ms / 1_000
        self._lag_warning_s = settings.finance_lag_warning_s
        self._stopping = asyncio.Event()
        self._poked = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = spawn(self._run(), name="finance")

    def poke(self) -> None:
        """Say that there is something to read; commits of this process are heard of without it."""
        self._poked.set()

    async def stop(self) -> None:
        """End after the round that runs now, or within STOP_TIMEOUT_S: a round is whole or has not happened."""
        self._stopping.set()
        self._poked.set()
        if self._running is None:
            return
        try:
            await asyncio.wait_for(self._running, STOP_TIMEOUT_S)
        except TimeoutError:
            log.warning("finance.cut_off", waited_s=STOP_TIMEOUT_S)

    async def catch_up(self) -> int:
        """Read once what every open journal has not read yet, and return how many events that was."""
        await operations.open_journal(now=self._clock())
        return sum([await self._round(generation) for generation in await queries.open_generations()])

    async def _run(self) -> None:
        backoff = Backoff()
        with signals.listening() as self._poked:
            while not self._stopping.is_set():
                self._poked.clear()
                try:
                    await self.catch_up()
                except Exception as error:
                    log.warning("finance.failed", error=type(error).__name__, detail=str(error))
                    await _wait(self._stopping, backoff.next_delay_s())
                else:
                    backoff.reset()
                    await _wait(self._stopping, self._pause_s)
                    await _wait(self._poked, self._poll_interval_s)

    async def _round(self, generation: int) -> int:
        lag = await queries.lag(generation=generation, now=self._clock())
        if lag.seconds_behind > self._lag_warning_s:
            log.warning(
                "finance.behind",
                generation=generation,
                events_behind=lag.events_behind,
                seconds_behind=round(lag.seconds_behind),
            )
        read = 0
        for stream in lag.streams:
            left = stream.events_behind
            while left > 0 and not self._stopping.is_set():
                limit = min(left, self._batch_size_max)
                got = await operations.project(
                    generation=generation, shard=stream.shard, limit=limit, now=self._clock()
                )
                read += got
                # Nothing means that another process is at it.
                left = left - got if got else 0
        return read


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


def add_commands(commands: Any) -> None:
    status = commands.add_parser("finance-status", help="say how far the finance journal is behind the ledger")
    status.add_argument("--json", action="store_true", help="print the figures as JSON")
    status.set_defaults(run=show_status)
    rebuild = commands.add_parser(
        "rebuild-journal", help="write the finance journal anew beside the old one, and make it the current one"
    )
    rebuild.set_defaults(run=rebuild_journal)


def show_status(arguments: argparse.Namespace) -> int:
    """Print the lag. Return 1 where it is over the limit (YOUKA_FINANCE_LAG_WARNING_S), otherwise 0."""
    settings = get_settings()
    lag = asyncio.run(_read_lag(settings))
    if arguments.json:
        sys.stdout.write(orjson.dumps(asdict(lag)).decode() + "\n")
    else:
        print(_described(lag))
    return 1 if lag.seconds_behind > settings.finance_lag_warning_s else 0


async def _read_lag(settings: Settings) -> Lag:
    async with connected(settings.database):
        return await queries.lag(generation=await queries.current_generation(), now=utc_now())


def _described(lag: Lag) -> str:
    lines = [
        f"journal {lag.generation} is {lag.events_behind} events and {lag.seconds_behind:.1f} seconds behind the ledger"
    ]
    lines += [
        f"  {stream.stream}: {stream.events_behind} behind position {stream.position}, since {stream.since}"
        for stream in lag.streams
    ]
    return "\n".join(lines)


def rebuild_journal(_arguments: argparse.Namespace) -> int:
    """Write a new generation of the journal, going on where an earlier run was interrupted. Return 0."""
    number = asyncio.run(_rebuild(get_settings()))
    print(f"journal {number} has everything that the one before it had, and is the current one now")
    return 0


async def _rebuild(settings: Settings) -> int:
    async with connected(settings.database, patient(settings)):
        projection = Projection(settings)
        await operations.open_journal(now=utc_now())
        generation = await operations.begin_generation(now=utc_now())
        print(f"writing journal {generation}")
        while not await operations.complete_generation(generation=generation, now=utc_now()):
            if not await projection.catch_up():
                # A worker is at it too, and holds the streams that are left.
                await asyncio.sleep(settings.finance_poll_interval_ms / 1_000)
        return generation
