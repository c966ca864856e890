"""What can be asked of a growth run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "results" / "growth.json"
SMALL, LARGE = 10_000, 5_000_000
# Fewer would leave some shards of the ledger without an account, or a customer without a neighbour.
ORDERS_MIN = 200
AUDITS = ("none", "small", "both")


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes are orders in the history; each round leads `orders_per_round` new ones along in each database."""

    small: int
    large: int
    rounds: int
    orders_per_round: int
    warmup_rounds: int
    counted: int
    audit: str
    seed: int
    json_path: Path
    folder: Path | None

    @property
    def audited(self) -> Sequence[int]:
        return {"none": (), "small": (self.small,), "both": (self.small, self.large)}[self.audit]


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message where the arguments make no sense."""
    parser = _parser()
    options = Options(**vars(parser.parse_args(arguments)))
    if not ORDERS_MIN <= options.small < options.large:
        parser.error(f"the small database has at least {ORDERS_MIN} orders, and the large one more than that")
    if min(options.rounds, options.orders_per_round, options.counted) < 1 or options.warmup_rounds < 0:
        parser.error("a run needs a round, an order in it, and an order to count for")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth",
        description="Create, pay and settle orders in a PostgreSQL with few orders and in one with many, in turns. "
        "Exit code 1 where the many make it dearer by more than a fifth. See docs/growth.md.",
    )
    parser.add_argument("--small", type=int, default=SMALL, metavar="N", help=f"orders (default: {SMALL})")
    parser.add_argument("--large", type=int, default=LARGE, metavar="N", help=f"orders (default: {LARGE})")
    parser.add_argument("--rounds", type=int, default=60, metavar="N", help="the median counts (default: 60)")
    parser.add_argument(
        "--orders", type=int, default=5, dest="orders_per_round", metavar="N", help="new ones in a round (default: 5)"
    )
    parser.add_argument(
        "--warmup", type=int, default=5, dest="warmup_rounds", metavar="N", help="rounds not counted (default: 5)"
    )
    parser.add_argument(
        "--counted", type=int, default=10, metavar="N", help="orders whose pages are counted (default: 10)"
    )
    parser.add_argument(
        "--audit",
        choices=AUDITS,
        default="small",
        help="which databases audit-ledger proves at the end (default: small)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of who recharges (default: 1)")
    parser.add_argument(
        "--json",
        type=Path,
        default=RESULTS,
        dest="json_path",
        metavar="PATH",
        help="default: bench/results/growth.json",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="PATH", help="keep the databases here, and use again what is here"
    )
    return parser
