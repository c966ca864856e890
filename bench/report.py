"""What a run has found, as one table for people and one document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench import bars
from bench.operations import OPERATIONS
from bench.options import Options
from bench.rounds import Results, medians
from bench.subjects import HEADLINE, SUBJECTS

WIDTH_MIN = 120
CELLS_NAMED_MAX = 6
GENERATOR_BUSY_MAX = 0.8
REQUESTS_FOR_P99_MIN = 100
QUIET_SHARE_MAX = 0.5
RATIOS = ("cpu_us", "p50_ms", "p99_ms", "requests_per_s")

NOTES = (
    "The load is closed: each connection waits for its answer before it asks again.",
    "CPU µs is what the server's own process ran for a request, by the scheduler's account; PostgreSQL is not in it.",
    "Every request carries a signed token, and every server checks it. Youka runs by the settings of a production.",
    "Youka's process also relays the event of each recharge while it is measured; the others only write it.",
    "All servers use the same tables, as many connections, and the same durability; jobs run in none of them.",
)


def document(
    *,
    begun: datetime,
    seconds: float,
    machine: Mapping[str, Any],
    options: Options,
    results: Results,
    verified: Mapping[str, Any],
    left_out: Sequence[str],
) -> dict[str, Any]:
    """Return everything about a run. Ratios above 1 say that Youka is better."""
    cells = []
    for cell, by_server in results.items():
        servers = {name: medians(by_server[name]) for name in SUBJECTS if name in by_server}
        cells.append(
            {
                **asdict(cell),
                "servers": servers,
                "ratios": {
                    name: _ratios(servers[HEADLINE], figures) for name, figures in servers.items() if name != HEADLINE
                },
                "rounds": {name: [asdict(one) for one in measured] for name, measured in by_server.items()},
            }
        )
    picture = options.picture_path
    return {
        "begun_at": begun.isoformat(timespec="seconds"),
        "took_s": round(seconds, 1),
        "machine": dict(machine),
        "options": {
            **asdict(options),
            "json_path": str(options.json_path),
            "picture_path": str(picture) if picture else None,
        },
        "verified": dict(verified),
        "left_out": list(left_out),
        "notes": [*NOTES, *_warnings(machine, cells)],
        "results": cells,
        "bars": [{**asdict(each), "met": each.met} for each in bars.verdicts(_figures_for_bars(cells))],
    }


def _ratios(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float | None]:
    ratios: dict[str, float | None] = {}
    for metric in RATIOS:
        more, less = (ours, theirs) if metric == "requests_per_s" else (theirs, ours)
        ratios[metric] = more[metric] / less[metric] if less[metric] else None
    return ratios


def _figures_for_bars(cells: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Any]:
    return {
        (cell["operation"], cell["connections"]): cell["servers"]
        for cell in cells
        if cell["engine"] == "postgres" and cell["times"] == 1
    }


def missed(found: Mapping[str, Any]) -> bool:
    """Whether a bar was measured and is not met."""
    return not all(verdict["met"] for verdict in found["bars"])


def _warnings(machine: Mapping[str, Any], cells: list[dict[str, Any]]) -> Iterator[str]:
    if machine["server_cores"] is None:
        yield "Nothing was pinned to a core: the server and the load took each other's time."
    load = machine["load_average_before"]
    if load is not None and load > QUIET_SHARE_MAX * machine["cores"]:
        yield f"The machine was busy before the run (load average {load:.1f}): read these numbers with care."
    busy = [_name(cell) for cell in cells if max(_all(cell, "generator_busy")) > GENERATOR_BUSY_MAX]
    if busy:
        yield f"The load generator was near its limit, so a server may do more than is shown: {_list(busy)}."
    few = [_name(cell) for cell in cells if min(_all(cell, "requests")) < REQUESTS_FOR_P99_MIN]
    if few:
        yield f"Fewer than {REQUESTS_FOR_P99_MIN} answers in a round, so p99 is the slowest of them: {_list(few)}."


def _all(cell: Mapping[str, Any], metric: str) -> list[float]:
    return [figures[metric] for figures in cell["servers"].values()]


def _list(names: list[str]) -> str:
    more = len(names) - CELLS_NAMED_MAX
    return ", ".join(names[:CELLS_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _name(cell: Mapping[str, Any]) -> str:
    return f"{cell['engine']}/{cell['operation']}/{cell['connections']}"


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
    for engine, times in dict.fromkeys((cell["engine"], cell["times"]) for cell in found["results"]):
        cells = [cell for cell in found["results"] if (cell["engine"], cell["times"]) == (engine, times)]
        console.print(_table(f"{engine}, {_size(found['options']['size'], times)}", cells))
    if any(cell["times"] > 1 for cell in found["results"]):
        console.print(_growth(found["results"]))
    if found["bars"]:
        console.print(_bars(found["bars"]))
    for name, by_server in found["verified"].items():
        counts = ", ".join(f"{server} {rows['acknowledged']:,}" for server, rows in by_server.items())
        console.print(f"{name}: every acknowledged recharge is in the database, once ({counts})", highlight=False)
    for note in found["notes"]:
        console.print(f"· {note}", highlight=False)
    for reason in found["left_out"]:
        console.print(f"LEFT OUT, so nothing here says how it does: {reason}", style="bold red", highlight=False)


def _size(size: Mapping[str, int], times: int) -> str:
    stations, orders = size["stations"] * times, size["orders"] * times
    return f"{stations:,} stations, {size['users']:,} users, {orders:,} orders"


def _new_table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    # What is long there may take two lines; figures may not.
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _table(title: str, cells: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each server of a cell; the ratios are what it takes by what Youka takes, and Youka's q/s by its."""
    headings = ("conns", "CPU µs", "×", "q/s", "×", "p50 ms", "p99 ms", "×", "peak MiB")
    table = _new_table(title, ("operation", "server"), headings)
    before = ""
    for cell in sorted(cells, key=lambda each: list(OPERATIONS).index(each["operation"])):
        operation = OPERATIONS[cell["operation"]].title
        for name, figures in cell["servers"].items():
            ratio = cell["ratios"].get(name, {})
            table.add_row(
                operation if operation != before else "",
                SUBJECTS[name].title,
                str(cell["connections"]),
                f"{figures['cpu_us']:,.0f}",
                times(ratio.get("cpu_us")),
                f"{figures['requests_per_s']:,.0f}",
                times(ratio.get("requests_per_s")),
                f"{figures['p50_ms']:.2f}",
                f"{figures['p99_ms']:.2f}",
                times(ratio.get("p99_ms")),
                f"{figures['peak_rss_mib']:.0f}",
            )
            before = operation
        table.add_section()
    return table


