"""What can be asked of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.dataset import Size, SizeInvalid
from bench.subjects import ENGINES, PEER_NAMES, WAY_NAMES, Subject, chosen

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"
CONNECTIONS_MAX = 1_024
GROWN_TIMES = 10


@dataclass(frozen=True, slots=True)
class Options:
    """`growth` measures everything once more with ten times the stations and orders."""

    engines: tuple[str, ...]
    ways: tuple[str, ...]
    peers: tuple[str, ...]
    size: Size
    growth: bool
    connections: tuple[int, ...]
    rounds: int
    seconds: float
    warmup_s: float
    settle_s: float
    compared: int
    json_path: Path
    picture_path: Path | None

    def subjects(self, engine: str) -> list[Subject]:
        """Return who is measured on the engine, as far as each can run here."""
        return chosen(self.ways, self.peers, engine)

    @property
    def sizes(self) -> dict[int, Size]:
        """The sizes that are measured, by how many times the first one they are."""
        return {times: self.size.times(times) for times in ((1, GROWN_TIMES) if self.growth else (1,))}


STANDARD = Options(
    engines=("postgres",),
    ways=WAY_NAMES,
    peers=PEER_NAMES,
    size=Size(stations=5_000, users=100_000, orders=1_000_000),
    growth=False,
    connections=(1, 8, 32, 128),
    rounds=3,
    seconds=1.0,
    warmup_s=0.1,
    settle_s=1.0,
    compared=20,
    json_path=RESULTS,
    picture_path=None,
)
QUICK = replace(
    STANDARD,
    ways=(),
    size=Size(stations=120, users=40, orders=250),
    connections=(4,),
    rounds=1,
    seconds=0.1,
    warmup_s=0.02,
    settle_s=0.02,
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
    if min(options.rounds, options.compared) < 1 or options.seconds <= 0 or min(options.warmup_s, options.settle_s) < 0:
        parser.error("a run needs a round, an answer to compare, and a time to measure that is more than zero")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Youka beside other GraphQL servers, in turns. Exit code 1 where Youka misses a bar that "
        "was measured. See docs/benchmarks.md.",
    )
    parser.add_argument("--engine", choices=(*ENGINES, "both"), help="the database (default: postgres)")
    parser.add_argument(
        "--peers", type=_peers, metavar="A,B", help=f"whom to compare with, or none (default: {','.join(PEER_NAMES)})"
    )
    parser.add_argument(
        "--ways", type=_ways, metavar="A,B", help=f"how else Youka runs, or none (default: {','.join(WAY_NAMES)})"
    )
    parser.add_argument("--connections", type=_connections, metavar="N,N", help="default: 1,8,32,128")
    parser.add_argument("--rounds", type=int, help="how often each cell is measured; the median counts (default: 3)")
    parser.add_argument("--seconds", type=float, help="how long each cell is measured in a round (default: 1)")
    parser.add_argument(
        "--warmup", type=float, dest="warmup_s", metavar="SECONDS", help="sent before, not counted (default: 0.1)"
    )
    parser.add_argument(
        "--settle",
        type=float,
        dest="settle_s",
        metavar="SECONDS",
        help="of each operation before the first round, so that compilers are done (default: 1)",
    )
    parser.add_argument("--stations", type=int, help="default: 5000")
    parser.add_argument("--users", type=int, help="default: 100000")
    parser.add_argument("--orders", type=int, help="default: 1000000")
    parser.add_argument(
        "--growth", action="store_true", default=None, help="measure again with 10 times the stations and orders"
    )
    parser.add_argument("--compared", type=int, metavar="N", help="answers of each operation to compare (default: 20)")
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; its numbers mean nothing")
    parser.add_argument(
        "--json", type=Path, dest="json_path", metavar="PATH", help="default: bench/results/latest.json"
    )
    parser.add_argument(
        "--picture", type=Path, dest="picture_path", metavar="PATH", help="default: beside the JSON, as .svg"
    )
    return parser


def _peers(text: str) -> tuple[str, ...]:
    return _names(text, PEER_NAMES)


def _ways(text: str) -> tuple[str, ...]:
    return _names(text, WAY_NAMES)


def _names(text: str, known: Sequence[str]) -> tuple[str, ...]:
    names = () if text == "none" else tuple(text.split(","))
    if not set(names) <= set(known):
        raise argparse.ArgumentTypeError(f"known are {', '.join(known)}, or none")
    return names


def _connections(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,8,32") from None
    if not all(1 <= count <= CONNECTIONS_MAX for count in counts):
        raise argparse.ArgumentTypeError(f"connections are from 1 to {CONNECTIONS_MAX}")
    return counts
