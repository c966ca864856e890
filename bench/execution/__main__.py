"""Processor time of one request inside the server: by graphql-core, by a plan, and by one with fragments of stations,
in turns within one process.

There is no network and no other server, so what differs is execution alone; `python -m bench` measures the whole.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson

from app import create_app
from bench.__main__ import prepare
from bench.databases import databases
from bench.dataset import Size
from bench.environments import Environments
from bench.operations import OPERATIONS, Operation, body_of, data_of
from kernel.settings import Settings
from schema.execution.executor import Executor

# Whether plans are compiled, and whether what is kept of stations is used.
WAYS = {"graphql-core": (False, False), "plan": (True, False), "fragments": (True, True)}
CONCURRENT = 8
SAMPLES_MAX = 200
SIZE = Size(stations=2_000, users=2_000, orders=20_000)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="youka-bench-") as name:
        folder = Path(name)
        environments, samples = Environments.create(folder), folder / "samples.json"
        data = prepare(SIZE, environments, samples)
        with databases(options.engine, data, folder, count=1, cores=None) as (url,):
            # An answer that is kept is not executed.
            executing = {"YOUKA_RESPONSE_CACHE_SIZE_MAX_BYTES": "0"}
            os.environ.update({**environments.common, **executing, "DATABASE_URL": url})
            found = asyncio.run(measure(options, orjson.loads(samples.read_bytes())))
    print(f"{'operation':<16}{'core µs':>10}{'plan µs':>10}{'ratio':>8}{'kept µs':>10}{'ratio':>8}")
    for title, by_way in found.items():
        core, plan, kept = (statistics.median(by_way[way]) for way in WAYS)
        print(f"{title:<16}{core:>10,.0f}{plan:>10,.0f}{core / plan:>7.2f}×{kept:>10,.0f}{core / kept:>7.2f}×")
    return 0


async def measure(options: argparse.Namespace, samples: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Return the microseconds of each round, by operation and way."""
    app = create_app(Settings())
    found: dict[str, dict[str, list[float]]] = {}
    async with app.router.lifespan_context(app):
        gc.collect()
        gc.freeze()
        assert app.house._graphql is not None
        schema, asked = app.house._schema, app.house._graphql._engine.executor
        fragments = asked._fragments
        executors = {
            way: Executor(
                schema.core, hide_suggestions=False, compiles=compiles, fragments_of=lambda context: context.fragments
            )
            for way, (compiles, _) in WAYS.items()
        }
        for name in options.operations:
            operation = OPERATIONS[name]
            requests = _requests(operation, samples[name])
            by_way: dict[str, list[float]] = {way: [] for way in WAYS}
            found[operation.title] = by_way
            for number in range(options.rounds + 1):
                for way, executor in executors.items():
                    schema.executor = executor
                    asked._fragments = fragments if WAYS[way][1] else None
                    spent = await _round(app, operation, requests, options.requests)
                    if number:
                        by_way[way].append(spent)
            if options.profile:
                await _profiled(app, operation, requests, options.requests)
    return found


async def _round(app: Any, operation: Operation, requests: Iterator[Any], count: int) -> float:
    begun = time.process_time()
    for _ in range(count // CONCURRENT):
        await asyncio.gather(*(_ask(app, operation, *next(requests)) for _ in range(CONCURRENT)))
    return (time.process_time() - begun) / (count // CONCURRENT * CONCURRENT) * 1e6


async def _profiled(app: Any, operation: Operation, requests: Iterator[Any], count: int) -> None:
    profile = cProfile.Profile()
    profile.enable()
    await _round(app, operation, requests, count)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def _requests(operation: Operation, samples: list[Any]) -> Iterator[tuple[Any, bytes, str | None]]:
    """Yield variables, bodies and tokens without end; a recharge's key is new each time."""
    for number, sample in enumerate(cycle(samples[:SAMPLES_MAX])):
        variables, token = sample["variables"], sample.get("token")
        if "input" in variables:
            variables = {"input": variables["input"] | {"idempotencyKey": f"inside-{number:012}"}}
        yield variables, body_of(operation, variables), token


async def _ask(app: Any, operation: Operation, variables: Any, body: bytes, token: str | None) -> None:
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"accept", b"application/json")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/graphql", "raw_path": b"/graphql", "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    data_of(operation, variables, sent[0]["status"], sent[1]["body"])


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.execution", description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--operations", nargs="+", choices=tuple(OPERATIONS), default=list(OPERATIONS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; the median counts")
    parser.add_argument("--requests", type=int, default=160, help="how many requests there are in a round")
    parser.add_argument("--profile", action="store_true", help="print where the time of a plan's requests goes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
