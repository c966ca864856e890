"""Sums in which something is left open: what a document costs as long as its variables are not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from schema.types.charges import Price

# Prices stop here, so that multiplying them stays cheap.
PRICE_MAX = 1_000_000_000

Variables: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """The length that an argument gives: a number, or a variable with what it is where it is left out."""

    value: int | None = None
    variable: str | None = None

    def size(self, variables: Variables, *, maximum: int) -> int | None:
        given = variables.get(self.variable, self.value) if self.variable else self.value
        # More than a page holds is refused by the resolver, which then reads nothing.
        return min(max(given, 0), maximum) if isinstance(given, int) else None


@dataclass(frozen=True, slots=True)
class Size:
    """How long a list is, by variables that are not known yet."""

    slices: tuple[Slice, ...]
    assumed: int
    maximum: int

    def value(self, variables: Variables) -> int:
        longest = None
        for each in self.slices:
            size = each.size(variables, maximum=self.maximum)
            if size is not None and (longest is None or size > longest):
                longest = size
        return self.assumed if longest is None else longest


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether `@include`, or `@skip` where it is `negated`, leaves what it stands at: 1 or 0."""

    variable: str
    default: Any
    negated: bool

    def value(self, variables: Variables) -> int:
        given = variables.get(self.variable, self.default)
        # What is no boolean is refused before execution, and is counted until then.
        return int(given is not self.negated) if isinstance(given, bool) else 1


Factor: TypeAlias = int | Size | Condition


@dataclass(slots=True, eq=False)
class Sum:
    """A price: what is known of it, the parts that depend on variables, and choices of which the dearest counts."""

    fields: int = 0
    types: int = 0
    parts: list[tuple[Factor, Sum]] = field(default_factory=list)
    choices: list[list[Sum]] = field(default_factory=list)

    @property
    def known(self) -> bool:
        return not self.parts and not self.choices

    def add(self, other: Sum, factor: Factor = 1) -> None:
        if isinstance(factor, int) and other.known:
            self.fields = min(PRICE_MAX, self.fields + factor * other.fields)
            self.types = min(PRICE_MAX, self.types + factor * other.types)
        elif factor != 0 and not (other.known and other.fields == other.types == 0):
            self.parts.append((factor, other))

    def choose(self, options: list[Sum]) -> None:
        """Add the dearest of the options."""
        if len(options) == 1:
            self.add(options[0])
        elif all(each.known for each in options):
            self.fields += max((each.fields for each in options), default=0)
            self.types += max((each.types for each in options), default=0)
        else:
            self.choices.append(options)


@dataclass(slots=True)
class Part:
    """A selection: its price, and that of one item of each list whose length the field above says."""

    own: Sum = field(default_factory=Sum)
    sized: dict[str, Sum] = field(default_factory=dict)

    def add(self, other: Part, factor: Factor = 1) -> None:
        self.own.add(other.own, factor)
        for name, item in other.sized.items():
            self.sized.setdefault(name, Sum()).add(item, factor)


_Step: TypeAlias = tuple[int, int, list[tuple[Factor, int]], list[list[int]]]


@dataclass(slots=True)
class Plan:
    """The price of one operation, for any variables: sums, each behind those that it is made of.

    `visited` is how much of the document was looked at to know it.
    """

    steps: list[Sum]
    visited: int = 0
    # The price where no variable matters.
    fixed: Price | None = None
    # For each step what is known of it, its parts and its choices, by the numbers of the steps that they are.
    _numbered: list[_Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = {id(step): number for number, step in enumerate(self.steps)}
        self._numbered = [
            (
                step.fields,
                step.types,
                [(factor, numbers[id(part)]) for factor, part in step.parts],
                [[numbers[id(each)] for each in options] for options in step.choices],
            )
            for step in self.steps
        ]
        if all(step.known for step in self.steps):
            self.fixed = self.price(None)

    @classmethod
    def of(cls, whole: Sum, *, visited: int) -> Plan:
        return cls(_steps(whole), visited)

    def price(self, variables: Variables | None) -> Price:
        """Return the price with these variables, as they were sent. It takes a step for each part that is open."""
        if self.fixed is not None:
            return self.fixed
        given = variables or {}
        all_fields: list[int] = []
        all_types: list[int] = []
        for own_fields, own_types, parts, choices in self._numbered:
            fields, types = own_fields, own_types
            for factor, part in parts:
                times = factor if isinstance(factor, int) else factor.value(given)
                fields, types = fields + times * all_fields[part], types + times * all_types[part]
            for options in choices:
                fields += max([all_fields[each] for each in options])
                types += max([all_types[each] for each in options])
            all_fields.append(min(fields, PRICE_MAX))
            all_types.append(min(types, PRICE_MAX))
        return Price(all_fields[-1], all_types[-1])


def _steps(whole: Sum) -> list[Sum]:
    """Return the sums that are reached, each behind those that it is made of."""
    steps: dict[int, Sum] = {}
    begun: set[int] = set()
    waiting = [whole]
    while waiting:
        current = waiting[-1]
        below = [part for _, part in current.parts] + [each for options in current.choices for each in options]
        missing = [] if id(current) in begun else [each for each in below if id(each) not in begun]
        begun.add(id(current))
        if missing:
            waiting.extend(missing)
        else:
            steps.setdefault(id(waiting.pop()), current)
    return list(steps.values())
