"""`python -m bench`: Youka beside a plain strawberry and tortoise server, in one run. See docs/benchmarks.md."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from bench import machine, report
from bench.answers import AnswersDiffer
from bench.databases import databases
from bench.dataset import Dataset, Generator, write_samples
from bench.operations import AnswerWrong
from bench.options import Options, parse
from bench.processes import ServerFailed
from bench.rounds import MODULES, Bench, OrdersLost, Results, run_engine
from bench.servers import LoadFailed, generating
from bench.terminal import end_on_termination, telling
from domain.identity.tokens import TokenAuthority
from kernel import keys
from kernel.clock import utc_now
from kernel.settings import Settings
from sandbox.keys import load_or_create
from tests.services import ServiceFailed, ServiceUnavailable

LIMITLESS = 10**12
RUN_LIFETIME_S = 86_400
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
FAILURES = (AnswersDiffer, AnswerWrong, OrdersLost, LoadFailed, ServerFailed, ServiceFailed, ServiceUnavailable)


def environment(data_dir: Path) -> dict[str, str]:
    """Return the settings of both servers; those of the caller would make two runs differ."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_") and name != "REDIS_URL"}
    return {
        **own,
        "DATA_DIR": str(data_dir),
        "YOUKA_WORKER_IN_SERVER": "false",
        "YOUKA_LOG_LEVEL": "WARNING",
        "YOUKA_TOKEN_LIFETIME_S": str(RUN_LIFETIME_S),
        # An order that expires, or a limit that is reached, would be another operation than the one that is measured.
        "YOUKA_PAYMENT_DEADLINE_S": str(RUN_LIFETIME_S),
        "YOUKA_UNPAID_ORDERS_PER_USER_MAX": str(LIMITLESS),
        "YOUKA_RECHARGE_DAILY_MAX_FEN": str(LIMITLESS),
    }


def prepare(options: Options, folder: Path) -> tuple[Dataset, Path]:
    """Make the keys that both servers find, the data, and the requests that are sent."""
    settings = Settings(data_dir=folder, token_lifetime_s=RUN_LIFETIME_S)
    load_or_create(folder / "sandbox" / "keys")
    tokens = TokenAuthority(
        key=keys.token_key(settings),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        lifetime=timedelta(seconds=settings.token_lifetime_s),
    )
    generator, now = Generator(options.size, keys.sealer(settings)), utc_now()
    data = generator.generate()
    samples = folder / "samples.json"
    write_samples(
        samples,
        data,
        generator.places(),
        lambda user_id: tokens.issue(user_id=user_id, client_id="bench", scopes=frozenset({"recharge"}), now=now),
    )
    return data, samples


def run(options: Options, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything and return the report's document. Whatever happens, nothing is left running."""
    begun, clock = utc_now(), time.monotonic()
    place = machine.placement()
    described = machine.describe(place)
    results: Results = {}
    verified: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="youka-bench-") as name, generating(place.others) as generator:
        folder = Path(name)
        progress("making the data")
        data, samples = prepare(options, folder)
        bench = Bench(options, generator, samples, environment(folder), place.server, progress)
        for engine in options.engines:
            progress(f"{engine}: filling the database")
            with databases(engine, data, folder, count=len(MODULES), cores=place.others) as urls:
                measured, verified[engine] = run_engine(bench, engine, dict(zip(MODULES, urls, strict=True)))
            results |= measured
    return report.document(
        begun=begun,
        seconds=time.monotonic() - clock,
        machine=described,
        options=options,
        results=results,
        verified=verified,
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
    report.show(found)
    print(f"\nThe whole report: {options.json_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
