"""`python -m bench.growth`: what an order costs where there are few, and where there are many. See docs/growth.md."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from bench import machine
from bench.growth.options import Options, parse
from bench.growth.report import document, met, show
from bench.growth.run import AuditFailed, grow
from bench.growth.subject import SubjectFailed
from bench.terminal import end_on_termination, telling
from kernel.clock import utc_now
from tests.services import ServiceFailed, ServiceUnavailable

EXIT_MISSED, EXIT_BROKEN, EXIT_INTERRUPTED = 1, 2, 130
FAILURES = (AuditFailed, SubjectFailed, ServiceFailed, ServiceUnavailable)


@contextmanager
def folder_of(options: Options) -> Iterator[Path]:
    """Give a folder for the databases, which is removed again where nobody has asked to keep it."""
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        yield options.folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="youka-growth-") as name:
        yield Path(name)


def main(arguments: list[str]) -> int:
    options, begun = parse(arguments), utc_now()
    end_on_termination()
    described = machine.describe(machine.Placement(server=None, others=None))
    try:
        with folder_of(options) as folder, telling() as progress:
            outcome = grow(options, folder, progress)
    except KeyboardInterrupt:
        print("growth: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"growth: {error}", file=sys.stderr)
        return EXIT_BROKEN
    show(outcome, options)
    options.json_path.parent.mkdir(parents=True, exist_ok=True)
    found = document(outcome, options, begun=begun, machine=described)
    options.json_path.write_bytes(orjson.dumps(found, default=str, option=orjson.OPT_INDENT_2))
    print(f"\nThe whole report: {options.json_path}")
    return 0 if met(outcome) else EXIT_MISSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
