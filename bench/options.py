"""What can be asked of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.databases import ENGINES
from bench.dataset import Size, SizeInvalid

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"
CONNECTIONS_MAX = 1_024


@dataclass(frozen=True, slots=True)
class Options:
    engines: tuple[str, ...]
    size: Size
    connections: tuple[int, ...]
    rounds: int
    seconds: float
    warmup_s: float
    compared: int
    json_path: Path


STANDARD = Options(
    engines=ENGINES,
    size=Size(stations=2_000, users=2_000, orders=20_000),
    connections=(1, 8, 32),
    rounds=3,
    seconds=1.0,
    warmup_s=0.1,
    compared=20,
    json_path=RESULTS,
)
QUICK = replace(
    STANDARD,
    size=Size(stations=120, users=40, orders=250),
    connections=(4,),
    rounds=1,
    seconds=0.1,
    warmup_s=0.02,
    compared=3,
)


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message where the arguments make no sense."""
    parser = _parser()
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    options = QUICK if given.pop("quick") else STANDARD
    sizes = {name: given.pop(name) for name in ("stations", "users", "orders") if name in given}
    if "engine" in given:
        engine = given.pop("engine")
        given["engines"] = ENGINES if engine == "both" else (engine,)
    try:
        options = replace(options, size=replace(options.size, **sizes), **given)
    except SizeInvalid as error:
        parser.error(str(error))
    if options.rounds < 1 or options.compared < 1 or options.seconds <= 0 or options.warmup_s < 0:
        parser.error("a run needs a round, an answer to compare, and a time to measure that is more than zero")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Youka beside a plain strawberry and tortoise server, in turns. See docs/benchmarks.md.",
    )
    parser.add_argument("--engine", choices=(*ENGINES, "both"), help="the database (default: both)")
    parser.add_argument("--connections", type=_connections, metavar="N,N", help="default: 1,8,32")
    parser.add_argument("--rounds", type=int, help="how often each cell is measured; the median counts (default: 3)")
    parser.add_argument("--seconds", type=float, help="how long each cell is measured in a round (default: 1)")
    parser.add_argument(
        "--warmup", type=float, dest="warmup_s", metavar="SECONDS", help="sent before, not counted (default: 0.1)"
    )
    parser.add_argument("--stations", type=int, help="default: 2000")
    parser.add_argument("--users", type=int, help="default: 2000")
    parser.add_argument("--orders", type=int, help="default: 20000")
    parser.add_argument("--compared", type=int, metavar="N", help="answers of each operation to compare (default: 20)")
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; its numbers mean nothing")
    parser.add_argument(
        "--json", type=Path, dest="json_path", metavar="PATH", help="default: bench/results/latest.json"
    )
    return parser


def _connections(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,8,32") from None
    if not all(1 <= count <= CONNECTIONS_MAX for count in counts):
        raise argparse.ArgumentTypeError(f"connections are from 1 to {CONNECTIONS_MAX}")
    return counts
