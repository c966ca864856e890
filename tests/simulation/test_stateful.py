"""Orders, payments, callbacks, queries, refunds, people and clocks in every order that Hypothesis can think of.

Each rule is one move of an order's life, by the real domain code and the real handlers of jobs on a real database.
After every move the audits of `python -m jobs audit-ledger`, the model of each order's life and the third parties' own
books are held against what is written; at the end of each history everything comes to rest, and the money is counted.

A failure prints the shortest history that Hypothesis has found, and `@reproduce_failure(...)` with a text in it:

    STATEFUL_BLOB='AXic…' pytest tests/simulation/test_stateful.py    plays that one again
    STATEFUL_EXAMPLES=2000 pytest tests/simulation/test_stateful.py   explores: so many histories, others each time

Without either the histories are the same on every run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, reproduce_failure, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import COPYING, execute, with_database
from tests.simulation.moves import Books

MEMORY = Path("/dev/shm")
EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
BLOB = os.environ.get("STATEFUL_BLOB", "")
PROFILE = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=45,
    deadline=None,
    derandomize=not EXAMPLES,
    print_blob=True,
    # A history takes a second, because it happens on a real database.
    suppress_health_check=[HealthCheck.too_slow],
)


def play(fresh: Callable[[], AbstractContextManager[str]], profile: settings) -> None:
    class Here(Books):
        def __init__(self) -> None:
            super().__init__(fresh)

    machine = reproduce_failure(hypothesis.__version__, BLOB.encode())(Here) if BLOB else Here
    run_state_machine_as_test(machine, settings=profile)


def test_no_history_breaks_the_books(sqlite_template: Path) -> None:
    @contextmanager
    def fresh() -> Iterator[str]:
        memory = MEMORY if MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(dir=memory, prefix="youka-stateful-") as directory:
            path = Path(directory) / "youka.db"
            shutil.copyfile(sqlite_template, path)
            yield f"sqlite://{path}"

    play(fresh, PROFILE)


def test_no_history_breaks_the_books_on_postgresql(postgres_server: str, postgres_template: str) -> None:
    @contextmanager
    def fresh() -> Iterator[str]:
        name = f"youka_stateful_{secrets.token_hex(6)}"
        execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template} {COPYING}")
        try:
            yield with_database(postgres_server, name)
        finally:
            execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")

    play(fresh, settings(PROFILE, max_examples=EXAMPLES or 5, stateful_step_count=30))
