"""Orders, payments, callbacks, queries, refunds, people and clocks in every order that Hypothesis can think of.

Each rule is one move of an order's life, by the real domain code and the real handlers of jobs on a real database.
After every move the audits of `python -m jobs audit-ledger`, the model of each order's life and the third parties' own
books are held against what is written; at the end of each history everything comes to rest, and the money is counted.

A failure prints the shortest history that Hypothesis has found, and `@reproduce_failure(...)` with a text in it:

    STATEFUL_BLOB='AXic…' pytest tests/simulation/test_stateful.py -k books     plays that one history again
    STATEFUL_SEED=100 STATEFUL_ROUNDS=50 pytest tests/simulation/test_stateful.py -k books     explores others

Without these the histories are the same on every run. There are many short rounds instead of a long one, because
behind the first ten histories of a round Hypothesis makes most of them by changing a little in the one before.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, reproduce_failure, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from domain.orders.lifecycle import REFUND_RULE_NUMBER
from tests.conftest import execute, with_database
from tests.databases import COPYING
from tests.memory import sqlite_copy
from tests.simulation.faults import FAULTS, silence_is_taken_for_a_refusal
from tests.simulation.moves import Books

Fresh = Callable[[], AbstractContextManager[str]]

BLOB = os.environ.get("STATEFUL_BLOB", "")
SEED = int(os.environ.get("STATEFUL_SEED", "1"))
ROUNDS = 1 if BLOB else int(os.environ.get("STATEFUL_ROUNDS", "6"))
PROFILE = settings(
    max_examples=10,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    # A history takes a second, because it happens on a real database.
    suppress_health_check=[HealthCheck.too_slow],
)
FIND = settings(PROFILE, phases=[Phase.generate], report_multiple_bugs=False, print_blob=False)
ROUNDS_TO_FIND_MAX = 12
# Which round comes upon a fault, where it is not the first. Should it be another one day, all of them are played.
FOUND_IN_ROUND: dict[Callable[[], AbstractContextManager[None]], int] = {silence_is_taken_for_a_refusal: 10}
# The rows of the table that every round comes to; the seeded simulation comes to all of them.
COMMON_ROWS = {1, 2, 4, 6, 10, REFUND_RULE_NUMBER}


def play(fresh: Fresh, profile: settings, *, number: int) -> Counter[int]:
    """Play one round by its seed, and return which rows of the table it took, and how often."""
    rows = Counter[int]()

    class Here(Books):
        def __init__(self) -> None:
            super().__init__(fresh)

        def teardown(self) -> None:
            super().teardown()
            rows.update(self.stage.lives.rules)

    machine = reproduce_failure(hypothesis.__version__, BLOB.encode())(Here) if BLOB else seed(number)(Here)
    run_state_machine_as_test(machine, settings=profile)
    return rows


def play_until_found(fresh: Fresh, *, first: int) -> None:
    for number in (first, *(set(range(1, ROUNDS_TO_FIND_MAX + 1)) - {first})):
        play(fresh, FIND, number=number)


@pytest.fixture
def fresh_sqlite(sqlite_template: Path) -> Fresh:
    """What makes a migrated database for each history, in memory where it can."""

    return partial(sqlite_copy, sqlite_template)


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


@pytest.mark.parametrize("number", range(SEED, SEED + ROUNDS))
def test_no_history_breaks_the_books(fresh_sqlite: Fresh, number: int) -> None:
    rows = play(fresh_sqlite, PROFILE, number=number)
    assert BLOB or set(rows) >= COMMON_ROWS, sorted(COMMON_ROWS - set(rows))


def test_no_history_breaks_the_books_on_postgresql(fresh_postgres: Fresh) -> None:
    rows = play(fresh_postgres, settings(PROFILE, max_examples=5, stateful_step_count=30), number=SEED)
    assert BLOB or set(rows) >= {1, 2, 6}, rows


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_in_the_code_is_found(fresh_sqlite: Fresh, fault: Callable[[], AbstractContextManager[None]]) -> None:
    """A machine that finds nothing says something only where it would find what is wrong."""
    with fault(), pytest.raises(AssertionError, match=FAULTS[fault]):
        play_until_found(fresh_sqlite, first=FOUND_IN_ROUND.get(fault, 1))
