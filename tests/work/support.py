"""Work that tests schedule, and workers as processes of their own that run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from domain.work import operations as work
from domain.work.operations import Kind
from kernel.clock import utc_now
from models.database import transactional
from models.jobs import Job
from tests.house_process import Process

LEASE = timedelta(seconds=30)
WAIT_TIMEOUT_S = 90.0

T = TypeVar("T")


@transactional
async def schedule(
    key: str, *, does: str = "", kind: Kind = Kind.QUERY_PAYMENT, due_in: timedelta = timedelta(0)
) -> None:
    """Write down work of a kind whose payload a text can be; `does` is for the handlers of `worker_process`."""
    now = utc_now()
    payload = {"out_trade_no": key, "effective_from": now.isoformat(), "does": does}
    await work.schedule(kind=kind, key=key, payload=payload, due_at=now + due_in, now=now)


async def claim_one(*, owner: str, now: datetime | None = None) -> Job:
    """Lease the one job that is due."""
    (job,) = await work.claim(owner=owner, limit=5, lease=LEASE, now=now or utc_now())
    return job


@dataclass(frozen=True)
class Note:
    """A line of a handler: what it did when, in seconds of the monotonic clock that all processes share."""

    what: str
    key: str
    pid: int
    at_s: float


class Workers:
    """Worker processes on one database, and what their handlers have noted."""

    def __init__(self, folder: Path, database_url: str, **settings: object) -> None:
        self._folder, self._notes = folder, folder / "notes"
        self._notes.touch()
        self.environment = {"DATABASE_URL": database_url, "NOTES": str(self._notes)}
        self.environment |= {f"YOUKA_{name.upper()}": str(value) for name, value in settings.items()}
        self.processes: list[Process] = []

    def start(self, count: int) -> None:
        for _ in range(count):
            log = self._folder / f"worker-{len(self.processes)}.log"
            self.processes.append(Process("tests.work.worker_process", self.environment, log))
            self.processes[-1].start()

    def restart_ended(self) -> int:
        """Start again what has ended, as a supervisor does, and return how many those were."""
        ended = [process for process in self.processes if process.ended]
        for process in ended:
            process.start()
        return len(ended)

    def notes(self, what: str = "", key: str = "") -> list[Note]:
        """Return the notes in the order in which they were made."""
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        notes = [Note(did, about, int(pid), float(at)) for did, about, pid, at in lines]
        return [note for note in notes if what in ("", note.what) and key in ("", note.key)]

    def by_pid(self, pid: int) -> Process:
        return next(process for process in self.processes if process.pid == pid)

    def wait_until(self, what: Callable[[], T], *, timeout_s: float = WAIT_TIMEOUT_S) -> T:
        """Return the first true value of `what`."""
        deadline = time.monotonic() + timeout_s
        while not (value := what()):
            assert time.monotonic() < deadline, self.tails()
            time.sleep(0.005)
        return value

    def tails(self) -> str:
        return "\n\n".join(f"{process.log.name}:\n{process.tail()}" for process in self.processes)


@contextmanager
def workers(folder: Path, database_url: str, count: int, **settings: object) -> Iterator[Workers]:
    """Run so many worker processes, each of which has noted that it has started."""
    running = Workers(folder, database_url, **settings)
    try:
        running.start(count)
        running.wait_until(lambda: len(running.notes("started")) == count)
        yield running
    finally:
        for process in running.processes:
            if not process.ended:
                process.kill()
