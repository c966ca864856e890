"""Values of variables and arguments are those that graphql-core and strawberry make, and are made without them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import strawberry
from graphql import GraphQLInputObjectType, Undefined
from graphql.utilities import coerce_input_value
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.relay import GlobalID
from strawberry.types.arguments import convert_argument

from schema.execution import coercing, converting
from schema.execution.coercing import coercion_of
from schema.execution.converting import Making
from tests.execution.inputs import SCALARS, Choice, Point, Shape

POINTS: list[Any] = [
    {"x": 1},
    {"x": 1, "y": 2, "colour": "RED", "tags": ["b"]},
    {"x": 1, "y": 2, "colour": None, "tags": "b"},
    {},
    {"x": None},
    {"x": "1"},
    {"x": 1, "y": None},
    {"x": 1, "z": 1},
    {"x": 1, "colour": "red"},
    {"x": 1, "tags": [None]},
    [],
    "nonsense",
    None,
]
SHAPES: list[Any] = [
    {"name": "a"},
    {"name": "a", "points": None, "inner": None, "moment": None},
    {"name": "a", "points": [{"x": 1}, {"x": 2, "tags": []}], "moment": "2026-11-29T00:00:00+00:00"},
    {"name": "a", "points": {"x": 1}, "inner": {"name": "b", "inner": {"name": "c", "points": [None]}}},
    {"name": "a", "inner": {"name": "b", "points": [{"x": 2}]}},
    {"name": "a", "moment": "yesterday"},
]
CHOICES: list[Any] = [{"number": 1}, {"text": "a"}, {"number": 1, "text": "a"}, {}, {"number": None}]
GIVEN = [(Point, each) for each in POINTS] + [(Shape, each) for each in SHAPES] + [(Choice, each) for each in CHOICES]


@strawberry.type
class Query:
    @strawberry.field
    def point(self, point: Point) -> int:
        return point.x

    @strawberry.field
    def shape(self, shape: Shape) -> str:
        return shape.name

    @strawberry.field
    def choice(self, choice: Choice) -> str:
        return str(choice)


SCHEMA = strawberry.Schema(Query, config=strawberry.schema.config.StrawberryConfig(scalar_map=SCALARS))
REGISTRY = SCHEMA.schema_converter.scalar_registry


def type_of(kind: type) -> GraphQLInputObjectType:
    found = SCHEMA._schema.type_map[kind.__name__]
    assert isinstance(found, GraphQLInputObjectType)
    return found


def read_by_core(kind: type, value: Any) -> Any:
    """Return what graphql-core reads, Undefined also where strawberry refuses it meanwhile."""
    try:
        return coerce_input_value(value, type_of(kind))
    except StrawberryInputCoercionError:
        return Undefined


@pytest.mark.parametrize(("kind", "value"), GIVEN)
def test_values_are_read_as_by_graphql_core(kind: type, value: Any) -> None:
    expected = read_by_core(kind, value)
    coerce = coercion_of(type_of(kind))
    if expected is Undefined:
        with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever it comes upon.
            coerce(value)
    else:
        assert coerce(value) == expected


@pytest.mark.parametrize(("kind", "value"), GIVEN)
def test_values_are_made_as_by_strawberry(kind: type, value: Any) -> None:
    read = read_by_core(kind, value)
    if read is Undefined:
        return
    make = Making(REGISTRY, SCHEMA.config, "given").of(kind)
    assert make is not None
    assert make(read) == convert_argument(read, kind, REGISTRY, SCHEMA.config, None)


def test_the_common_ones_are_made_without_either() -> None:
    with (
        patch.object(coercing, "coerce_input_value", side_effect=AssertionError),
        patch.object(converting, "convert_argument", side_effect=AssertionError),
    ):
        read = coercion_of(type_of(Point))({"x": 1, "colour": "BLUE"})
        make = Making(REGISTRY, SCHEMA.config, "given").of(Point)
        assert make is not None
        assert make(read) == Point(x=1, y=7, colour=read["colour"], tags=["a"])


def test_a_default_is_nobodys_own() -> None:
    make = Making(REGISTRY, SCHEMA.config, "given").of(Point)
    assert make is not None
    default = ["a"]
    make({"x": 1, "tags": default}).tags.append("b")
    assert default == ["a"]


def test_an_id_that_is_none_is_refused() -> None:
    make = Making(REGISTRY, SCHEMA.config, "given").of(GlobalID)
    assert make is not None
    with pytest.raises(Exception, match="GlobalID"):
        make("nonsense")
