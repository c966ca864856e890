"""`python -m bench.storm`: recharge while processes are killed, or while the network fails. See docs/storm.md."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from bench import machine
from bench.processes import ServerFailed
from bench.storm.options import Options, parse
from bench.storm.report import bars, document, show
from bench.storm.run import Outcome, storm
from bench.terminal import end_on_termination, telling
from kernel.clock import utc_now
from tests.services import ServiceFailed, ServiceUnavailable

EXIT_MISSED, EXIT_BROKEN, EXIT_INTERRUPTED = 1, 2, 130
FAILURES = (ServerFailed, ServiceFailed, ServiceUnavailable)


@contextmanager
def folder_of(options: Options, engine: str) -> Iterator[Path]:
    """Give a folder for databases and logs, which is removed again where nobody has asked to keep it."""
    if options.folder:
        folder = options.folder / engine
        folder.mkdir(parents=True)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="youka-storm-") as name:
        yield Path(name)


def _storm(options: Options, engine: str, folder: Path, progress: Callable[[str], None]) -> Outcome:
    """Raises one of FAILURES, alone where it was the first of several."""
    try:
        return asyncio.run(storm(options, engine, folder, progress))
    except ExceptionGroup as group:
        expected, unexpected = group.split(FAILURES)
        if unexpected is not None or expected is None:
            raise
        raise expected.exceptions[0] from group


def run(options: Options) -> list[Outcome]:
    outcomes = []
    for engine in options.engines:
        with folder_of(options, engine) as folder, telling() as progress:
            outcomes.append(_storm(options, engine, folder, progress))
        show(outcomes[-1], options)
    return outcomes


def main(arguments: list[str]) -> int:
    options, begun = parse(arguments), utc_now()
    end_on_termination()
    described = machine.describe(machine.Placement(server=None, others=None))
    try:
        outcomes = run(options)
    except KeyboardInterrupt:
        print("storm: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"storm: {error}", file=sys.stderr)
        return EXIT_BROKEN
    found = document(outcomes, options, begun=begun, machine=described)
    options.json_path.parent.mkdir(parents=True, exist_ok=True)
    options.json_path.write_bytes(orjson.dumps(found, default=str, option=orjson.OPT_INDENT_2))
    print(f"\nThe whole report: {options.json_path}")
    met = all(bar.met for outcome in outcomes for bar in bars(outcome, options))
    return 0 if met else EXIT_MISSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
