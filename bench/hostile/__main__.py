"""`python -m bench.hostile`: crowds of slow, silent and flooding connections, and what others notice of them.

The figures are in docs/http.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from bench.hostile.load import FLOODING, SLOW, Result, crowd
from bench.outage.load import percentile
from bench.processes import ServerFailed
from bench.signins.house import opened
from bench.terminal import end_on_termination, telling
from tests.services import ServiceFailed, ServiceUnavailable

EXIT_MISSED, EXIT_FAILED, EXIT_INTERRUPTED = 1, 2, 130
FAILURES = (ServerFailed, ServiceFailed, ServiceUnavailable, httpx.HTTPError, OSError)
CROWD_MAX, FLOODING_MAX = 5_000, 200


async def run(url: str, *, count: int, flooding: int) -> list[Result]:
    """Let each kind come by itself, after a first one of a few, which warms the server up."""
    await crowd("idle sockets", url, count=1)
    with telling() as tell:
        results = []
        for name, size in (*((each, count) for each in SLOW), (FLOODING, flooding)):
            tell(f"{size} {name}")
            results.append(await crowd(name, url, count=size))
    return results


def show(results: Sequence[Result]) -> None:
    table = Table(box=box.SIMPLE, title="Hostile connections, and others beside them")
    for column in ("", "dropped", "after s, at most", "left", "others asked", "served", "p50 ms", "p99 ms", "max ms"):
        table.add_column(column, justify="left" if not column else "right")
    for each in results:
        times = each.served.latencies_ms or [0.0]
        table.add_row(
            each.name,
            str(len(each.lasted_s)),
            f"{max(each.lasted_s, default=0.0):.1f}",
            str(each.left),
            str(len(each.served.latencies_ms) + each.served.failed),
            f"{each.served.share:.2%}",
            *(f"{percentile(times, share):.1f}" for share in (0.5, 0.99, 1.0)),
        )
    Console(width=120).print(table)


def missed(results: Sequence[Result], *, within_s: float, served_min: float) -> list[str]:
    """Return the names of those that were not dropped in time, or beside which too few were served."""
    return [
        each.name
        for each in results
        if each.left or max(each.lasted_s, default=0.0) > within_s or each.served.share < served_min
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description="Exit code 1 where a bar is missed.")
    parser.add_argument("--count", type=int, default=800, help="slow heads, bodies and idle sockets (default: 800)")
    parser.add_argument("--flooding", type=int, default=20, help="flooding sockets (default: 20)")
    parser.add_argument("--within", type=float, default=15.0, help="seconds in which each is dropped (default: 15)")
    parser.add_argument("--served", type=float, default=0.99, help="the share of others that is served (default: 0.99)")
    given = parser.parse_args(arguments)
    if not 1 <= given.count <= CROWD_MAX or not 1 <= given.flooding <= FLOODING_MAX:
        parser.error(f"1 to {CROWD_MAX} of each, and 1 to {FLOODING_MAX} that flood")
    end_on_termination()
    try:
        with tempfile.TemporaryDirectory(prefix="youka-hostile-") as folder, opened(Path(folder)) as house:
            results = asyncio.run(run(house.url, count=given.count, flooding=given.flooding))
    except KeyboardInterrupt:
        print("hostile: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"hostile: {error!r}", file=sys.stderr)
        return EXIT_FAILED
    show(results)
    names = missed(results, within_s=given.within, served_min=given.served)
    print(f"missed: {', '.join(names)}" if names else "every bar is met")
    return EXIT_MISSED if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
