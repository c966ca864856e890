"""Parts of the schema that has everything: attributes in trouble, checks, and rows that are read as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission

from schema.types.rows import OfRow
from tests.execution.inputs import Colour
from tests.execution.trouble import Context, either, meet


def written(value: Any) -> str:
    """Return what a resolver was given, and change what could be changed, which nobody else may notice."""
    text = repr(value)
    for each in (value, getattr(value, "tags", None), getattr(value, "points", None)):
        if isinstance(each, list):
            each.append(each[0] if each else None)
    return text


class Troubled:
    """Attributes that are there, or missing, or raise."""

    seed: int
    share: float
    number: int

    def attribute(self, name: str, value: Any) -> Any:
        return either(meet(self.seed, self.share, type(self).__name__, self.number, name), value)


class Deny(BasePermission):
    message = "not for you"
    error_extensions = {"code": "DENIED"}

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return bool(source.number % 3)


class Shout(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return f"{next_(source, info, **kwargs)}!"


@dataclass
class BirdRow:
    """A row of which attributes are missing by chance."""

    number: int
    colour: Any
    weight: Any
    wings: list[int]


@strawberry.type
class Bird(OfRow[BirdRow]):
    number: int
    colour: Colour
    weight: float | None
    song: str
    wings: list[int]
    readers = {"song": lambda row: "tweet " * row.number if row.number < 9 else None}


def bird(context: Context, number: int) -> Bird:
    row = BirdRow(number, Colour.RED, 0.5, [1, 2])
    if context.draw("bird", number).random() < context.share:
        row.colour = None
    if context.draw("weight", number).random() < context.share:
        del row.weight
    return Bird.of(row)
