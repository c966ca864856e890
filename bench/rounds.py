"""One engine: both servers up, their answers compared, every cell measured in turns, and every recharge found again."""

from __future__ import annotations

import secrets
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import answers
from bench.databases import written
from bench.load import Measured, Plan
from bench.operations import OPERATIONS
from bench.options import Options
from bench.processes import HOST
from bench.servers import Generator, LoadFailed, Server, serving

OURS, BASELINE = "youka", "baseline"
MODULES = {OURS: "app", BASELINE: "bench.baseline"}
METRICS = ("requests_per_s", "p50_ms", "p99_ms", "cpu_us", "server_busy", "generator_busy", "requests")
KEY_PREFIX_BYTES = 6


class OrdersLost(Exception):
    """There are not exactly as many orders as were acknowledged."""


@dataclass(frozen=True, slots=True)
class Cell:
    engine: str
    operation: str
    connections: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part of a run needs. `progress` is told of each measurement before it begins."""

    options: Options
    generator: Generator
    samples: Path
    environment: Mapping[str, str]
    server_cores: frozenset[int] | None
    progress: Callable[[str], None]


Results = dict[Cell, dict[str, list[Measured]]]


def run_engine(bench: Bench, engine: str, urls: Mapping[str, str]) -> tuple[Results, dict[str, Any]]:
    """Return what was measured by cell and server, and what was verified by server.

    Raises ServerFailed, LoadFailed, AnswersDiffer, AnswerWrong or OrdersLost.
    """
    before = {name: written(url) for name, url in urls.items()}
    environments = {name: {**bench.environment, "DATABASE_URL": url} for name, url in urls.items()}
    bench.progress(f"{engine}: starting both servers")
    with serving(MODULES, environments, cores=bench.server_cores) as servers:
        bench.progress(f"{engine}: comparing their answers")
        samples = orjson.loads(bench.samples.read_bytes())
        compared = answers.compare((servers[OURS], servers[BASELINE]), samples, per_operation=bench.options.compared)
        results = _measure(bench, engine, servers)
    acknowledged = dict.fromkeys(MODULES, compared)
    for cell, by_server in results.items():
        for name, measured in by_server.items():
            if cell.operation == "recharge":
                acknowledged[name] += sum(one.acknowledged for one in measured)
    bench.progress(f"{engine}: counting orders")
    verified = {
        name: require_all_written(name, before[name], written(urls[name]), acknowledged=acknowledged[name])
        for name in urls
    }
    return results, verified


def _measure(bench: Bench, engine: str, servers: Mapping[str, Server]) -> Results:
    """Both servers take turns in every cell, so that what slows the machine for a while slows both."""
    options = bench.options
    results: Results = defaultdict(lambda: defaultdict(list))
    for number in range(options.rounds):
        for operation in OPERATIONS:
            for connections in options.connections:
                cell = Cell(engine, operation, connections)
                bench.progress(
                    f"{engine}: round {number + 1} of {options.rounds}, {operation}, {connections} connections"
                )
                for name, server in servers.items():
                    plan = Plan(
                        operation=operation,
                        host=HOST,
                        port=server.port,
                        pid=server.pid,
                        samples=str(bench.samples),
                        connections=connections,
                        warmup_s=options.warmup_s,
                        seconds=options.seconds,
                        key_prefix=secrets.token_hex(KEY_PREFIX_BYTES),
                        seed=number,
                    )
                    results[cell][name].append(_run(bench.generator, plan, server))
    return results


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
