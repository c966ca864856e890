"""What an operation was charged, and what it turned out to have cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from kernel.buckets import Draw, Level


class Price(NamedTuple):
    """What something costs: the calls of fields, and the objects that they lead to."""

    fields: int = 0
    types: int = 0

    @property
    def total(self) -> int:
        return self.fields + self.types


class Priced(Protocol):
    """An operation whose cost is known but for its variables."""

    def price(self, variables: Mapping[str, Any] | None) -> Price:
        """Return the price with these variables, as they were sent."""


@dataclass(slots=True)
class Meter:
    """Counts what is executed, by the same weights as the price before execution."""

    fields: int = 0
    types: int = 0

    @property
    def total(self) -> int:
        return self.fields + self.types


@dataclass(slots=True)
class Charge:
    """What one operation has taken of its client's bucket."""

    draw: Draw
    level: Level
    price: Price
    taken_at: datetime
    actual: int | None = None
    # How much is in the bucket now, and after how many seconds it is full if nothing more is taken.
    remaining: int = field(init=False)
    full_after_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.remaining, _, self.full_after_s = self.level

    def settle(self, actual: int) -> int:
        """Note what it turned out to have cost, and return what is to be given back of what was taken."""
        self.actual, bucket = actual, self.draw.bucket
        unused = self.draw.amount - actual
        if unused:
            remaining, _, full_after_s = self.level
            self.remaining = min(bucket.capacity, remaining + unused)
            self.full_after_s = max(0.0, full_after_s - unused * bucket.unit_s)
        return unused


class Estimates(Protocol):
    """Knows what a document would cost."""

    def estimate(self, document: str, variables: dict[str, Any], operation_name: str | None) -> Price:
        """Raises GraphQLError where the document could not be executed."""
