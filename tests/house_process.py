"""The running house as its users see it: server, worker and sandbox as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.processes import answers
from tests.sandbox_fixtures import Sandbox
from tests.services import find_free_port

ROOT = Path(__file__).resolve().parent.parent
HEALTHY_WITHIN_S = 90.0
STOP_WITHIN_S = 45.0


class Process:
    """One of our modules as a process, with its output in a file."""

    def __init__(self, module: str, environment: dict[str, str], log: Path) -> None:
        self._module, self._environment, self.log = module, environment, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_")}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**kept, **self._environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """End it the way a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self._module} did not stop:\n{self.tail()}") from None
        return self._process.returncode

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-6_000:]


class RunningHouse:
    """A server, and a worker of its own where the database is not embedded."""

    def __init__(self, folder: Path, sandbox: Sandbox, **environment: str) -> None:
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sandbox = sandbox
        self.environment = {
            "PORT": str(self.port),
            "SANDBOX_PORT": str(sandbox.port),
            "DATA_DIR": str(sandbox.data_dir),
            "YOUKA_URL": self.url,
            "YOUKA_SANDBOX_URL": sandbox.url,
            **environment,
        }
        self.server = Process("app", self.environment, folder / "server.log")
        self.worker = Process("jobs", self.environment, folder / "worker.log")

    def start(self, *, worker: bool) -> None:
        self.server.start()
        if worker:
            self.worker.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while not self._ready():
            assert not self.server.ended, self.server.tail()
            assert time.monotonic() < deadline, self.server.tail()
            time.sleep(0.02)

    def _ready(self) -> bool:
        # A client of httpx would read the certificates of all authorities each time, 50 ms of what the server needs.
        return answers(self.port, "/readyz")

    def client(self, module: str, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one of the clients against this house."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def token(self, user: str = "demo") -> str:
        done = self.client("clients.token", user)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, query: str, variables: dict[str, Any] | None = None, *, token: str = "", **headers: str) -> Any:
        """POST an operation and return status and body."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = {"query": query, "variables": variables or {}}
        answer = httpx.post(f"{self.url}/graphql", json=body, headers=headers, trust_env=False, timeout=30)
        return answer.status_code, answer.json()


@contextmanager
def running(folder: Path, sandbox: Sandbox, *, worker: bool, **environment: str) -> Iterator[RunningHouse]:
    house = RunningHouse(folder, sandbox, **environment)
    try:
        house.start(worker=worker)
        yield house
    finally:
        for process in (house.server, house.worker):
            if not process.ended:
                process.kill()
