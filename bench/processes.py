"""Modules of the project as processes that end with the benchmark, and that may be killed and started again before."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_WITHIN_S = 60.0
STOP_WITHIN_S = 15.0
POLL_INTERVAL_S = 0.02
ANSWER_WITHIN_S = 2.0
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
GUARDED_PYTHON = (sys.executable, "-c", GUARDED)


class ServerFailed(RuntimeError):
    """A process of the benchmark did not start, or did not last; the message carries the end of its log."""


class Process:
    """`python -m module`, or another program, which then has to end with its standard input by itself.

    What it says goes into `log`, which belongs to the caller and outlives every start.
    """

    def __init__(
        self,
        name: str,
        module: str,
        environment: Mapping[str, str],
        log: IO[bytes],
        *,
        program: Sequence[str] = GUARDED_PYTHON,
    ) -> None:
        self.name, self.log = name, log
        self._command, self._environment = [*program, module], dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        assert self.ended, f"{self.name} runs already"
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the benchmark, which then ends its processes in order.
            start_new_session=True,
        )

    def kill(self) -> None:
        """End it the way a power cut does (`kill -9`)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._close_pipe()

    def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        if self._process is None:
            return
        self._close_pipe()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return once `ready` says so. Raises ServerFailed where the process ends first, or takes too long."""
        assert self._process is not None
        deadline = time.monotonic() + START_WITHIN_S
        while not ready():
            if self.ended:
                code = self._process.returncode
                raise ServerFailed(f"{self.name} ended with exit code {code}:\n{log_tail(self.log)}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} was not ready within {START_WITHIN_S:.0f} s:\n{log_tail(self.log)}")
            time.sleep(POLL_INTERVAL_S)

    def _close_pipe(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()


def answers(port: int, path: str) -> bool:
    """Return whether a GET on loopback is answered with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def log_tail(log: IO[bytes]) -> str:
    # Reading at a position leaves alone the offset at which the process writes.
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), LOG_TAIL_MAX_BYTES, max(0, size - LOG_TAIL_MAX_BYTES)).decode(errors="replace")
