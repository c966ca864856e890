"""A run as a process of its own, which ends itself the way a power cut does: `run_process BILL DAY NOW CUT`.

CUT is `line:N`, while the N-th line of the bill is read, or `hold:N`, inside the N-th transaction of the run; with
`none` it goes to its end. Prints `done` or `busy`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from datetime import date, datetime
from pathlib import Path

from domain.reconciliation.operations import reconcile
from domain.reconciliation.runs import Pass, RunBusy
from models.database import connected
from tests.reconciliation.support import LIMITS, FakeChannel


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def cut_at(point: str) -> FakeChannel:
    """Return a source with which a run dies at the point."""
    where, _, number = point.partition(":")
    if where == "line":
        return FakeChannel(on_line=lambda line: die() if line == int(number) else None)
    if where == "hold":
        hold, held = Pass.hold, 0

        async def hold_and_die(a_pass: Pass) -> None:
            nonlocal held
            await hold(a_pass)
            held += 1
            if held == int(number):
                die()

        Pass.hold = hold_and_die  # type: ignore[assignment, method-assign]
    return FakeChannel()


async def main(bill: str, day: str, now: str, point: str) -> str:
    source, moment = cut_at(point), datetime.fromisoformat(now)
    async with connected(os.environ["DATABASE_URL"]):
        with tempfile.TemporaryDirectory() as folder:
            try:
                await reconcile(
                    source=source,
                    day=date.fromisoformat(day),
                    folder=Path(folder),
                    limits=LIMITS,
                    owner=str(os.getpid()),
                    clock=lambda: moment,
                    bill=Path(bill),
                )
            except RunBusy:
                return "busy"
    return "done"


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(main(*sys.argv[1:])))
