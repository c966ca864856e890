"""Ten thousand recharges on virtual clocks with everything going wrong that may, and the books true to the fen.

`SIMULATION_SEED=7 pytest tests/simulation/test_simulation.py` plays that one seed; `SIMULATION_ORDERS` says how long.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest
import structlog

from domain.orders.lifecycle import REFUND_RULE_NUMBER, RULES
from tests.simulation.simulate import Outcome, simulate

MEMORY = Path("/dev/shm")
PROCESSES = 2
SEED = int(os.environ.get("SIMULATION_SEED", "0"))
ORDERS = int(os.environ.get("SIMULATION_ORDERS", "500"))
SEEDS = (SEED,) if SEED else tuple(range(1, 21))
SMALL = 60
ALL_ROWS = {rule.number for rule in RULES} | {REFUND_RULE_NUMBER}


def play(seed: int, orders: int, template: Path) -> Outcome:
    """Play one seed in a process of its own, on a copy of the migrated database that lies in memory where it can."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # Hundreds of agents wait at once, and looking through them for garbage costs more than the garbage.
    gc.set_threshold(100_000, 20, 20)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="youka-simulation-") as directory:
        path = Path(directory) / "youka.db"
        shutil.copyfile(template, path)
        return asyncio.run(simulate(seed=seed, orders=orders, url=f"sqlite://{path}"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Fresh interpreters, each with another order of its sets and another number of threads than this one."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_everything_goes_wrong_and_the_books_are_true(pool: ProcessPoolExecutor, sqlite_template: Path) -> None:
    playing: list[Future[Outcome]] = [pool.submit(play, seed, ORDERS, sqlite_template) for seed in SEEDS]
    outcomes = [future.result() for future in playing]
    rows: Counter[int] = sum((outcome.rules for outcome in outcomes), Counter())
    if not SEED:
        assert sum(outcome.order_count for outcome in outcomes) >= 10_000
        assert set(rows) == ALL_ROWS


def test_a_seed_gives_the_same_history_again(pool: ProcessPoolExecutor, sqlite_template: Path) -> None:
    first, second = (pool.submit(play, 7, SMALL, sqlite_template) for _ in range(2))
    other = pool.submit(play, 8, SMALL, sqlite_template)
    assert first.result().digest == second.result().digest
    assert first.result().digest != other.result().digest
