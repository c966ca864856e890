"""kill -9 of servers and workers in turn, each started again at once, and how long it takes until all is as before."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.processes import Process, ServerFailed, log_tail
from bench.storm.answers import Outcome
from bench.storm.client import Api
from bench.storm.database import Database

PROBE = "{ viewer { profile { id } } }"
PROBE_INTERVAL_S = 0.02
LEASE_INTERVAL_S = 0.05
RECOVERED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill and what came after, in seconds from it.

    `served_s`: until the service answered a request that was sent after the kill. `returned_s`: until the process that
    was killed did. `moved_s`: until each piece of the `in_flight` work that it had leased was taken over or finished.
    None where the victim answers no requests, or had leased nothing.
    """

    victim: str
    served_s: float | None
    returned_s: float | None
    in_flight: int
    moved_s: float | None


class Killer:
    """Ends processes in turn, servers and workers alternating, after pauses that depend on the seed alone."""

    def __init__(
        self,
        servers: Sequence[Process],
        workers: Sequence[Process],
        *,
        probe: Api,
        token: str,
        database: Database,
        seed: int,
        every_s: float,
    ) -> None:
        self._servers, self._workers = servers, workers
        self._probe, self._token, self._database = probe, token, database
        self._chance, self._every_s = random.Random(f"{seed}:kills"), every_s
        self._stopping = asyncio.Event()
        self.kills: list[Kill] = []

    def stop(self) -> None:
        """Kill nobody any more; what was killed is still waited for."""
        self._stopping.set()

    async def run(self) -> None:
        """Kill until `stop`. Raises ServerFailed where one ends by itself, or TimeoutError where none recovers."""
        for victim in itertools.cycle(self._in_turn()):
            pause_s = self._every_s * self._chance.uniform(0.5, 1.5)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                self.kills.append(await self._kill(victim))
            else:
                return

    def _in_turn(self) -> list[Process]:
        pairs = itertools.zip_longest(self._servers, self._workers)
        return [process for pair in pairs for process in pair if process is not None]

    async def _kill(self, victim: Process) -> Kill:
        for process in (*self._servers, *self._workers):
            if process.ended:
                raise ServerFailed(f"{process.name} ended by itself:\n{log_tail(process.log)}")
        pid, killed_at = victim.pid, time.monotonic()
        victim.kill()
        victim.start()
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            (served_s, returned_s), (in_flight, moved_s) = await asyncio.gather(
                self._back(victim, killed_at), self._moved(pid, killed_at)
            )
        return Kill(victim.name, served_s, returned_s, in_flight, moved_s)

    async def _back(self, victim: Process, killed_at: float) -> tuple[float | None, float | None]:
        if victim not in self._servers:
            return None, None
        waits = [self._answered(number, killed_at) for number in range(len(self._servers))]
        seconds = await asyncio.gather(*waits)
        return min(seconds), seconds[self._servers.index(victim)]

    async def _answered(self, server: int, killed_at: float) -> float:
        while True:
            answer = await self._probe.ask(PROBE, {}, token=self._token, server=server)
            if answer.outcome is Outcome.DONE:
                return answer.ended_at - killed_at
            await asyncio.sleep(PROBE_INTERVAL_S)

    async def _moved(self, pid: int, killed_at: float) -> tuple[int, float | None]:
        leases = await self._database.leases()
        held = {(job, owner) for job, owner in leases.items() if f":{pid}:" in owner}
        left = held
        while left:
            await asyncio.sleep(LEASE_INTERVAL_S)
            left &= (await self._database.leases()).items()
        return len(held), time.monotonic() - killed_at if held else None
