"""What a fan-out run has shown, for people and for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.bars import Verdict
from bench.fanout import bars
from bench.fanout.load import Cell, Load
from bench.fanout.options import Options

WIDTH_MIN = 120

# By subject and number of sockets, one cell for each round.
Results = dict[str, dict[int, list[Cell]]]


def median_load(loads: Sequence[Load]) -> Load:
    return Load(
        **{field.name: statistics.median(getattr(load, field.name) for load in loads) for field in fields(Load)}
    )


def median(cells: Sequence[Cell]) -> Cell:
    return Cell(
        sockets=cells[0].sockets,
        kib_per_connection=statistics.median(cell.kib_per_connection for cell in cells),
        connected_in_s=statistics.median(cell.connected_in_s for cell in cells),
        quiet=median_load([cell.quiet for cell in cells]),
        busy=median_load([cell.busy for cell in cells]),
    )


def document(
    *,
    begun: datetime,
    seconds: float,
    machine: Mapping[str, Any],
    options: Options,
    results: Results,
    left_out: Sequence[str],
) -> dict[str, Any]:
    verdicts = _verdicts(results, options)
    return {
        "begun": begun.isoformat(),
        "seconds": seconds,
        "machine": machine,
        "options": {**asdict(options), "json_path": str(options.json_path)},
        "met": bars.met(verdicts),
        "bars": [{**asdict(each), "met": each.met} for each in verdicts],
        "left_out": list(left_out),
        "medians": {name: {str(n): asdict(median(cells)) for n, cells in by.items()} for name, by in results.items()},
        "rounds": {
            name: {str(n): [asdict(c) for c in cells] for n, cells in by.items()} for name, by in results.items()
        },
    }


def show(results: Results, options: Options, left_out: Sequence[str]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDTH_MIN))
    for sockets in options.sockets:
        console.print(_table(results, options, sockets))
    for line in _lines(results, options, left_out):
        console.print(line, highlight=False, markup=False)


def _table(results: Results, options: Options, sockets: int) -> Table:
    table = Table(title=f"{sockets:,} sockets", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("server")
    quiet, busy = f"{options.quiet_load:,}/s offered", f"{options.load:,}/s offered"
    for heading in (f"{quiet}: p50 ms", "p99 ms", f"{busy}: deliveries/s", "p50 ms", "p99 ms", "CPU µs", "KiB each"):
        table.add_column(heading, justify="right")
    for name, by_sockets in results.items():
        cell = median(by_sockets[sockets])
        table.add_row(
            name,
            f"{cell.quiet.p50_ms:.1f}",
            f"{cell.quiet.p99_ms:.1f}",
            f"{cell.busy.delivered_per_s:,.0f}",
            f"{cell.busy.p50_ms:.1f}",
            f"{cell.busy.p99_ms:.1f}",
            f"{cell.busy.cpu_us:.1f}",
            f"{cell.kib_per_connection:.1f}",
        )
    return table


def _verdicts(results: Results, options: Options) -> list[Verdict]:
    """Judge what was measured with the most sockets."""
    return bars.verdicts({name: median(by_sockets[max(options.sockets)]) for name, by_sockets in results.items()})


def _lines(results: Results, options: Options, left_out: Sequence[str]) -> Iterator[str]:
    for reason in left_out:
        yield f"LEFT OUT, so nothing here says how it does: {reason}"
    for each in _verdicts(results, options):
        sign = "≥" if each.least else "≤"
        met = "met" if each.met else "NOT MET"
        yield f"the bar at {max(options.sockets):,} sockets, {each.text}: {each.found:.3g} ({sign} {each.bar:g}) {met}"
