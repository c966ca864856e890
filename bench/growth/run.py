"""Both databases measured in turns, so that whatever slows the machine slows both."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.growth.database import databases, users_of
from bench.growth.measures import Touched
from bench.growth.options import Options
from bench.growth.road import STEPS
from bench.growth.subject import Glance, Round, Subject, subject
from bench.processes import ROOT

TOTAL = "all steps"


class AuditFailed(Exception):
    """The history, or what was measured on top of it, breaks a rule of the books: it measures nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one database has shown."""

    rounds: Sequence[Round]
    touched: Mapping[str, Touched]
    clockwork: Mapping[str, Glance]

    def median_s(self, step: str) -> float:
        """Return the median over the rounds of what half of a round's orders do not exceed."""
        return statistics.median(p50_s(each, step) for each in self.rounds)

    def cpu_s(self, step: str) -> float:
        return statistics.median(
            sum(each.cpu_s.values()) if step == TOTAL else each.cpu_s[step] for each in self.rounds
        )

    def blocks(self, step: str, counted: int) -> float:
        steps = STEPS if step == TOTAL else (step,)
        return sum(self.touched[each].blocks for each in steps) / counted

    @property
    def log_bytes(self) -> float:
        """Return what an order writes into the log."""
        return statistics.median(each.log_bytes for each in self.rounds)

    @property
    def scanned(self) -> dict[str, dict[str, int]]:
        """Return the rows that were read by reading a whole table, by the step or the clockwork that did it."""
        by_whom = {step: touched.rows_scanned for step, touched in self.touched.items()}
        by_whom |= {name: glance.touched.rows_scanned for name, glance in self.clockwork.items()}
        return {name: dict(rows) for name, rows in by_whom.items() if rows}


@dataclass(frozen=True, slots=True)
class Outcome:
    small: Found
    large: Found
    audits_s: Mapping[int, float]
    seconds: float

    def ratio(self, step: str) -> float:
        return self.large.median_s(step) / self.small.median_s(step)

    def spread(self, step: str) -> tuple[float, float]:
        """Return the least and the greatest ratio of a round to its neighbour."""
        pairs = zip(self.small.rounds, self.large.rounds, strict=True)
        ratios = [p50_s(large, step) / p50_s(small, step) for small, large in pairs]
        return min(ratios), max(ratios)


def p50_s(found: Round, step: str) -> float:
    return statistics.median(found.totals if step == TOTAL else found.seconds[step])


def grow(options: Options, folder: Path, progress: Callable[[str], None]) -> Outcome:
    """Raises AuditFailed, SubjectFailed, or what `tests.services` raises."""
    begun_s = time.monotonic()
    sizes = (options.small, options.large)
    with databases(folder, sizes, progress) as urls:
        with ExitStack() as stack:
            subjects = [stack.enter_context(subject(urls[size], size, users_of(size), options.seed)) for size in sizes]
            small, large = _measure(options, subjects, progress)
        audits_s = {size: _audit(size, urls[size], progress) for size in options.audited}
    return Outcome(small, large, audits_s, time.monotonic() - begun_s)


def _measure(options: Options, subjects: Sequence[Subject], progress: Callable[[str], None]) -> list[Found]:
    rounds: dict[int, list[Round]] = {each.orders: [] for each in subjects}
    for number in range(-options.warmup_rounds, options.rounds):
        progress(f"round {number + 1} of {options.rounds}" if number >= 0 else "warming up")
        # Whoever goes first meets the machine as the other one has left it, so they take turns in that as well.
        for each in subjects if number % 2 == 0 else reversed(subjects):
            measured = each.round(options.orders_per_round)
            if number >= 0:
                rounds[each.orders].append(measured)
    progress("counting pages")
    return [
        Found(rounds[each.orders], each.count(options.counted), each.by_the_clock(options.orders_per_round))
        for each in subjects
    ]


def _audit(size: int, url: str, progress: Callable[[str], None]) -> float:
    """Have the real command prove the books, and return its seconds. Raises AuditFailed."""
    progress(f"{size:,} orders: proving the books")
    begun_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "audit-ledger"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AuditFailed(
            f"audit-ledger over {size:,} orders ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return time.monotonic() - begun_s
