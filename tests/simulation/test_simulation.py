"""Ten thousand recharges on virtual clocks with everything going wrong that may, and the books true to the fen.

`SIMULATION_SEED=7 pytest tests/simulation/test_simulation.py` plays that one seed; `SIMULATION_ORDERS` says how long.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest
import structlog

from domain.orders.lifecycle import REFUND_RULE_NUMBER, RULES
from tests.memory import sqlite_copy
from tests.simulation.conduct import Fortune
from tests.simulation.simulate import Outcome, simulate

PROCESSES = 2
SEED = int(os.environ.get("SIMULATION_SEED", "0"))
# Not all of them become orders: some are refused, because an offer is sold out or a limit is reached.
ORDERS = int(os.environ.get("SIMULATION_ORDERS", "260"))
SEEDS = (SEED,) if SEED else tuple(range(1, 41))
ORDERS_MIN = 10_000
ORDERS_ON_POSTGRES_MIN = 500
SMALL = 60
ALL_ROWS = {rule.number for rule in RULES} | {REFUND_RULE_NUMBER}
# What must have gone wrong often for the rest to mean anything.
FAULTS = {
    *(
        f"{party}: {fault}"
        for party in ("prepay", "query", "refund", "submit")
        for fault in ("unreachable", "answer lost")
    ),
    "a transaction dies before its commit",
    "a transaction dies after its commit",
    "a worker is killed",
    "a worker freezes",
    "a job is taken over while it runs",
    "the server is killed",
    "a client goes away",
    "a request is sent twice",
    "a callback comes again",
    "a callback is hours late",
    "a refund is paid abnormal",
    *(f"a recharge {fortune}" for fortune in Fortune),
}


def play(seed: int, orders: int, template: Path) -> Outcome:
    """Play one seed in a process of its own, on a copy of the migrated database that lies in memory where it can."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # Hundreds of agents wait at once, and looking through them for garbage costs more than the garbage.
    gc.set_threshold(100_000, 20, 20)
    with sqlite_copy(template) as url:
        return asyncio.run(simulate(seed=seed, orders=orders, url=url))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Fresh interpreters, each with another order of its sets and another number of threads than this one."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_everything_goes_wrong_and_the_books_are_true(pool: ProcessPoolExecutor, sqlite_template: Path) -> None:
    playing: list[Future[Outcome]] = [pool.submit(play, seed, ORDERS, sqlite_template) for seed in SEEDS]
    outcomes = [future.result() for future in playing]
    if not SEED:
        assert sum(outcome.order_count for outcome in outcomes) >= ORDERS_MIN
        assert_everything_happened(outcomes)


def assert_everything_happened(outcomes: Sequence[Outcome]) -> None:
    """Every row of the table was taken, and every kind of fault was met."""
    rows = Counter[int]()
    events = Counter[str]()
    for outcome in outcomes:
        rows += outcome.rules
        events += outcome.events
    assert set(rows) == ALL_ROWS
    met = {name for event in events for name in (event, event.rpartition(".")[2])}
    assert met >= FAULTS, sorted(FAULTS - met)


def test_a_seed_gives_the_same_history_again(pool: ProcessPoolExecutor, sqlite_template: Path) -> None:
    first, second = (pool.submit(play, 7, SMALL, sqlite_template) for _ in range(2))
    other = pool.submit(play, 8, SMALL, sqlite_template)
    assert first.result().digest == second.result().digest
    assert first.result().digest != other.result().digest


async def test_the_books_are_true_on_postgresql(postgres_url: str) -> None:
    outcome = await simulate(seed=SEED or 1, orders=2 * ORDERS, url=postgres_url)
    assert SEED or outcome.order_count >= ORDERS_ON_POSTGRES_MIN
