"""The servers under measurement, each started alone, on a core of its own where there are enough."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from bench.fanout.load import Target
from bench.fanout.wire import FIRST_MILLIYUAN, PUBLISH_PATH, READY_PATH, SOURCE
from bench.machine import Placement, move, running_on
from bench.npm import installed, node
from bench.processes import ROOT, Process, answers
from sandbox.keys import load_or_create
from tests.services import find_free_port, start_postgres, start_redis

ON_NODE = {"node": "fanout-graphql-ws.mjs", "mercurius": "fanout-mercurius.mjs"}
RUN_AS_SERVER = {
    "YOUKA_WORKER_IN_SERVER": "false",
    "YOUKA_LOG_LEVEL": "WARNING",
    "YOUKA_RATE_LIMIT_FACTOR": "1000000",
}


@contextmanager
def serving(subject: str, place: Placement) -> Iterator[Target]:
    """Run one subject until the context ends. Raises ServerFailed, PeerUnavailable and what the services raise."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="youka-fanout-")))
        log = stack.enter_context(tempfile.TemporaryFile())
        if subject in ON_NODE:
            yield _node(stack, subject, log, place)
        elif subject == "strawberry":
            yield _started(stack, "strawberry", ["bench.fanout.plain"], _environment(folder), log, place)
        elif subject == "youka":
            yield _started(stack, "youka", ["bench.fanout.subject"], _environment(folder), log, place)
        else:
            assert subject == "youka-2"
            yield _pair(stack, folder, log, place)


def _environment(folder: Path) -> dict[str, str]:
    """Return the settings of a server; those of the caller would make two runs differ."""
    load_or_create(folder / "sandbox" / "keys")
    own = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_")}
    for name in ("REDIS_URL", "DATABASE_URL"):
        own.pop(name, None)
    return {**own, **RUN_AS_SERVER, "DATA_DIR": str(folder), "DATABASE_URL": f"sqlite://{folder / 'youka.db'}"}


def _pair(stack: ExitStack, folder: Path, log: IO[bytes], place: Placement) -> Target:
    """Two server processes on PostgreSQL behind Redis; nothing is pinned, since everything together needs all cores."""
    with running_on(place.others):
        postgres, redis = start_postgres(), start_redis()
    stack.callback(postgres.stop)
    stack.callback(redis.stop)
    environment = {**_environment(folder), "DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
    nowhere = Placement(server=None, others=None)
    return _started(stack, "youka-2", ["bench.fanout.subject"] * 2, environment, log, nowhere)


def _started(
    stack: ExitStack, name: str, modules: list[str], environment: dict[str, str], log: IO[bytes], place: Placement
) -> Target:
    if name != "strawberry":
        subprocess.run([sys.executable, "-m", "models.database"], cwd=ROOT, env=environment, check=True)
    ports, processes = [], []
    for module in modules:
        port = find_free_port()
        process = Process(name, module, {**environment, "PORT": str(port)}, log)
        process.start()
        stack.callback(process.stop)
        process.wait_until(partial(answers, port, READY_PATH))
        move(process.pid, place.server)
        ports.append(port)
        processes.append(process)
    return Target(name, tuple(ports), tuple(process.pid for process in processes))


def _node(stack: ExitStack, name: str, log: IO[bytes], place: Placement) -> Target:
    program = installed() / ON_NODE[name]
    port = find_free_port()
    environment = {
        **os.environ,
        "PORT": str(port),
        "FIRST_MILLIYUAN": str(FIRST_MILLIYUAN),
        "SOURCE": SOURCE,
        "READY_PATH": READY_PATH,
        "PUBLISH_PATH": PUBLISH_PATH,
        "NODE_ENV": "production",
    }
    process = Process(name, str(program), environment, log, program=(node(),))
    process.start()
    stack.callback(process.stop)
    process.wait_until(partial(answers, port, READY_PATH))
    move(process.pid, place.server)
    return Target(name, (port,), (process.pid,))
