"""Faults of the network between the service and PostgreSQL, one after another, and how soon each is forgotten."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.processes import Process
from bench.storm.client import Ears
from bench.storm.database import Database
from bench.storm.house import Postgres
from bench.storm.load import Load
from bench.storm.proxy import Mode, Proxy
from kernel.clock import utc_now

RESTART = "restart"
# A statement takes twice as long more: slow, and far from being given up.
DELAY_MS = 150
PROBE_INTERVAL_S = 0.25
WORK_INTERVAL_S = 0.05
HEALED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Spell:
    """One fault and what came after it was healed, in seconds from then.

    `served_s`: until each server had answered a mutation with success that was sent after the healing, the slowest of
    them. `worked_s`: until each worker had begun something and brought it to an outcome. Both are infinite where it
    took more than HEALED_WITHIN_S. `answers` counts what clients were told meanwhile.
    """

    fault: str
    lasted_s: float
    answers: dict[str, int]
    served_s: float
    worked_s: float

    @property
    def forgotten_s(self) -> float:
        """When everything was as before."""
        return max(self.served_s, self.worked_s)


class Weather:
    """Brings each fault over the house while the load goes on."""

    def __init__(
        self,
        faults: Sequence[str],
        *,
        proxy: Proxy,
        postgres: Postgres,
        servers: int,
        workers: Sequence[Process],
        load: Load,
        ears: Ears,
        database: Database,
        fault_s: float,
        progress: Callable[[str], None],
    ) -> None:
        self._faults, self._fault_s = faults, fault_s
        self._proxy, self._postgres = proxy, postgres
        self._servers, self._workers = servers, workers
        self._load, self._ears, self._database = load, ears, database
        self._progress = progress
        self.spells: list[Spell] = []

    async def run(self) -> None:
        """Let each fault come over a house that serves and works."""
        for fault in self._faults:
            await self._served(time.monotonic())
            self._progress(f"fault: {fault}")
            self.spells.append(await self._spell(fault))

    async def _spell(self, fault: str) -> Spell:
        before, begun = Counter(self._ears.outcomes), time.monotonic()
        if fault == RESTART:
            await asyncio.to_thread(self._postgres.stop_immediately)
            await asyncio.to_thread(self._postgres.start)
        else:
            await self._proxy.set(Mode(fault), delay_ms=DELAY_MS)
            await asyncio.sleep(self._fault_s)
            await self._proxy.set(Mode.CLEAR)
        healed_at, healed_time = time.monotonic(), utc_now()
        answers = dict(self._ears.outcomes - before)
        served_s, worked_s = await asyncio.gather(
            _within(HEALED_WITHIN_S, self._served(healed_at)),
            _within(HEALED_WITHIN_S, self._worked(healed_at, healed_time)),
        )
        return Spell(fault, healed_at - begun, answers, served_s, worked_s)

    async def _served(self, since: float) -> float:
        """Send mutations to each server until one that was sent since then is answered with success."""

        async def probe() -> None:
            # Those of the load may wait for answers to what they sent before; a new client does not.
            while True:
                for server in range(self._servers):
                    self._load.begin(server)
                await asyncio.sleep(PROBE_INTERVAL_S)

        probing = asyncio.create_task(probe())
        try:
            done_at = await asyncio.gather(
                *(self._ears.first_done(server, began_after=since) for server in range(self._servers))
            )
        finally:
            probing.cancel()
        return max(done_at) - since

    async def _worked(self, since: float, healed_at: datetime) -> float:
        """Watch the leases taken from now on: an outcome ends one, so what is leased no more was worked off."""
        left = {str(worker.pid) for worker in self._workers}
        seen: dict[str, str] = {}
        while left:
            leases = await self._database.leases(taken_since=healed_at)
            # What was taken over by somebody else is still leased.
            left -= {owner.split(":")[1] for job, owner in seen.items() if job not in leases}
            seen = leases
            await asyncio.sleep(WORK_INTERVAL_S)
        return time.monotonic() - since


async def _within(limit_s: float, wait: Coroutine[Any, Any, float]) -> float:
    try:
        return await asyncio.wait_for(wait, limit_s)
    except TimeoutError:
        return math.inf
