"""What a growth run has shown, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.growth.options import Options
from bench.growth.road import STEPS
from bench.growth.run import TOTAL, Found, Outcome, p50_s

RATIO_MAX = 1.20
NEVER_SCANNED = "recharge_order"
WIDTH_MIN = 120


def met(outcome: Outcome) -> bool:
    """Whether many orders make an order no dearer, and nothing reads all of them."""
    return outcome.ratio(TOTAL) <= RATIO_MAX and not scanners(outcome)


def scanners(outcome: Outcome) -> list[str]:
    """Return who reads the whole table of orders where there are many."""
    return [name for name, rows in outcome.large.scanned.items() if NEVER_SCANNED in rows]


def show(outcome: Outcome, options: Options) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDTH_MIN))
    console.print(_steps(outcome, options))
    console.print(_clockwork(outcome))
    for line in _lines(outcome, options):
        console.print(line, highlight=False, markup=False)


def _steps(outcome: Outcome, options: Options) -> Table:
    table = Table(
        title=f"{options.small:,} orders and {options.large:,}, {options.rounds} rounds of {options.orders_per_round}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("step")
    for heading in ("p50 ms", "p50 ms", "ratio", "rounds", "CPU ms", "CPU ms", "ratio", "pages", "pages"):
        table.add_column(heading, justify="right")
    small, large = outcome.small, outcome.large
    for step in (*STEPS, TOTAL):
        least, most = outcome.spread(step)
        table.add_row(
            step,
            *(f"{found.median_s(step) * 1e3:.2f}" for found in (small, large)),
            f"{outcome.ratio(step):.2f}×",
            f"{least:.2f} to {most:.2f}",
            *(f"{found.cpu_s(step) * 1e3:.2f}" for found in (small, large)),
            f"{large.cpu_s(step) / small.cpu_s(step):.2f}×",
            *(f"{found.blocks(step, options.counted):.0f}" for found in (small, large)),
        )
    return table


def _clockwork(outcome: Outcome) -> Table:
    table = Table(title="by the clock", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what")
    for heading in ("ms", "ms", "pages", "pages"):
        table.add_column(heading, justify="right")
    table.add_column("reads whole, where there are many")
    for name, small in outcome.small.clockwork.items():
        large = outcome.large.clockwork[name]
        table.add_row(
            name,
            *(f"{glance.seconds * 1e3:.1f}" for glance in (small, large)),
            *(f"{glance.touched.blocks:,}" for glance in (small, large)),
            _counts(large.touched.rows_scanned),
        )
    return table


def _lines(outcome: Outcome, options: Options) -> Iterator[str]:
    small, large = outcome.small, outcome.large
    yield f"· an order writes {small.log_bytes / 1024:.0f} and {large.log_bytes / 1024:.0f} KiB into the log"
    for name, found in (("few", small), ("many", large)):
        for step in STEPS:
            if rows := found.scanned.get(step):
                yield f"· where there are {name}, {step} reads whole tables ({options.counted} times): {_counts(rows)}"
    for size, seconds in outcome.audits_s.items():
        yield f"· {size:,} orders: audit-ledger finds every rule kept, in {seconds:.0f} s"
    for name in scanners(outcome):
        yield f"MISSED: {name} reads the whole table of orders"
    ratio = outcome.ratio(TOTAL)
    yield f"{'MET' if ratio <= RATIO_MAX else 'MISSED'}: an order costs {ratio:.2f}× as much, at most {RATIO_MAX:.2f}×"


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(rows.items()))


def document(outcome: Outcome, options: Options, *, begun: datetime, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything about a run. Times are seconds."""
    steps = (*STEPS, TOTAL)
    return {
        "begun_at": begun.isoformat(timespec="seconds"),
        "seconds": outcome.seconds,
        "machine": dict(machine),
        "options": asdict(options),
        "met": met(outcome),
        "ratio_max": RATIO_MAX,
        "ratios": {step: outcome.ratio(step) for step in steps},
        "scanned_by": scanners(outcome),
        "audit_s": {str(size): seconds for size, seconds in outcome.audits_s.items()},
        "small": _found(outcome.small, options),
        "large": _found(outcome.large, options),
    }


def _found(found: Found, options: Options) -> dict[str, Any]:
    steps = (*STEPS, TOTAL)
    return {
        "steps": {
            step: {
                "p50_s": found.median_s(step),
                "cpu_s": found.cpu_s(step),
                "pages": found.blocks(step, options.counted),
                "rounds_p50_s": [p50_s(each, step) for each in found.rounds],
            }
            for step in steps
        },
        "log_bytes": found.log_bytes,
        "rows_scanned": found.scanned,
        "clockwork": {
            name: {"seconds": glance.seconds, "pages": glance.touched.blocks}
            for name, glance in found.clockwork.items()
        },
    }
