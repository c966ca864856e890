"""One database engine at one size: all servers up, their answers compared, every cell measured in turns, and every
recharge found again."""

from __future__ import annotations

import secrets
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from bench import answers
from bench.databases import written
from bench.environments import Environments
from bench.load import Measured, Plan
from bench.machine import running_on
from bench.operations import OPERATIONS
from bench.options import Options
from bench.processes import HOST
from bench.servers import Command, Generator, LoadFailed, Server, Start, serving
from bench.subjects import Subject
from tests.services import start_redis

METRICS = (
    "requests_per_s", "p50_ms", "p99_ms", "cpu_us", "server_busy", "generator_busy", "requests", "peak_rss_mib",
)  # fmt: skip
KEY_PREFIX_BYTES = 6
SETTLING_CONNECTIONS = 8


class OrdersLost(Exception):
    """There are not exactly as many orders as were acknowledged."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """`times` says how many times the first size the data is."""

    engine: str
    times: int
    operation: str
    connections: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part of a run needs. `progress` is told of each measurement before it begins."""

    options: Options
    generator: Generator
    environments: Environments
    commands: Mapping[str, Command]
    server_cores: frozenset[int] | None
    other_cores: frozenset[int] | None
    progress: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Databases:
    """Equal databases by the names of their servers, the engine, the size, and the requests that fit them."""

    engine: str
    times: int
    urls: Mapping[str, str]
    samples: Path

    @property
    def name(self) -> str:
        return self.engine if self.times == 1 else f"{self.engine}, {self.times}×"


Results = dict[Cell, dict[str, list[Measured]]]


def run_databases(bench: Bench, data: Databases, subjects: Sequence[Subject]) -> tuple[Results, dict[str, Any]]:
    """Return what was measured by cell and server, and what was verified by server.

    Raises ServerFailed, LoadFailed, AnswersDiffer, AnswerWrong, OrdersLost, or what the services raise.
    """
    before = {name: written(url) for name, url in data.urls.items()}
    bench.progress(f"{data.name}: starting {len(subjects)} servers")
    with ExitStack() as stack:
        starts = [_start(stack, bench, data, each) for each in subjects]
        servers = stack.enter_context(serving(starts, cores=bench.server_cores))
        bench.progress(f"{data.name}: comparing their answers")
        samples = orjson.loads(data.samples.read_bytes())
        compared = answers.compare(list(servers.values()), samples, per_operation=bench.options.compared)
        shown = answers.require_shown(list(servers.values()), samples)
        acknowledged = dict.fromkeys(data.urls, compared + shown)
        _settle(bench, data, servers, acknowledged)
        results = _measure(bench, data, servers)
    for cell, by_server in results.items():
        for name, measured in by_server.items():
            if cell.operation == "recharge":
                acknowledged[name] += sum(one.acknowledged for one in measured)
    bench.progress(f"{data.name}: counting orders")
    verified = {
        name: require_all_written(name, before[name], written(url), acknowledged=acknowledged[name])
        for name, url in data.urls.items()
    }
    return results, verified


def _start(stack: ExitStack, bench: Bench, data: Databases, subject: Subject) -> Start:
    redis_url = ""
    if subject.is_ours and data.engine == "postgres":
        # One for each way of running it, since what is published reaches every database of a Redis.
        with running_on(bench.other_cores):
            redis = start_redis()
        stack.callback(redis.stop)
        redis_url = redis.url
    environment = bench.environments.of(subject, database_url=data.urls[subject.name], redis_url=redis_url)
    return Start(subject.name, bench.commands[subject.name], environment)


def _settle(bench: Bench, data: Databases, servers: Mapping[str, Server], acknowledged: dict[str, int]) -> None:
    """Ask for everything for a while and count nothing but the recharges: compilers in the servers have work to do."""
    if bench.options.settle_s == 0:
        return
    bench.progress(f"{data.name}: letting the servers settle")
    for operation in OPERATIONS:
        for name, server in servers.items():
            plan = _plan(bench, data, server, operation, SETTLING_CONNECTIONS, seed=-1)
            measured = _run(bench.generator, replace(plan, warmup_s=0, seconds=bench.options.settle_s), server)
            if operation == "recharge":
                acknowledged[name] += measured.acknowledged


def _measure(bench: Bench, data: Databases, servers: Mapping[str, Server]) -> Results:
    """All servers take turns in every cell, so that what slows the machine for a while slows all of them."""
    options, names = bench.options, list(servers)
    results: Results = defaultdict(lambda: defaultdict(list))
    for number in range(options.rounds):
        first = number % len(names)
        for operation in OPERATIONS:
            for connections in options.connections:
                cell = Cell(data.engine, data.times, operation, connections)
                bench.progress(
                    f"{data.name}: round {number + 1} of {options.rounds}, {operation}, {connections} connections"
                )
                # Whoever goes first meets what the cell before has left behind, so they take turns in that as well.
                for name in [*names[first:], *names[:first]]:
                    plan = _plan(bench, data, servers[name], operation, connections, seed=number)
                    results[cell][name].append(_run(bench.generator, plan, servers[name]))
    return results


def _plan(bench: Bench, data: Databases, server: Server, operation: str, connections: int, *, seed: int) -> Plan:
    return Plan(
        operation=operation,
        host=HOST,
        port=server.port,
        pid=server.pid,
        samples=str(data.samples),
        connections=connections,
        warmup_s=bench.options.warmup_s,
        seconds=bench.options.seconds,
        key_prefix=secrets.token_hex(KEY_PREFIX_BYTES),
        seed=seed,
    )


def _run(generator: Generator, plan: Plan, server: Server) -> Measured:
    try:
        return generator.run(plan)
    except LoadFailed as error:
        raise LoadFailed(f"{server.name}, {error}\n{server.log_tail()}") from error


def require_all_written(
    name: str, before: Mapping[str, int], after: Mapping[str, int], *, acknowledged: int
) -> dict[str, int]:
    """Return how many rows each table has gained. Raises OrdersLost where that is not what was acknowledged."""
    rows = {table: after[table] - before[table] for table in before}
    if set(rows.values()) != {acknowledged}:
        raise OrdersLost(f"{name} acknowledged {acknowledged} recharges and wrote {rows}")
    return {"acknowledged": acknowledged, **rows}


def medians(measured: list[Measured]) -> dict[str, float]:
    return {metric: statistics.median(getattr(one, metric) for one in measured) for metric in METRICS}
