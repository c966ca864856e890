"""A server on a PostgreSQL of its own, with the sandbox beside it; both end with the run."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.databases import DURABLE
from bench.processes import HOST, Process, answers
from jobs.imports import load_demo_data
from models.database import connected, migrate
from tests.services import find_free_port, start_postgres

LIMITLESS = 1_000_000
# Phones and the platform are other machines. Here they share the cores with the server, so they step back for it.
NICER_BY = 5


@dataclass(frozen=True, slots=True)
class House:
    url: str
    sandbox_url: str


@contextmanager
def opened(folder: Path) -> Iterator[House]:
    """Raises ServerFailed, services.ServiceFailed or services.ServiceUnavailable."""
    with ExitStack() as stack:
        service = start_postgres(DURABLE)
        stack.callback(service.stop)
        asyncio.run(_prepared(service.url))
        port, sandbox_port = find_free_port(), find_free_port()
        environment = _environment(folder, service.url, port, sandbox_port)
        for name, module, path, at in (
            ("sandbox", "sandbox", "/healthz", sandbox_port),
            ("server", "app", "/readyz", port),
        ):
            log = stack.enter_context(tempfile.TemporaryFile())
            process = Process(name, module, environment, log)
            stack.callback(process.stop)
            process.start()
            if name == "sandbox":
                step_back(process.pid)
            process.wait_until(partial(answers, at, path))
        yield House(f"http://{HOST}:{port}", f"http://{HOST}:{sandbox_port}")


def step_back(pid: int) -> None:
    """Let a process run when what is measured does not want to."""
    os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + NICER_BY)


async def _prepared(url: str) -> None:
    await migrate(url)
    async with connected(url):
        await load_demo_data()


def _environment(folder: Path, database_url: str, port: int, sandbox_port: int) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_") and name != "REDIS_URL"}
    return {
        "PYTHONPYCACHEPREFIX": str(Path(sys.prefix) / "pycache"),
        **own,
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "YOUKA_WORKER_IN_SERVER": "false",
        "YOUKA_LOG_LEVEL": "WARNING",
        # Each client is one user, who signs in again and again.
        "YOUKA_SESSIONS_PER_USER_MAX": str(LIMITLESS),
        "YOUKA_RATE_LIMIT_FACTOR": str(LIMITLESS),
    }
