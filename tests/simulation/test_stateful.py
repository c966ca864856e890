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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, reproduce_failure, settings
from hypothesis.stateful import run_state_machine_as_test

from domain.orders.lifecycle import REFUND_RULE_NUMBER
from tests.conftest import COPYING, execute, with_database
from tests.simulation.faults import FAULTS
from tests.simulation.moves import Books

Fresh = Callable[[], AbstractContextManager[str]]

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


# The rows of the table that a history comes to without rare luck; the seeded simulation comes to all of them.
COMMON_ROWS = {1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, REFUND_RULE_NUMBER}


def play(fresh: Fresh, profile: settings) -> Counter[int]:
    """Return which rows of the table were taken in all histories together, and how often."""
    rows = Counter[int]()

    class Here(Books):
        def __init__(self) -> None:
            super().__init__(fresh)

        def teardown(self) -> None:
            super().teardown()
            rows.update(self.stage.lives.rules)

    machine = reproduce_failure(hypothesis.__version__, BLOB.encode())(Here) if BLOB else Here
    run_state_machine_as_test(machine, settings=profile)
    return rows


@pytest.fixture
def fresh_sqlite(sqlite_template: Path) -> Fresh:
    """What makes a migrated database for each history, in memory where it can."""

    @contextmanager
    def fresh() -> Iterator[str]:
        memory = MEMORY if MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(dir=memory, prefix="youka-stateful-") as directory:
            path = Path(directory) / "youka.db"
            shutil.copyfile(sqlite_template, path)
            yield f"sqlite://{path}"

    return fresh


@pytest.fixture
def fresh_postgres(postgres_server: str, postgres_template: str) -> Fresh:
    """The same on PostgreSQL."""

    @contextmanager
    def fresh() -> Iterator[str]:
        name = f"youka_stateful_{secrets.token_hex(6)}"
        execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template} {COPYING}")
        try:
            yield with_database(postgres_server, name)
        finally:
            execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")

    return fresh


def test_no_history_breaks_the_books(fresh_sqlite: Fresh) -> None:
    rows = play(fresh_sqlite, PROFILE)
    assert BLOB or set(rows) >= COMMON_ROWS, sorted(COMMON_ROWS - set(rows))


def test_no_history_breaks_the_books_on_postgresql(fresh_postgres: Fresh) -> None:
    rows = play(fresh_postgres, settings(PROFILE, max_examples=EXAMPLES or 5, stateful_step_count=30))
    assert BLOB or sum(rows.values())


@pytest.mark.skipif(bool(BLOB), reason="one history is played again")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_in_the_code_is_found(fresh_sqlite: Fresh, fault: Callable[[], AbstractContextManager[None]]) -> None:
    """A machine that finds nothing says something only where it would find what is wrong."""
    profile = settings(PROFILE, phases=[Phase.generate], report_multiple_bugs=False, print_blob=False)
    with fault(), pytest.raises(AssertionError, match=FAULTS[fault]):
        play(fresh_sqlite, profile)
