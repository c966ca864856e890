"""The scalars, enums and inputs of the schema with everything."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, NewType

import strawberry


class Colour(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = 3


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


strawberry.enum(Colour)
strawberry.enum(Size)
Moment = NewType("Moment", datetime)
Blob = NewType("Blob", dict)  # type: ignore[type-arg]


def write_blob(value: Any) -> Any:
    if value == {"kind": "refused"}:
        raise ValueError("no such blob")
    return None if value == {"kind": "nothing"} else value


SCALARS: dict[object, Any] = {
    Moment: strawberry.scalar(
        name="Moment", serialize=lambda value: value.isoformat(), parse_value=datetime.fromisoformat
    ),
    Blob: strawberry.scalar(name="Blob", serialize=write_blob, parse_value=lambda value: {"read": value}),
}


@strawberry.input
class Point:
    x: int
    y: int = 7
    colour: Colour | None = None
    tags: list[str] = strawberry.field(default_factory=lambda: ["a"])


@strawberry.input
class Shape:
    name: str
    points: list[Point] | None = None
    inner: Shape | None = None
    moment: Moment | None = strawberry.UNSET


@strawberry.input(one_of=True)
class Choice:
    number: strawberry.Maybe[int]
    text: strawberry.Maybe[str]
