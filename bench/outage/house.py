"""A server and the sandbox as processes, on a fresh embedded database with the demo stations."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.processes import HOST, ROOT, Process, answers
from models.database import migrate
from tests.services import find_free_port

STATIONS = ROOT / "jobs" / "demo_data" / "stations.geojson"


@dataclass(frozen=True, slots=True)
class House:
    server_url: str
    sandbox_url: str


@contextmanager
def opened(folder: Path) -> Iterator[House]:
    """Start everything below the folder; leaving stops it. Raises ServerFailed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_") and name != "REDIS_URL"}
    port, sandbox_port = find_free_port(), find_free_port()
    environment = {
        **own,
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite://{folder / 'youka.db'}",
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "YOUKA_LOG_LEVEL": "ERROR",
        "YOUKA_RATE_LIMIT_FACTOR": "1000000",
    }
    asyncio.run(migrate(environment["DATABASE_URL"]))
    command = [sys.executable, "-m", "jobs", "import-stations", str(STATIONS)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        for name, its_port, path in (("sandbox", sandbox_port, "/healthz"), ("app", port, "/readyz")):
            log = stack.enter_context((folder / f"{name}.log").open("w+b"))
            process = Process(name, name, environment, log)
            process.start()
            stack.callback(process.stop)
            process.wait_until(partial(answers, its_port, path))
        yield House(f"http://{HOST}:{port}", f"http://{HOST}:{sandbox_port}")