def _growth(cells: Sequence[Mapping[str, Any]]) -> Table:
    """How much dearer a request is where there is more: the CPU time of the larger size by that of the first."""
    small = {_place(cell): cell["servers"] for cell in cells if cell["times"] == 1}
    names = [name for name in SUBJECTS if any(name in cell["servers"] for cell in cells)]
    headings = [SUBJECTS[name].title for name in names]
    table = _new_table("growth: CPU µs in the larger data by that in the smaller", ("operation", "conns"), headings)
    for cell in cells:
        if cell["times"] > 1:
            ratios = [_grown(cell["servers"].get(name), small[_place(cell)].get(name)) for name in names]
            table.add_row(OPERATIONS[cell["operation"]].title, str(cell["connections"]), *map(times, ratios))
    return table


def _place(cell: Mapping[str, Any]) -> tuple[str, str, int]:
    return cell["engine"], cell["operation"], cell["connections"]


def _grown(large: Mapping[str, float] | None, small: Mapping[str, float] | None) -> float | None:
    return large["cpu_us"] / small["cpu_us"] if large and small and small["cpu_us"] else None


def _bars(verdicts: Sequence[Mapping[str, Any]]) -> Table:
    table = _new_table("the bars", ("server", "bar"), ("asked", "found", ""))
    for verdict in verdicts:
        sign = "≥" if verdict["least"] else "≤"
        table.add_row(
            SUBJECTS[verdict["subject"]].title,
            verdict["text"],
            f"{sign} {verdict['bar']:g}",
            f"{verdict['found']:.2f}",
            "met" if verdict["met"] else "NOT MET",
        )
    return table


def times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
