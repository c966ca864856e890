"""Workers as real processes that are killed, stopped in the middle, and killed by their own work."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from kernel.settings import Settings
from models.database import connected
from models.events import Event
from models.jobs import Job
from tests.services import run
from tests.work.support import Note, Workers, schedule, workers

# What takeover may take beyond the lease: a poll, a claim, and a machine that is busy with other tests.
SLACK_S = 4.0

T = TypeVar("T")


def on(database_url: str, work: Coroutine[Any, Any, T]) -> T:
    """Do something in the database, whose connections no process shares."""

    async def opened() -> T:
        async with connected(database_url):
            return await work

    return run(opened())


async def schedule_all(*keys: str, does: str) -> None:
    for key in keys:
        await schedule(key, does=does)


async def jobs() -> dict[str, Job]:
    return {job.key: job for job in await Job.all()}


def test_work_of_a_killed_worker_starts_at_another_within_its_lease(tmp_path: Path, database_url: str) -> None:
    on(database_url, schedule("k", does="beat"))
    with workers(tmp_path, database_url, 2) as running:
        owner = running.wait_until(lambda: running.notes("beat", "k"))[0].pid
        killed_s = _kill(running, owner)
        heir = running.wait_until(lambda: [note for note in running.notes("enter", "k") if note.pid != owner])[0]
        took_s = heir.at_s - killed_s
        running.wait_until(lambda: running.notes("leave", "k"))
        assert running.by_pid(heir.pid).stop() == 0
    assert took_s < Settings().job_lease_s + SLACK_S
    assert on(database_url, jobs())["k"].done_at is not None


def _kill(running: Workers, pid: int) -> float:
    """Kill the process and return the time of its last beat, which is as late as it can have renewed."""
    running.by_pid(pid).kill()
    return running.notes("beat")[-1].at_s


def test_workers_that_claim_at_once_run_each_job_once(tmp_path: Path, database_url: str) -> None:
    keys = {f"k{number}" for number in range(120)}
    on(database_url, schedule_all(*keys, does="quick"))
    with workers(tmp_path, database_url, 3) as running:
        running.wait_until(lambda: len(running.notes("leave")) >= len(keys))
        assert [process.stop() for process in running.processes] == [0, 0, 0]
    entered = running.notes("enter")
    assert sorted(note.key for note in entered) == sorted(keys)
    assert all(job.done_at for job in on(database_url, jobs()).values())


def test_a_worker_that_was_stopped_never_runs_beside_its_heir(tmp_path: Path, database_url: str) -> None:
    on(database_url, schedule("k", does="beat"))
    with workers(tmp_path, database_url, 2, job_lease_s=1.5) as running:
        owner = running.wait_until(lambda: running.notes("write", "k"))[0].pid
        _stop_until_taken_over(running, owner)
        running.wait_until(lambda: len(_beats(running, besides=owner)) > 10)
        running.by_pid(owner).send(signal.SIGCONT)
        running.wait_until(lambda: running.notes("leave", "k"))
        running.wait_until(lambda: "job.lease_lost" in running.by_pid(owner).tail())
        assert [process.stop() for process in running.processes] == [0, 0]
    beats = running.notes("beat", "k")
    # Each has one time of its own, in what it does and in what it has written.
    assert [pid for pid, _ in groupby(beats, key=lambda note: note.pid)] == [owner, beats[-1].pid]
    assert [note.pid for note in running.notes("leave")] == [beats[-1].pid]
    written = [event["payload"]["pid"] for event in on(database_url, _events())]
    assert [pid for pid, _ in groupby(written)] == [owner, beats[-1].pid]


def _beats(running: Workers, *, besides: int) -> list[Note]:
    return [note for note in running.notes("beat") if note.pid != besides]


def _stop_until_taken_over(running: Workers, owner: int) -> None:
    """Stop the process, and once more where it stood in a transaction: nobody takes its work over before that ends."""
    for _ in range(20):
        running.by_pid(owner).send(signal.SIGSTOP)
        try:
            running.wait_until(lambda: _beats(running, besides=owner), timeout_s=5)
            return
        except AssertionError:
            running.by_pid(owner).send(signal.SIGCONT)
    raise AssertionError(running.tails())


async def _events() -> list[dict[str, Any]]:
    return await Event.filter(stream="tests:k").order_by("position").values("payload")


def test_work_that_kills_its_workers_is_parked_and_the_rest_goes_on(tmp_path: Path, database_url: str) -> None:
    before, after = [f"before{number}" for number in range(8)], [f"after{number}" for number in range(8)]
    on(database_url, schedule_all("poison", does="die"))
    on(database_url, schedule_all(*before, does="quick"))
    with workers(tmp_path, database_url, 2, job_lease_s=0.5, job_crashes_max=4) as running:
        running.wait_until(lambda: running.restart_ended() > 0)
        on(database_url, schedule_all(*after, does="quick"))

        def settled() -> bool:
            running.restart_ended()
            return all(job.done_at or job.parked_at for job in on(database_url, jobs()).values())

        running.wait_until(settled)
        running.wait_until(lambda: not running.restart_ended())
        found = on(database_url, jobs())
    assert found["poison"].last_error == "its worker died 4 times"
    assert (found["poison"].parked_at is not None, found["poison"].done_at) == (True, None)
    assert len(running.notes("enter", "poison")) == 4
    assert [key for key in (*before, *after) if found[key].done_at is None] == []


def test_a_worker_that_ends_gives_its_work_back_at_once(tmp_path: Path, database_url: str) -> None:
    on(database_url, schedule("k", does="hang"))
    with workers(tmp_path, database_url, 1, job_lease_s=60, worker_stop_patience_s=0.1) as running:
        running.wait_until(lambda: running.notes("enter", "k"))
        assert running.processes[0].stop() == 0
    job = on(database_url, jobs())["k"]
    assert (job.lease_owner, job.lease_until, job.claims, job.attempts) == (None, None, 0, 0)
