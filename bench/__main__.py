"""`python -m bench`: Youka beside other GraphQL servers, in one run. See docs/benchmarks.md."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bench import chart, machine, report
from bench.answers import AnswersDiffer
from bench.databases import databases
from bench.dataset import Dataset, Size, write_samples
from bench.environments import DATA_KEY, Environments
from bench.npm import PeerUnavailable
from bench.operations import AnswerWrong
from bench.options import Options, parse
from bench.processes import ServerFailed
from bench.rounds import Bench, Databases, OrdersLost, Results, run_databases
from bench.servers import Command, LoadFailed, command_of, generating
from bench.subjects import SUBJECTS
from bench.terminal import end_on_termination, telling
from domain.identity.scopes import Scope
from kernel.clock import utc_now
from kernel.sealing import Sealer
from tests.services import ServiceFailed, ServiceUnavailable

EXIT_MISSED, EXIT_FAILED, EXIT_INTERRUPTED = 1, 2, 130
FAILURES = (AnswersDiffer, AnswerWrong, OrdersLost, LoadFailed, ServerFailed, ServiceFailed, ServiceUnavailable)
SCOPES = frozenset({Scope.PROFILE, Scope.CARDS, Scope.RECHARGE})


def prepare(size: Size, environments: Environments, samples: Path) -> Dataset:
    """Make the data, and the requests that are sent."""
    data, now = Dataset(size, Sealer.from_text(DATA_KEY)), utc_now()
    write_samples(
        samples,
        data,
        lambda user_id: environments.tokens.issue(user_id=user_id, client_id="bench", scopes=SCOPES, now=now),
    )
    return data


def commands(options: Options, progress: Callable[[str], None]) -> tuple[dict[str, Command], list[str]]:
    """Return what starts each server, and in words which of the peers cannot run here."""
    found: dict[str, Command] = {}
    left_out = []
    for name in dict.fromkeys(each.name for engine in options.engines for each in options.subjects(engine)):
        try:
            found[name] = command_of(SUBJECTS[name])
        except PeerUnavailable as error:
            left_out.append(f"{name} {error}")
            progress(f"LEFT OUT: {left_out[-1]}")
    return found, left_out


def run(options: Options, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything and return the report's document. Whatever happens, nothing is left running."""
    begun, clock = utc_now(), time.monotonic()
    place = machine.placement()
    described = machine.describe(place)
    started, left_out = commands(options, progress)
    results: Results = {}
    verified: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="youka-bench-") as name, generating(place.others) as generator:
        folder = Path(name)
        environments = Environments.create(folder)
        bench = Bench(options, generator, environments, started, place.server, place.others, progress)
        for times, size in options.sizes.items():
            progress(f"making {size.stations:,} stations, {size.users:,} users and {size.orders:,} orders")
            samples = folder / f"samples-{times}.json"
            data = prepare(size, environments, samples)
            for engine in options.engines:
                subjects = [each for each in options.subjects(engine) if each.name in started]
                progress(f"{engine}: filling the databases")
                with databases(engine, data, folder, count=len(subjects), cores=place.others) as urls:
                    by_name = {each.name: url for each, url in zip(subjects, urls, strict=True)}
                    filled = Databases(engine, times, by_name, samples)
                    measured, verified[filled.name] = run_databases(bench, filled, subjects)
                results |= measured
    return report.document(
        begun=begun,
        seconds=time.monotonic() - clock,
        machine=described,
        options=options,
        results=results,
        verified=verified,
        left_out=left_out,
    )


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    end_on_termination()
    try:
        with telling() as progress:
            found = run(options, progress)
    except KeyboardInterrupt:
        print("bench: interrupted; everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_FAILED
    options.json_path.parent.mkdir(parents=True, exist_ok=True)
    options.json_path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    picture = options.picture_path or options.json_path.with_suffix(".svg")
    picture.write_text(chart.draw(found), "utf-8")
    report.show(found)
    print(f"\nThe whole report: {options.json_path}, and a picture of it: {picture}")
    return EXIT_MISSED if report.missed(found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
