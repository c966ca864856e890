"""`python -m jobs manual-queue`, `retry` and `dismiss`: the work that is left to people, and what they do with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.work import manual_queue, queries
from domain.work.queries import ParkedJob
from jobs.commands import on_database
from jobs.printing import printable
from jobs.tables import table
from kernel.clock import utc_now
from kernel.errors import YoukaError
from models.jobs import Job

DONE, REFUSED = 0, 2

# What `retry` and `dismiss` of the domain have in common.
Action = Callable[..., Awaitable[Job]]


def add_commands(commands: Any) -> None:
    """Register the commands; their code is 2 where nothing was done because of what was asked."""
    command = commands.add_parser("manual-queue", help="list the work that waits for a person, and why")
    command.add_argument("--json", action="store_true", help="one object per job, with what people did before")
    command.set_defaults(run=lambda arguments: on_database(lambda: show(as_json=arguments.json)))
    for name, action, done, what in (
        ("retry", manual_queue.retry, "is due again", "make parked work due again"),
        ("dismiss", manual_queue.dismiss, "is dismissed and never runs again", "settle parked work without running it"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("job", metavar="JOB", type=_job_id, help="the id that manual-queue shows")
        command.add_argument("--by", metavar="NAME", required=True, help="who decides this")
        command.add_argument("--reason", metavar="TEXT", required=True, help="why")
        command.set_defaults(run=_runner(action, done))


def _job_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not the id of a job") from None


def _runner(action: Action, done: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        return on_database(lambda: act(action, done, arguments.job, arguments.by, arguments.reason))

    return run


async def show(*, as_json: bool) -> int:
    """Print the manual queue of the open database, what has waited longest first; return the exit code."""
    parked = [job async for job in queries.all_parked()]
    if as_json:
        print(json.dumps([asdict(job) for job in parked], default=_plain, ensure_ascii=False, indent=2))
    elif parked:
        print(table(("id", "kind", "key", "parked since", "attempts", "reason"), [_cells(job) for job in parked]))
    else:
        print("nothing waits for a person")
    return DONE


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cells(job: ParkedJob) -> tuple[str, ...]:
    since = job.parked_at.isoformat(sep=" ", timespec="seconds")
    return (str(job.id), job.kind, printable(job.key), since, str(job.attempts), printable(job.reason))


async def act(action: Action, done: str, job_id: UUID, actor: str, reason: str) -> int:
    """Do it in the open database, tell what became of it, and return the exit code."""
    try:
        await action(job_id=job_id, actor=actor, reason=reason, now=utc_now())
    except YoukaError as error:
        print(f"youka: {error.message('en')}", file=sys.stderr)
        return REFUSED
    print(f"{job_id} {done}")
    return DONE
