"""`python -m bench.reconciliation`: what a large bill costs, in seconds and memory. See docs/reconciliation.md."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bench import machine
from bench.databases import execute, url_of
from bench.reconciliation.books import fill_postgres, fill_sqlite, write_bill
from bench.reconciliation.options import Options, parse
from bench.terminal import end_on_termination, telling
from kernel.clock import utc_now
from models.database import migrate
from tests.services import ServiceFailed, ServiceUnavailable, start_postgres

MIB = 1024 * 1024
EXIT_MISSED, EXIT_BROKEN, EXIT_INTERRUPTED = 1, 2, 130


class MeasureFailed(Exception):
    """The process that compares has ended with these words."""


FAILURES = (MeasureFailed, ServiceFailed, ServiceUnavailable)


@contextmanager
def databases(engines: list[str], folder: Path) -> Iterator[Callable[[str, int], str]]:
    """Give what fills a new database of an engine with so many payments, and returns its address."""
    service = start_postgres() if "postgres" in engines else None
    empty = dict.fromkeys(engines, "")

    def make(engine: str, lines: int) -> str:
        name = f"bills_{lines}"
        if engine == "sqlite" or service is None:
            path, template = folder / f"{name}.db", folder / "empty.db"
            empty[engine] = empty[engine] or migrated(f"sqlite://{template}")
            shutil.copyfile(template, path)
            fill_sqlite(path, lines)
            return f"sqlite://{path}"
        if not empty[engine]:
            asyncio.run(execute(service.url, "CREATE DATABASE empty"))
            empty[engine] = migrated(url_of(service.url, "empty"))
        asyncio.run(execute(service.url, f"CREATE DATABASE {name} TEMPLATE empty"))
        url = url_of(service.url, name)
        asyncio.run(fill_postgres(url, lines))
        return url

    try:
        yield make
    finally:
        if service:
            service.stop()


def migrated(url: str) -> str:
    """Make the tables at the address, once for all bills, and return it."""
    asyncio.run(migrate(url))
    return url


def measured(url: str, bill: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.reconciliation.measure", url, str(bill), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        raise MeasureFailed(done.stderr.decode(errors="replace").strip())
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def compare(options: Options, folder: Path, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return what each bill has cost on each engine, and whether what is wrong with it was found."""
    rows: list[dict[str, Any]] = []
    with databases(options.engines, folder) as make:
        for lines in sorted(options.lines):
            bill = folder / f"bill-{lines}.csv"
            expected = write_bill(bill, lines)
            for engine in options.engines:
                tell(f"{engine}: filling with {lines} payments")
                url = make(engine, lines)
                tell(f"{engine}: comparing {lines} lines")
                found = measured(url, bill, folder)
                rows.append({"engine": engine, "lines": lines, "right": found["counts"] == dict(expected), **found})
    return rows


def growths(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return by engine how many times as much the largest bill takes as the smallest; nothing of one bill alone."""
    found: dict[str, dict[str, float]] = {}
    for engine in dict.fromkeys(row["engine"] for row in rows):
        few, many = (pick([r for r in rows if r["engine"] == engine], key=lambda r: r["lines"]) for pick in (min, max))
        if few is not many:
            found[engine] = {name: many[name] / few[name] for name in ("lines", "seconds", "cpu_s", "peak_bytes")}
    return found


def main(arguments: list[str]) -> int:
    options, begun = parse(arguments), utc_now()
    end_on_termination()
    try:
        with tempfile.TemporaryDirectory(prefix="youka-bills-") as name, telling() as tell:
            rows = compare(options, Path(name), tell)
    except KeyboardInterrupt:
        print("reconciliation: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"reconciliation: {error}", file=sys.stderr)
        return EXIT_BROKEN
    ratios = growths(rows)
    show(rows, ratios)
    options.json_path.parent.mkdir(parents=True, exist_ok=True)
    described = machine.describe(machine.Placement(server=None, others=None))
    document = {"begun": begun, "machine": described, "runs": rows, "growth": ratios}
    options.json_path.write_bytes(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2))
    print(f"\nThe whole report: {options.json_path}")
    return 0 if all(row["right"] for row in rows) else EXIT_MISSED


def show(rows: list[dict[str, Any]], ratios: dict[str, dict[str, float]]) -> None:
    print(f"{'engine':<9} {'lines':>9} {'s':>7} {'CPU s':>7} {'peak MiB':>9} {'of it idle':>10}  found")
    for row in rows:
        print(
            f"{row['engine']:<9} {row['lines']:>9} {row['seconds']:>7.1f} {row['cpu_s']:>7.1f} "
            f"{row['peak_bytes'] / MIB:>9.0f} {row['before_bytes'] / MIB:>10.0f}  "
            f"{'exactly what is wrong' if row['right'] else row['counts']}"
        )
    for engine, ratio in ratios.items():
        print(
            f"{engine}: {ratio['lines']:.1f} times the lines take {ratio['seconds']:.1f} times as long, "
            f"{ratio['cpu_s']:.1f} times the CPU and {ratio['peak_bytes']:.2f} times the memory"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
