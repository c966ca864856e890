"""`python -m bench.startup`: how long a server takes until it is ready, and how much memory it holds then.

Youka beside plain strawberry, each on an embedded database with the demo data. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.environments import Environments
from bench.machine import cpu_seconds, peak_rss_mib
from bench.processes import Process, ServerFailed, answers
from bench.servers import command_of
from bench.subjects import HEADLINE, PLAIN, SUBJECTS, Subject
from bench.terminal import end_on_termination
from jobs.imports import load_demo_data
from models.database import connected, migrate
from tests.services import find_free_port

ROUNDS_MAX = 50
EXIT_FAILED, EXIT_INTERRUPTED = 2, 130


@dataclass(frozen=True, slots=True)
class Started:
    """Seconds until the server was ready, seconds of CPU in them, and the most memory that it held until then."""

    seconds: float
    cpu_s: float
    peak_mib: float


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__.partition(": ")[2])
    parser.add_argument("--rounds", type=int, default=5, help="how often; the median counts (default: 5)")
    rounds: int = parser.parse_args(arguments).rounds
    if not 1 <= rounds <= ROUNDS_MAX:
        parser.error(f"a run has 1 to {ROUNDS_MAX} rounds")
    end_on_termination()
    try:
        with tempfile.TemporaryDirectory(prefix="youka-startup-") as folder:
            measured = measure(Path(folder), rounds)
    except KeyboardInterrupt:
        print("startup: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except ServerFailed as error:
        print(f"startup: {error}", file=sys.stderr)
        return EXIT_FAILED
    print("| server | ready after, s | of it CPU, s | memory, MiB |\n|---|---|---|---|")
    for subject, found in measured.items():
        middle = [
            statistics.median(each) for each in zip(*((a.seconds, a.cpu_s, a.peak_mib) for a in found), strict=True)
        ]
        print(f"| {SUBJECTS[subject].title} | {middle[0]:.2f} | {middle[1]:.2f} | {middle[2]:.0f} |")
    return 0


def measure(folder: Path, rounds: int) -> dict[str, list[Started]]:
    """Start each in turn, round by round; a first start of each, which may have to compile, does not count."""
    environments = Environments.create(folder)
    url = f"sqlite://{folder / 'startup.db'}"
    asyncio.run(_prepared(url))
    found: dict[str, list[Started]] = {name: [] for name in (HEADLINE, PLAIN)}
    for number in range(rounds + 1):
        for name, starts in found.items():
            subject = SUBJECTS[name]
            started = start(subject, environments.of(subject, database_url=url, redis_url=""))
            if number:
                starts.append(started)
    return found


def start(subject: Subject, environment: Mapping[str, str]) -> Started:
    """Start a server, wait until it is ready, and stop it. Raises ServerFailed."""
    port, command = find_free_port(), command_of(subject)
    with tempfile.TemporaryFile() as log:
        process = Process(
            subject.name, command.module, {**environment, "PORT": str(port)}, log, program=command.program
        )
        began_s = time.monotonic()
        process.start()
        try:
            process.wait_until(partial(answers, port, "/readyz"))
            return Started(time.monotonic() - began_s, cpu_seconds(process.pid), peak_rss_mib(process.pid))
        finally:
            process.stop()


async def _prepared(url: str) -> None:
    await migrate(url)
    async with connected(url):
        await load_demo_data()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
