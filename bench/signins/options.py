"""What can be asked of a run of sign-ins."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results" / "signins.json"
CLIENTS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Options:
    """`clients` sign in at the same time, again and again; `bar` is how much slower a query may be beside them."""

    clients: int
    rounds: int
    seconds: float
    queries_per_s: float
    bar: float
    json_path: Path


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message where the arguments make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.signins",
        description="Ask for a station while many sign in, and compare the p99 with that of a quiet server. "
        "Exit code 1 where it is over the bar. See docs/benchmarks.md.",
    )
    parser.add_argument("--clients", type=int, default=200, help="how many sign in at the same time (default: 200)")
    parser.add_argument("--rounds", type=int, default=5, help="how often; the median counts (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each half of a round takes (default: 4)")
    parser.add_argument(
        "--queries", type=float, default=100.0, dest="queries_per_s", help="queries a second (default: 100)"
    )
    parser.add_argument("--bar", type=float, default=1.5, help="the ratio that is met (default: 1.5)")
    parser.add_argument("--json", type=Path, dest="json_path", default=RESULTS, metavar="PATH", help=f"{RESULTS.name}")
    options = Options(**vars(parser.parse_args(arguments)))
    if not 1 <= options.clients <= CLIENTS_MAX or options.rounds < 1:
        parser.error(f"a run has 1 to {CLIENTS_MAX} clients and a round")
    if min(options.seconds, options.queries_per_s, options.bar) <= 0:
        parser.error("seconds, queries and the bar are more than zero")
    return options
