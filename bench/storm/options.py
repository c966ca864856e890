"""What can be asked of a storm."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.subjects import ENGINES

RESULTS = Path(__file__).resolve().parent.parent / "results" / "storm.json"
RECHARGES, KILLS = 10_000, 30
FAULTS = ("cut", "delay", "stall", "drop-replies", "swallow", "restart")


@dataclass(frozen=True, slots=True)
class Options:
    """`recharges` and `kills` are what each engine gets at least; `faults` are those of the network, in turn."""

    engines: tuple[str, ...]
    recharges: int
    kills: int
    seed: int
    faults: tuple[str, ...]
    fault_s: float
    kill_every_s: float
    clients: int
    servers: int
    workers: int
    separate_worker: bool
    settled_within_s: float
    json_path: Path
    folder: Path | None


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message where the arguments make no sense."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    engine, faults = given.pop("engine"), given["faults"]
    if faults and engine == "sqlite":
        parser.error("the faults lie between the service and PostgreSQL; leave out --engine")
    given["engines"] = ("postgres",) if faults else ENGINES if engine == "both" else (engine,)
    for name, standard in (("recharges", RECHARGES), ("kills", KILLS)):
        if given[name] is None:
            given[name] = 0 if faults else standard
    if min(given[name] for name in ("clients", "servers", "workers")) < 1:
        parser.error("a storm needs a client, a server and a worker")
    if min(given[name] for name in ("kill_every_s", "fault_s", "settled_within_s")) <= 0:
        parser.error("a time is more than zero")
    return Options(**given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.storm",
        description="Recharge while processes are killed, or while the network to PostgreSQL fails, and prove that no "
        "money was lost or doubled. Exit code 1 where a bar is missed. See docs/storm.md.",
    )
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both", help="the database (default: both)")
    parser.add_argument(
        "--recharges",
        type=int,
        metavar="N",
        help=f"at least, on each engine (default: {RECHARGES}; 0 with --faults)",
    )
    parser.add_argument(
        "--kills", type=int, metavar="N", help=f"at least, on each engine (default: {KILLS}; 0 with --faults)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of amounts, repetitions, victims and pauses (default: 1)")
    parser.add_argument(
        "--faults",
        type=_faults,
        nargs="?",
        const=FAULTS,
        default=(),
        metavar="NAME,NAME",
        help=f"spoil the way to PostgreSQL first: all of {', '.join(FAULTS)}, or those that are named",
    )
    parser.add_argument(
        "--fault-seconds", type=float, default=8.0, dest="fault_s", metavar="SECONDS", help="of each (default: 8)"
    )
    parser.add_argument(
        "--kill-every",
        type=float,
        default=6.0,
        dest="kill_every_s",
        metavar="SECONDS",
        help="the mean pause between a recovery and the next kill (default: 6)",
    )
    parser.add_argument("--clients", type=int, default=32, help="recharging at the same time (default: 32)")
    parser.add_argument("--servers", type=int, default=2, help="with PostgreSQL (default: 2)")
    parser.add_argument("--workers", type=int, default=2, help="with PostgreSQL (default: 2)")
    parser.add_argument(
        "--separate-worker", action="store_true", help="with SQLite: a worker process beside the server, not inside"
    )
    parser.add_argument(
        "--settled-within",
        type=float,
        default=240.0,
        dest="settled_within_s",
        metavar="SECONDS",
        help="how long orders may move after the last request (default: 240)",
    )
    parser.add_argument(
        "--json", type=Path, default=RESULTS, dest="json_path", metavar="PATH", help="default: bench/results/storm.json"
    )
    parser.add_argument("--folder", type=Path, metavar="PATH", help="keep databases and logs in this folder")
    return parser


def _faults(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(FAULTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    return names
