"""What goes wrong, and when: drawn from one seeded generator, counted, and nothing else in the world is random."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, TypeVar

T = TypeVar("T")


class Exchange(StrEnum):
    """What becomes of one question to a third party."""

    ANSWERED = "answered"
    UNREACHABLE = "unreachable"  # nothing has happened there
    ANSWER_LOST = "answer lost"  # it has happened, and we do not hear of it
    SLOW = "slow"


class Commit(StrEnum):
    """What happens around one transaction of ours."""

    PLAIN = "plain"
    WAITS_BEFORE = "waits before it begins"
    WAITS_AFTER = "waits after its commit"
    DIES_BEFORE = "dies before its commit"
    DIES_AFTER = "dies after its commit"


class Fate(Protocol):
    """Decides whatever is not decided by the rules of the house or of a third party."""

    counts: Counter[str]

    def exchange(self, party: str, operation: str) -> Exchange: ...

    def commit(self) -> Commit: ...

    def latency_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Weather:
    """How often things go wrong: shares of all occasions, and means in seconds."""

    exchanges: Mapping[Exchange, float] = field(
        default_factory=lambda: {Exchange.UNREACHABLE: 0.03, Exchange.ANSWER_LOST: 0.03, Exchange.SLOW: 0.02}
    )
    commits: Mapping[Commit, float] = field(
        default_factory=lambda: {
            Commit.WAITS_BEFORE: 0.04,
            Commit.WAITS_AFTER: 0.02,
            Commit.DIES_BEFORE: 0.002,
            Commit.DIES_AFTER: 0.003,
        }
    )

    def calm(self) -> Weather:
        """Return a weather in which nothing goes wrong any more."""
        return replace(self, exchanges={}, commits={})


class SeededFate:
    """Fate by dice. The order of throws is part of the history, so a seed gives the same one again."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.dice = random.Random(seed)
        self.weather = weather
        self.counts: Counter[str] = Counter()

    def exchange(self, party: str, operation: str) -> Exchange:
        outcome = self._of(self.weather.exchanges, Exchange.ANSWERED)
        if outcome is not Exchange.ANSWERED:
            self.counts[f"{party}.{operation}: {outcome}"] += 1
        return outcome

    def commit(self) -> Commit:
        outcome = self._of(self.weather.commits, Commit.PLAIN)
        if outcome is not Commit.PLAIN:
            self.counts[f"a transaction {outcome}"] += 1
        return outcome

    def latency_s(self) -> float:
        return 0.01 + self.dice.expovariate(10.0)

    def chance(self, share: float, what: str = "") -> bool:
        """Return true in so large a share of the cases; `what` is counted where it happens."""
        happens = self.dice.random() < share
        if happens and what:
            self.counts[what] += 1
        return happens

    def within(self, least_s: float, most_s: float) -> float:
        return self.dice.uniform(least_s, most_s)

    def about(self, mean_s: float) -> float:
        """Return a time that is short mostly and long now and then."""
        return self.dice.expovariate(1.0 / mean_s)

    def pick(self, weights: Mapping[T, float]) -> T:
        return self.dice.choices(list(weights), weights=list(weights.values()))[0]

    def one_of(self, things: Sequence[T]) -> T:
        return self.dice.choice(things)

    def _of(self, shares: Mapping[T, float], otherwise: T) -> T:
        thrown = self.dice.random()
        for outcome, share in shares.items():
            thrown -= share
            if thrown < 0:
                return outcome
        return otherwise


class PlannedFate:
    """Fate by plan: nothing goes wrong but what was planned, which happens once."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._exchanges: deque[Exchange] = deque()
        self._commits: deque[Commit] = deque()

    def plan_exchange(self, outcome: Exchange, *, after: int) -> None:
        """Let this become of a question to a third party, once so many more were answered."""
        _plan(self._exchanges, outcome, Exchange.ANSWERED, after)

    def plan_commit(self, outcome: Commit, *, after: int) -> None:
        """Let this happen around a transaction, once so many more were plain."""
        _plan(self._commits, outcome, Commit.PLAIN, after)

    def forget(self) -> None:
        """Let nothing go wrong any more."""
        self._exchanges.clear()
        self._commits.clear()

    def exchange(self, party: str, operation: str) -> Exchange:
        outcome = self._exchanges.popleft() if self._exchanges else Exchange.ANSWERED
        if outcome is not Exchange.ANSWERED:
            self.counts[f"{operation}: {outcome}"] += 1
        return outcome

    def commit(self) -> Commit:
        outcome = self._commits.popleft() if self._commits else Commit.PLAIN
        if outcome is not Commit.PLAIN:
            self.counts[f"a transaction {outcome}"] += 1
        return outcome

    def latency_s(self) -> float:
        return 0.05


def _plan(plan: deque[T], outcome: T, calm: T, after: int) -> None:
    plan.extend([calm] * (after + 1 - len(plan)))
    plan[after] = outcome
