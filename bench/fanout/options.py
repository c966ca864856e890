"""What can be asked of a fan-out run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results" / "fanout.json"
SUBJECTS = ("youka", "strawberry", "node", "mercurius", "youka-2")
SOCKETS_MAX = 9_000


@dataclass(frozen=True, slots=True)
class Options:
    """`load` is what is offered, in deliveries per second; `sockets` says to how many clients, one cell for each."""

    sockets: tuple[int, ...]
    load: int
    quiet_load: int
    seconds: float
    rounds: int
    subjects: tuple[str, ...]
    json_path: Path


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message where the arguments make no sense."""
    parser = _parser()
    options = Options(**vars(parser.parse_args(arguments)))
    if min(options.load, options.quiet_load, options.rounds) < 1 or options.seconds <= 0:
        parser.error("a run offers a delivery in a round, and takes a time that is more than zero")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fanout",
        description="Tell thousands of sockets of each price change, beside strawberry, mercurius and graphql-ws. "
        "Exit code 1 where Youka misses a bar. See docs/fanout.md.",
    )
    parser.add_argument("--sockets", type=_numbers, default=(1_000, 5_000), metavar="N,N", help="default: 1000,5000")
    parser.add_argument(
        "--load", type=int, default=50_000, metavar="N", help="deliveries offered in a second (default: 50000)"
    )
    parser.add_argument(
        "--quiet-load", type=int, default=5_000, metavar="N", help="the same, where nobody is busy (default: 5000)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each load is offered (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the median counts (default: 3)")
    parser.add_argument(
        "--subjects", type=_subjects, default=SUBJECTS, metavar="A,B", help=f"default: {','.join(SUBJECTS)}"
    )
    parser.add_argument("--json", type=Path, dest="json_path", default=RESULTS, metavar="PATH", help=f"{RESULTS.name}")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1000,5000") from None
    if not all(1 <= count <= SOCKETS_MAX for count in counts):
        raise argparse.ArgumentTypeError(f"sockets are from 1 to {SOCKETS_MAX}")
    return counts


def _subjects(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(SUBJECTS):
        raise argparse.ArgumentTypeError(f"known are {', '.join(SUBJECTS)}")
    return names
