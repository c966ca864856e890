"""`python -m bench.signins`: what a rush of sign-ins does to everybody else. See docs/benchmarks.md."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

import httpx
import orjson

from bench import machine
from bench.processes import ServerFailed
from bench.signins.house import opened
from bench.signins.load import Half, LoadFailed, measure
from bench.signins.options import Options, parse
from bench.terminal import end_on_termination
from tests.services import ServiceFailed, ServiceUnavailable

EXIT_MISSED, EXIT_FAILED, EXIT_INTERRUPTED = 1, 2, 130
FAILURES = (LoadFailed, ServerFailed, ServiceFailed, ServiceUnavailable, httpx.HTTPError, ExceptionGroup)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    end_on_termination()
    try:
        with tempfile.TemporaryDirectory(prefix="youka-signins-") as folder, opened(Path(folder)) as house:
            rounds = asyncio.run(measure(house, options))
    except KeyboardInterrupt:
        print("signins: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"signins: {error!r}", file=sys.stderr)
        return EXIT_FAILED
    return report(rounds, options)


def report(rounds: list[tuple[Half, Half]], options: Options) -> int:
    """Print and write what was found, and return the exit code."""
    quiet = statistics.median(half.percentile(0.99) for half, _ in rounds)
    busy = statistics.median(half.percentile(0.99) for _, half in rounds)
    per_s = statistics.median(half.sign_ins / options.seconds for _, half in rounds)
    ratio = busy / quiet
    print(f"p99 of a query: {quiet:.1f} ms alone, {busy:.1f} ms beside {options.clients} clients that sign in")
    print(f"ratio {ratio:.2f} (the bar is {options.bar}); {per_s:.0f} sign-ins a second")
    found = {
        "machine": machine.describe(machine.placement()),
        "clients": options.clients,
        "quiet_p99_ms": quiet,
        "busy_p99_ms": busy,
        "ratio": ratio,
        "sign_ins_per_s": per_s,
        "rounds": [{"quiet": each.latencies_ms, "busy": other.latencies_ms} for each, other in rounds],
    }
    options.json_path.parent.mkdir(parents=True, exist_ok=True)
    options.json_path.write_bytes(orjson.dumps(found))
    return 0 if ratio <= options.bar else EXIT_MISSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
