"""The load generator, a process of its own: `python -m bench.load`.

It reads a plan on each line of standard input and answers each with a line: what was measured, or what went wrong. The
load is closed: every connection sends its next request when the answer to the one before has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.client import Connection, ConnectionBroken, encode
from bench.machine import CpuTimeUnknown, cpu_seconds, forget_peak, peak_rss_mib
from bench.operations import KEY_LENGTH, KEY_MARK, OPERATIONS, AnswerWrong, Operation, Variables, body_of, data_of

PATH = "/graphql"
OVERTIME_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One cell of the benchmark. `samples` is a file that `dataset.write_samples` wrote."""

    operation: str
    host: str
    port: int
    pid: int
    samples: str
    connections: int
    warmup_s: float
    seconds: float
    key_prefix: str
    seed: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`acknowledged` counts the warm-up's good answers too; `peak_rss_mib` is 0 where the system does not tell."""

    requests: int
    acknowledged: int
    seconds: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    server_busy: float
    generator_busy: float
    peak_rss_mib: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Clocks at one moment: the wall's, the server's CPU and this process's CPU."""

    wall_s: float
    server_s: float
    generator_s: float

    @classmethod
    def now(cls, pid: int) -> Usage:
        return cls(time.perf_counter(), cpu_seconds(pid), time.process_time())


class Requests:
    """Hands out prepared requests for ever, in an order that depends on the seed alone."""

    def __init__(self, plan: Plan, operation: Operation) -> None:
        samples: list[dict[str, Any]] = orjson.loads(Path(plan.samples).read_bytes())[operation.name]
        random.Random(plan.seed).shuffle(samples)
        self._keys = _keys(plan.key_prefix)
        self._prepared = itertools.cycle(
            [
                (
                    encode(
                        host=plan.host,
                        port=plan.port,
                        path=PATH,
                        token=sample["token"],
                        body=body_of(operation, sample["variables"]),
                    ),
                    sample["variables"],
                )
                for sample in samples
            ]
        )

    def next(self) -> tuple[bytes, Variables]:
        encoded, variables = next(self._prepared)
        if KEY_MARK.encode() in encoded:
            encoded = encoded.replace(KEY_MARK.encode(), next(self._keys))
        return encoded, variables


def _keys(prefix: str) -> Iterator[bytes]:
    for number in itertools.count():
        yield f"{prefix}-{number:x}".rjust(KEY_LENGTH, "0").encode("ascii")


def percentile(ordered: list[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    assert ordered
    assert 0 < share <= 1
    return ordered[math.ceil(share * len(ordered)) - 1]


async def measure(plan: Plan) -> Measured:
    """Raises AnswerWrong, ConnectionBroken, CpuTimeUnknown, OSError or TimeoutError: then nothing is measured.

    The clocks run from the first request to the last answer and nothing is under way at either end. Were they stopped
    in the middle, a slow server would be charged for work whose answers were not counted.
    """
    operation = OPERATIONS[plan.operation]
    requests = Requests(plan, operation)
    async with asyncio.timeout(plan.warmup_s + plan.seconds + OVERTIME_MAX_S), contextlib.AsyncExitStack() as stack:
        connections = []
        for _ in range(plan.connections):
            connection = await Connection.open(plan.host, plan.port)
            stack.callback(connection.close)
            connections.append(connection)
        # Pauses of the collector would count as latency of the server; what is made here has no cycles.
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        warmup = await _send_for(plan.warmup_s, connections, operation, requests)
        forget_peak(plan.pid)
        begun = Usage.now(plan.pid)
        latencies_s = await _send_for(plan.seconds, connections, operation, requests)
        ended = Usage.now(plan.pid)
        peak = peak_rss_mib(plan.pid)
    return _summary(latencies_s, begun, ended, acknowledged=len(warmup) + len(latencies_s), peak=peak)


async def _send_for(
    seconds: float, connections: list[Connection], operation: Operation, requests: Requests
) -> list[float]:
    """Keep every connection asking until the time is up, but at least once, and return how long each answer took."""
    latencies_s: list[float] = []
    deadline = time.perf_counter() + seconds

    async def send(connection: Connection) -> None:
        answered = 0.0
        while answered < deadline:
            encoded, variables = requests.next()
            begun = time.perf_counter()
            status, body = await connection.request(encoded)
            answered = time.perf_counter()
            latencies_s.append(answered - begun)
            data_of(operation, variables, status, body)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(send(connection))
    return latencies_s


def _summary(latencies_s: list[float], begun: Usage, ended: Usage, *, acknowledged: int, peak: float) -> Measured:
    ordered = sorted(latencies_s)
    seconds, server_s = ended.wall_s - begun.wall_s, ended.server_s - begun.server_s
    return Measured(
        requests=len(ordered),
        acknowledged=acknowledged,
        seconds=seconds,
        requests_per_s=len(ordered) / seconds,
        p50_ms=percentile(ordered, 0.5) * 1000,
        p99_ms=percentile(ordered, 0.99) * 1000,
        cpu_us=server_s / len(ordered) * 1_000_000,
        server_busy=server_s / seconds,
        generator_busy=(ended.generator_s - begun.generator_s) / seconds,
        peak_rss_mib=peak,
    )


def _reasons(error: BaseException) -> str:
    """Return what went wrong; a group of connections that failed alike says it once."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(_reasons(one) for one in error.exceptions))
    return str(error) or type(error).__name__


def run(plan: Plan) -> Measured:
    """Measure on the fastest event loop there is."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 -- uvicorn brings it along, but not on every system.
    except ImportError:
        return asyncio.run(measure(plan))
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(measure(plan))


def main() -> int:
    for line in sys.stdin.buffer:
        try:
            answer: dict[str, Any] = {"measured": asdict(run(Plan(**orjson.loads(line))))}
        except* (AnswerWrong, ConnectionBroken, CpuTimeUnknown, OSError, TimeoutError) as error:
            answer = {"error": _reasons(error)}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
