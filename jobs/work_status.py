"""`python -m jobs work-status`: how far the work is behind, by kind."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from domain.work import queries
from domain.work.queries import KindStatus
from jobs.commands import on_database
from jobs.printing import printable
from jobs.tables import table
from kernel.clock import utc_now

TITLES = ("kind", "waiting", "overdue", "oldest overdue s", "running", "parked")


def add_commands(commands: Any) -> None:
    command = commands.add_parser("work-status", help="show by kind what waits, is overdue, runs or is parked")
    command.add_argument("--json", action="store_true", help="one object per kind")
    command.set_defaults(run=lambda arguments: on_database(lambda: show(as_json=arguments.json)))


async def show(*, as_json: bool) -> int:
    """Print how the work in the open database stands; return the exit code. Ages are in seconds."""
    kinds = await queries.status(now=utc_now())
    if as_json:
        print(json.dumps([asdict(kind) for kind in kinds], indent=2))
    elif kinds:
        print(table(TITLES, [_cells(kind) for kind in kinds]))
    else:
        print("there is no work")
    return 0


def _cells(kind: KindStatus) -> tuple[str, ...]:
    return (
        printable(kind.kind),
        str(kind.waiting),
        str(kind.overdue),
        f"{kind.oldest_overdue_s:.1f}",
        str(kind.running),
        str(kind.parked),
    )
