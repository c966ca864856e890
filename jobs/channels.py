"""The work of payment channels: lines that are down are probed. `python -m jobs channel-status` shows how they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.payments import marks
from domain.payments.health import Thresholds
from domain.payments.ports import Channels
from domain.payments.watching import lines_of
from domain.work.operations import Kind
from jobs.commands import on_database
from jobs.printing import printable
from jobs.recurring import RecurringHandler
from jobs.tables import table
from kernel.clock import utc_now
from kernel.settings import Settings
from models.jobs import Job
from models.payments import ChannelHealth

TITLES = ("line", "mark", "since", "failures", "next probe")


@dataclass(frozen=True, slots=True)
class ChannelWork:
    settings: Settings
    channels: Channels

    def recurring(self) -> Mapping[str, RecurringHandler]:
        return {Kind.PROBE_CHANNELS: self.probe_channels}

    async def probe_channels(self, job: Job, now: datetime) -> datetime:
        """Probe what is down. Of all processes the one that has the lease of this work does it."""
        thresholds = Thresholds.of(self.settings)
        await marks.probe(lines=lines_of(self.channels), thresholds=thresholds, clock=utc_now)
        return marks.next_probe_at(interval=thresholds.probe_interval, now=utc_now())


def add_commands(commands: Any) -> None:
    command = commands.add_parser("channel-status", help="show how the lines to the payment channels do")
    command.add_argument("--json", action="store_true", help="one object per line")
    command.set_defaults(run=lambda arguments: on_database(lambda: show(as_json=arguments.json)))


async def show(*, as_json: bool) -> int:
    """Print how every line does that has ever failed; return the exit code."""
    rows = await marks.every_line()
    if as_json:
        print(json.dumps([_document(row) for row in rows], indent=2))
    elif rows:
        print(table(TITLES, [tuple(printable(str(cell)) for cell in _document(row).values()) for row in rows]))
    else:
        print("no line has ever failed")
    return 0


def _document(row: ChannelHealth) -> dict[str, Any]:
    return {
        "line": row.line,
        "mark": row.mark.value,
        "since": row.since.isoformat(timespec="seconds"),
        "failures": row.failures,
        "probe_at": row.probe_at.isoformat(timespec="seconds") if row.probe_at else None,
    }
