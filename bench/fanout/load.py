"""One cell: connect, see that everybody is subscribed, offer a load, and count what arrives and when."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.fanout.sockets import ClientFailed, Counts, Socket, close, connect
from bench.fanout.wire import PUBLISH_PATH
from bench.machine import cpu_seconds
from bench.processes import HOST

SETTLED_WITHIN_S = 60.0
# A server that delivers nothing for so long will deliver nothing more of it.
SILENCE_S = 10.0
LOOK_INTERVAL_S = 0.05
PAGE_KIB = 4


@dataclass(frozen=True, slots=True)
class Target:
    """A server under measurement: where it listens, and its processes."""

    name: str
    ports: tuple[int, ...]
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What one load has shown; latency is from publishing an event to its receipt by one client."""

    offered_per_s: float
    delivered_per_s: float
    delivered: int
    expected: int
    p50_ms: float
    p99_ms: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Cell:
    sockets: int
    kib_per_connection: float
    connected_in_s: float
    quiet: Load
    busy: Load


class Publisher:
    """Publishes at the first port, never waiting for an answer before the next event is due."""

    def __init__(self, target: Target, http: httpx.AsyncClient, counts: Counts) -> None:
        self._url = f"http://{HOST}:{target.ports[0]}{PUBLISH_PATH}"
        self._http, self._counts = http, counts
        self._next = 0
        self._under_way: set[asyncio.Task[None]] = set()

    def publish(self) -> None:
        number = self._next
        self._next += 1
        self._counts.published[number] = time.perf_counter()
        task = asyncio.create_task(self._send(number))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def finish(self) -> None:
        await asyncio.gather(*self._under_way)

    async def _send(self, number: int) -> None:
        answer = await self._http.post(self._url, json={"number": number})
        answer.raise_for_status()


async def measure(target: Target, *, sockets: int, loads_per_s: tuple[int, int], seconds: float) -> Cell:
    """Raises ClientFailed, or httpx.HTTPError where the server does not take an event."""
    counts = Counts()
    async with httpx.AsyncClient(trust_env=False, timeout=SETTLED_WITHIN_S * 2) as http:
        publisher = Publisher(target, http, counts)
        first = await connect(target.ports, len(target.ports), counts)
        await _settle(first, publisher, counts)
        before = memory_kib(target.pids)
        begun = time.perf_counter()
        clients = [*first, *await connect(target.ports, sockets - len(first), counts)]
        connected_in_s = time.perf_counter() - begun
        try:
            await _settle(clients, publisher, counts)
            kib = (memory_kib(target.pids) - before) / max(1, sockets - len(first))
            gc.collect()
            gc.disable()
            quiet = await _offer(target, clients, publisher, counts, loads_per_s[0], seconds)
            busy = await _offer(target, clients, publisher, counts, loads_per_s[1], seconds)
        finally:
            gc.enable()
            close(clients, counts)
    return Cell(sockets, kib, connected_in_s, quiet, busy)


async def _settle(sockets: Sequence[Socket], publisher: Publisher, counts: Counts) -> None:
    """Publish until each socket has received something: no message of the protocol says that a subscription runs."""
    waiting = list(sockets)
    async with asyncio.timeout(SETTLED_WITHIN_S):
        while waiting:
            publisher.publish()
            await publisher.finish()
            await _silence(counts, expected=None, silence_s=1.0)
            waiting = [each for each in waiting if each.deliveries == 0]


async def _offer(
    target: Target, sockets: Sequence[Socket], publisher: Publisher, counts: Counts, per_s: int, seconds: float
) -> Load:
    interval_s = len(sockets) / per_s
    events = max(2, round(seconds / interval_s))
    counts.begin()
    cpu = sum(cpu_seconds(pid) for pid in target.pids)
    begun = time.perf_counter()
    for number in range(events):
        await asyncio.sleep(max(0.0, begun + number * interval_s - time.perf_counter()))
        publisher.publish()
    expected = events * len(sockets)
    await _silence(counts, expected=expected, silence_s=SILENCE_S)
    await publisher.finish()
    if counts.failure:
        raise ClientFailed(counts.failure)
    cpu = sum(cpu_seconds(pid) for pid in target.pids) - cpu
    points = statistics.quantiles(counts.latencies_s, n=100)
    return Load(
        offered_per_s=per_s,
        delivered_per_s=counts.received / max(seconds, counts.last_at - begun),
        delivered=counts.received,
        expected=expected,
        p50_ms=points[49] * 1e3,
        p99_ms=points[98] * 1e3,
        cpu_us=cpu / max(1, counts.received) * 1e6,
    )


async def _silence(counts: Counts, *, expected: int | None, silence_s: float) -> None:
    """Return once everything that is expected has come, or nothing has for a while."""
    seen, since = counts.received, time.perf_counter()
    while (expected is None or counts.received < expected) and not counts.failure:
        await asyncio.sleep(LOOK_INTERVAL_S)
        if counts.received != seen:
            seen, since = counts.received, time.perf_counter()
        elif time.perf_counter() - since > silence_s:
            return


def memory_kib(pids: Sequence[int]) -> float:
    """Return what the processes hold in memory of their own (https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)."""
    total = 0.0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace")
        total += next(float(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
    return total
