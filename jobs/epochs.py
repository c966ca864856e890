"""`python -m jobs new-epoch`: for after a restore from a backup, before the servers start again."""

from __future__ import annotations

import argparse

from domain.events.purging import new_epoch
from jobs.commands import on_database
from kernel.clock import utc_now


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "new-epoch",
        help="after a restore from a backup: tell everybody with an older cursor of a gap",
        description="Begin another epoch of the events. After a restore from a backup positions are handed out a "
        "second time; whoever comes with a cursor of before is then told of a gap and starts from a snapshot.",
    )
    command.set_defaults(run=lambda _arguments: on_database(_begin))


async def _begin() -> int:
    print(f"the epoch is now {await new_epoch(now=utc_now())}")
    return 0
