"""`python -m bench.fanout`: one price change to thousands of sockets, beside two other servers. See docs/fanout.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import uvloop

from bench import machine
from bench.fanout import report
from bench.fanout.load import Cell, measure
from bench.fanout.options import Options, parse
from bench.fanout.servers import serving
from bench.fanout.sockets import ClientFailed
from bench.machine import CpuTimeUnknown, Placement
from bench.npm import PeerUnavailable
from bench.processes import ServerFailed
from bench.terminal import end_on_termination, telling
from kernel.clock import utc_now
from tests.services import ServiceFailed, ServiceUnavailable

EXIT_MISSED, EXIT_FAILED, EXIT_INTERRUPTED = 1, 2, 130
FAILURES = (
    ClientFailed, CpuTimeUnknown, ServerFailed, ServiceFailed, ServiceUnavailable, TimeoutError, httpx.HTTPError,
)  # fmt: skip


def run(options: Options, progress: Callable[[str], None]) -> tuple[report.Results, list[str]]:
    """Measure every subject in every round, in turns; return what was found, and what could not be measured here."""
    place = machine.placement()
    results: report.Results = {}
    left_out: dict[str, str] = {}
    for turn in range(1, options.rounds + 1):
        for sockets in options.sockets:
            for subject in options.subjects:
                if subject in left_out:
                    continue
                progress(f"round {turn} of {options.rounds}: {subject}, {sockets:,} sockets")
                try:
                    cell = _measured(subject, sockets, options, place)
                except PeerUnavailable as error:
                    left_out[subject] = f"{subject} {error}"
                    continue
                results.setdefault(subject, {}).setdefault(sockets, []).append(cell)
    return results, list(left_out.values())


def _measured(subject: str, sockets: int, options: Options, place: Placement) -> Cell:
    # A server of its own for each cell: memory that another cell has left behind would be counted as nobody's.
    with serving(subject, place) as target, machine.running_on(place.others if subject != "youka-2" else None):
        return uvloop.run(
            measure(target, sockets=sockets, loads_per_s=(options.quiet_load, options.load), seconds=options.seconds)
        )


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    end_on_termination()
    begun, clock = utc_now(), time.monotonic()
    described: dict[str, Any] = machine.describe(machine.placement())
    try:
        with telling() as progress:
            results, left_out = run(options, progress)
    except KeyboardInterrupt:
        print("fanout: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"fanout: {error!r}", file=sys.stderr)
        return EXIT_FAILED
    found = report.document(
        begun=begun,
        seconds=time.monotonic() - clock,
        machine=described,
        options=options,
        results=results,
        left_out=left_out,
    )
    options.json_path.parent.mkdir(parents=True, exist_ok=True)
    options.json_path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    report.show(results, options, left_out)
    print(f"\nThe whole report: {options.json_path}")
    return EXIT_MISSED if found["met"] is False else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
