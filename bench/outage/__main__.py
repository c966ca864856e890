"""`python -m bench.outage`: what a dead third party costs those who do not ask it. See docs/resilience.md.

Rounds with the map service alive and rounds in which it hangs take turns in one run, so both have the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from bench.outage.house import House, opened
from bench.outage.load import OutageFailed, Round, measure, percentile, until_recovered
from bench.processes import ServerFailed
from bench.terminal import end_on_termination, telling

TIMEOUT_S = 30.0
WARM_UP_S = 1.0
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


@dataclass(slots=True)
class Found:
    alive: Round = field(default_factory=Round)
    dead: Round = field(default_factory=Round)
    recoveries_s: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The unrelated query's p99 beside a dead third party, in parts of that beside a living one."""
        return percentile(self.dead.unrelated_ms, 0.99) / percentile(self.alive.unrelated_ms, 0.99)


async def run(house: House, *, rounds: int, seconds: float) -> Found:
    """Raises OutageFailed."""
    found = Found()
    async with (
        httpx.AsyncClient(base_url=house.server_url, trust_env=False, timeout=TIMEOUT_S) as http,
        httpx.AsyncClient(base_url=house.sandbox_url, trust_env=False) as sandbox,
    ):
        await measure(http, seconds=WARM_UP_S)
        for _ in range(rounds):
            found.alive.add(await measure(http, seconds=seconds))
            (await sandbox.post("/control/faults", json={"lbs": "timeout"})).raise_for_status()
            found.dead.add(await measure(http, seconds=seconds))
            (await sandbox.post("/control/faults", json={"clear": True})).raise_for_status()
            found.recoveries_s.append(await until_recovered(http))
    return found


def show(found: Found) -> None:
    table = Table(box=box.SIMPLE, title="The map service alive, and hanging")
    for column in ("", "requests", "p50 ms", "p99 ms", "max ms", "degraded"):
        table.add_column(column, justify="left" if not column else "right")
    rows = (
        ("unrelated query, map alive", found.alive.unrelated_ms, ""),
        ("unrelated query, map dead", found.dead.unrelated_ms, ""),
        ("placeAt, map alive", found.alive.related_ms, f"{found.alive.degraded}"),
        ("placeAt, map dead", found.dead.related_ms, f"{found.dead.degraded}"),
    )
    for name, values, degraded in rows:
        figures = (f"{each:.1f}" for each in (percentile(values, 0.5), percentile(values, 0.99), max(values)))
        table.add_row(name, f"{len(values)}", *figures, degraded)
    console = Console()
    console.print(table)
    console.print(f"p99 of the unrelated query beside a dead map: {found.ratio:.2f} of that beside a living one")
    recoveries = ", ".join(f"{each:.1f}" for each in found.recoveries_s)
    console.print(f"seconds until the map was asked again once it was back, without a restart: {recoveries}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of rounds (3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a round takes (10)")
    options = parser.parse_args(arguments)
    end_on_termination()
    try:
        with tempfile.TemporaryDirectory(prefix="youka-outage-") as name, telling() as progress:
            progress(f"{options.rounds} pairs of rounds of {options.seconds:.0f} s")
            with opened(Path(name)) as house:
                found = asyncio.run(run(house, rounds=options.rounds, seconds=options.seconds))
    except KeyboardInterrupt:
        print("outage: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (OutageFailed, ServerFailed) as error:
        print(f"outage: {error}", file=sys.stderr)
        return EXIT_FAILED
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
