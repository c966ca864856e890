"""What a run has found, as one table for people and one document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.operations import OPERATIONS
from bench.options import Options
from bench.rounds import BASELINE, OURS, Results, medians

WIDTH_MIN = 120
CELLS_NAMED_MAX = 6
GENERATOR_BUSY_MAX = 0.8
REQUESTS_FOR_P99_MIN = 100
QUIET_SHARE_MAX = 0.5

NOTES = (
    "The load is closed: each connection waits for its answer before it asks again.",
    "CPU µs is what the server's own process used for a request; PostgreSQL's processes are not in it.",
    "Both servers authenticate accounts and recharges by the same signed tokens; station queries carry none.",
    "Youka's process also relays the event of each recharge while it is measured; the baseline only writes it.",
    "Both servers use the same tables, connection pool and durability; jobs run in neither of them.",
)


def document(
    *,
    begun: datetime,
    seconds: float,
    machine: Mapping[str, Any],
    options: Options,
    results: Results,
    verified: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything about a run. Ratios above 1 say that Youka is better."""
    cells = []
    for cell, by_server in results.items():
        ours, baseline = medians(by_server[OURS]), medians(by_server[BASELINE])
        cells.append(
            {
                **asdict(cell),
                OURS: ours,
                BASELINE: baseline,
                "ratio": {
                    "requests_per_s": ours["requests_per_s"] / baseline["requests_per_s"],
                    **{
                        metric: baseline[metric] / ours[metric] if ours[metric] else None
                        for metric in ("p50_ms", "p99_ms", "cpu_us")
                    },
                },
                "rounds": {name: [asdict(one) for one in measured] for name, measured in by_server.items()},
            }
        )
    return {
        "begun_at": begun.isoformat(timespec="seconds"),
        "took_s": round(seconds, 1),
        "machine": dict(machine),
        "options": {**asdict(options), "json_path": str(options.json_path)},
        "verified": dict(verified),
        "notes": [*NOTES, *_warnings(machine, cells)],
        "results": cells,
    }


def _warnings(machine: Mapping[str, Any], cells: list[dict[str, Any]]) -> Iterator[str]:
    if machine["server_cores"] is None:
        yield "Nothing was pinned to a core: the server and the load took each other's time."
    load = machine["load_average_before"]
    if load is not None and load > QUIET_SHARE_MAX * machine["cores"]:
        yield f"The machine was busy before the run (load average {load:.1f}): read these numbers with care."
    busy = [_name(cell) for cell in cells if _most(cell, "generator_busy") > GENERATOR_BUSY_MAX]
    if busy:
        yield f"The load generator was near its limit, so the server may do more than is shown: {_list(busy)}."
    few = [_name(cell) for cell in cells if _least(cell, "requests") < REQUESTS_FOR_P99_MIN]
    if few:
        yield f"Fewer than {REQUESTS_FOR_P99_MIN} answers in a round, so p99 is the slowest of them: {_list(few)}."


def _list(names: list[str]) -> str:
    more = len(names) - CELLS_NAMED_MAX
    return ", ".join(names[:CELLS_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _name(cell: Mapping[str, Any]) -> str:
    return f"{cell['engine']}/{cell['operation']}/{cell['connections']}"


def _most(cell: Mapping[str, Any], metric: str) -> float:
    return float(max(cell[OURS][metric], cell[BASELINE][metric]))


def _least(cell: Mapping[str, Any], metric: str) -> float:
    return float(min(cell[OURS][metric], cell[BASELINE][metric]))


def show(found: Mapping[str, Any]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDTH_MIN))
    machine = found["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {machine['python']}\n"
        f"server on cores {machine['server_cores']}, load and database on cores {machine['other_cores']}",
        highlight=False,
    )
    console.print(_table(found["results"]))
    for engine, by_server in found["verified"].items():
        counts = ", ".join(f"{name} {rows['acknowledged']:,}" for name, rows in by_server.items())
        console.print(f"{engine}: every acknowledged recharge is in the database, once ({counts})", highlight=False)
    for note in found["notes"]:
        console.print(f"· {note}", highlight=False)


def _table(cells: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for heading in ("engine", "operation"):
        table.add_column(f"\n{heading}", no_wrap=True)
    table.add_column("\nconns", justify="right", no_wrap=True)
    for owner in ("Youka", "plain"):
        for heading in ("q/s", "p50 ms", "p99 ms", "CPU µs"):
            table.add_column(f"{owner}\n{heading}", justify="right", no_wrap=True)
    for heading in ("q/s", "p99", "CPU"):
        table.add_column(f"ratio\n{heading}", justify="right", no_wrap=True)
    before = ""
    for cell in cells:
        name = f"{cell['engine']} {cell['operation']}"
        if before and name != before:
            table.add_section()
        ratio = cell["ratio"]
        table.add_row(
            cell["engine"] if name != before else "",
            OPERATIONS[cell["operation"]].title if name != before else "",
            str(cell["connections"]),
            *_figures(cell[OURS]),
            *_figures(cell[BASELINE]),
            *(_times(ratio[metric]) for metric in ("requests_per_s", "p99_ms", "cpu_us")),
        )
        before = name
    return table


def _figures(of: Mapping[str, float]) -> tuple[str, ...]:
    return f"{of['requests_per_s']:,.0f}", f"{of['p50_ms']:.2f}", f"{of['p99_ms']:.2f}", f"{of['cpu_us']:,.0f}"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"
