"""What can be asked of a reconciliation bench."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.reconciliation.books import WRONG_EVERY

RESULTS = Path(__file__).resolve().parent.parent / "results" / "reconciliation.json"
LINES = (100_000, 1_000_000)
LINES_MAX = 10_000_000
ENGINES = ("sqlite", "postgres")


@dataclass(frozen=True, slots=True)
class Options:
    """Each engine compares a bill of each number of lines."""

    lines: list[int]
    engines: list[str]
    json_path: Path


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message where the arguments make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reconciliation",
        description=f"Compare a day's payments with a bill in which one line of {WRONG_EVERY} is wrong. Exit code 1 "
        "where something else was found than that. See docs/reconciliation.md.",
    )
    parser.add_argument(
        "--lines", type=int, nargs="+", default=list(LINES), metavar="N", help="of each bill (default: 100000 1000000)"
    )
    parser.add_argument(
        "--engine", dest="engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="of the database"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=RESULTS,
        dest="json_path",
        metavar="PATH",
        help="default: bench/results/reconciliation.json",
    )
    options = Options(**vars(parser.parse_args(arguments)))
    if not all(1 <= lines <= LINES_MAX for lines in options.lines):
        parser.error(f"a bill has between 1 line and {LINES_MAX}")
    if len(set(options.lines)) != len(options.lines) or len(set(options.engines)) != len(options.engines):
        parser.error("each number of lines and each engine is measured once")
    return options
