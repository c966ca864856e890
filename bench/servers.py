"""The two servers under measurement as processes, and the load generator; all of them end with the benchmark."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import orjson

from bench.load import Measured, Plan
from bench.machine import move, running_on
from tests.services import find_free_port

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0
POLL_INTERVAL_S = 0.02
LOG_TAIL_MAX_BYTES = 4_000

# The pipe to the process closes when the benchmark ends, in whatever way, and takes the process along.
GUARDED = """
import os, runpy, signal, sys, threading
def guard():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=guard, daemon=True).start()
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


class ServerFailed(RuntimeError):
    """A process of the benchmark did not start, or did not last; the message carries the end of its log."""


class LoadFailed(RuntimeError):
    """The load generator met an answer that is wrong, or none; nothing was measured."""


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    port: int
    pid: int
    log: IO[bytes]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def log_tail(self) -> str:
        # Reading at a position leaves alone the offset at which the server writes.
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), LOG_TAIL_MAX_BYTES, max(0, size - LOG_TAIL_MAX_BYTES)).decode(
            errors="replace"
        )


@contextmanager
def serving(
    modules: Mapping[str, str], environments: Mapping[str, Mapping[str, str]], *, cores: frozenset[int] | None
) -> Iterator[dict[str, Server]]:
    """Run `python -m module` for each name until the context ends, from when all are ready. Raises ServerFailed."""
    with ExitStack() as stack:
        started = {name: _start(stack, name, module, environments[name]) for name, module in modules.items()}
        for server, process in started.values():
            _wait_until_ready(server, process)
            # They start anywhere, so that one core need not do it all, and are measured where they belong.
            move(server.pid, cores)
        yield {name: server for name, (server, _) in started.items()}


def _start(
    stack: ExitStack, name: str, module: str, environment: Mapping[str, str]
) -> tuple[Server, subprocess.Popen[bytes]]:
    log, port = tempfile.TemporaryFile(), find_free_port()  # noqa: SIM115 -- the stack closes it.
    stack.callback(log.close)
    process = subprocess.Popen(
        [sys.executable, "-c", GUARDED, module],
        cwd=ROOT,
        env={**environment, "PORT": str(port)},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for the benchmark, which then ends its servers in order.
        start_new_session=True,
    )
    stack.callback(_stop, process)
    return Server(name, port, process.pid, log), process


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while not _ready(server.port):
        if process.poll() is not None:
            raise ServerFailed(f"{server.name} ended with exit code {process.returncode}:\n{server.log_tail()}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{server.name} was not ready within {START_WITHIN_S:.0f} s:\n{server.log_tail()}")
        time.sleep(POLL_INTERVAL_S)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Generator:
    """The load generator's process. It waits for plans on its standard input and ends with it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, plan: Plan) -> Measured:
        """Raises LoadFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(orjson.dumps(asdict(plan)) + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise LoadFailed(f"the load generator is gone: {error}") from error
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed(f"the load generator ended with exit code {self._process.wait()}")
        answer = orjson.loads(line)
        if "error" in answer:
            raise LoadFailed(f"{plan.operation}, {plan.connections} connections: {answer['error']}")
        return Measured(**answer["measured"])


@contextmanager
def generating(cores: frozenset[int] | None) -> Iterator[Generator]:
    with running_on(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        yield Generator(process)
    finally:
        assert process.stdout is not None
        # A measurement under way is of no use to anybody any more.
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
        process.stdout.close()
