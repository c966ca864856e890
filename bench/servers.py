"""The servers under measurement as processes, and the load generator; all of them end with the benchmark."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import IO

import orjson

from bench.load import Measured, Plan
from bench.machine import move, running_on
from bench.npm import PeerUnavailable, installed, node
from bench.processes import GUARDED_PYTHON, HOST, ROOT, Process, answers, log_tail
from bench.subjects import Subject
from tests.services import find_free_port


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
        return log_tail(self.log)


@dataclass(frozen=True, slots=True)
class Command:
    """A module of the project, or a file for another interpreter."""

    module: str
    program: Sequence[str] = GUARDED_PYTHON


@dataclass(frozen=True, slots=True)
class Start:
    """How a server is started: its name, what it runs, and its environment."""

    name: str
    command: Command
    environment: Mapping[str, str]


def command_of(subject: Subject) -> Command:
    """Return what starts the server; packages of others are installed first. Raises PeerUnavailable."""
    if subject.on_node:
        return Command(str(installed() / subject.program), (node(),))
    if subject.name == "ariadne" and find_spec("ariadne") is None:
        raise PeerUnavailable("needs the package ariadne, which the development dependencies name")
    return Command(subject.program)


@contextmanager
def serving(starts: Sequence[Start], *, cores: frozenset[int] | None) -> Iterator[dict[str, Server]]:
    """Run a server for each of them until the context ends, from when all are ready. Raises ServerFailed."""
    with ExitStack() as stack:
        started = [_start(stack, each) for each in starts]
        for server, process in started:
            process.wait_until(partial(answers, server.port, "/readyz"))
            # They start anywhere, so that one core need not do it all, and are measured where they belong.
            move(server.pid, cores)
        yield {server.name: server for server, _ in started}


def _start(stack: ExitStack, start: Start) -> tuple[Server, Process]:
    log = tempfile.TemporaryFile()  # noqa: SIM115 -- the stack closes it.
    stack.callback(log.close)
    port = find_free_port()
    environment = {**start.environment, "PORT": str(port)}
    process = Process(start.name, start.command.module, environment, log, program=start.command.program)
    process.start()
    stack.callback(process.stop)
    return Server(start.name, port, process.pid, log), process


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
