"""What an operation was charged, and what it turned out to have cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

    @property
    def unused(self) -> int:
        """What is given back of what was taken, once it is known what was used."""
        return 0 if self.actual is None else self.draw.amount - self.actual

    @property
    def standing(self) -> tuple[int, float]:
        """How much is in the bucket now, and after how many seconds it is full if nothing more is taken."""
        unused, bucket = self.unused, self.draw.bucket
        remaining, _, full_after_s = self.level
        if not unused:
            return remaining, full_after_s
        return min(bucket.capacity, remaining + unused), max(0.0, full_after_s - unused * bucket.unit_s)


class Estimates(Protocol):
    """Knows what a document would cost."""

    def estimate(self, document: str, variables: dict[str, Any], operation_name: str | None) -> Price:
        """Raises GraphQLError where the document could not be executed."""
