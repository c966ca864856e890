"""How scalars and enums are written: chosen once for each type, with a short way for what needs no work."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)

Write: TypeAlias = Callable[[Any], Any]

# What is written of these types needs no second look.
WRITTEN = frozenset({str, int, float, bool, dict, list})


class Never:
    """No value is of this type."""


def unchanged(kind: Any) -> type:
    """Return the type whose very instances are written as they are; `Never` where there is none."""
    if kind is GraphQLString or kind is GraphQLID:
        return str
    return bool if kind is GraphQLBoolean else Never


def unchanged_unless(kind: Any, value: str) -> str:
    """Return, as code, when the value of this name is not written as it is; nothing for types that always write."""
    if kind is GraphQLString or kind is GraphQLID:
        return f"type({value}) is not str"
    if kind is GraphQLBoolean:
        return f"type({value}) is not bool"
    if kind is GraphQLInt:
        return f"(type({value}) is not int or not {GRAPHQL_MIN_INT} <= {value} <= {GRAPHQL_MAX_INT})"
    if kind is GraphQLFloat:
        return f"(type({value}) is not float or not isfinite({value}))"
    # What writes the values of a scalar may say so itself.
    condition: str | None = getattr(kind.coerce_output_value, "unchanged_unless", None)
    return f"({condition.format(value)})" if condition else ""


def writer(kind: GraphQLLeafType) -> Write:
    """Return what writes a value, as the type's own function does, which it falls back to."""
    if kind is GraphQLInt:
        return _int(kind.coerce_output_value)
    if kind is GraphQLFloat:
        return _float(kind.coerce_output_value)
    if isinstance(kind, GraphQLEnumType):
        return _enum(kind)
    write: Write = kind.coerce_output_value
    return write


def _int(otherwise: Write) -> Write:
    def write(value: Any) -> Any:
        return value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else otherwise(value)

    return write


def _float(otherwise: Write) -> Write:
    def write(value: Any) -> Any:
        return value if type(value) is float and math.isfinite(value) else otherwise(value)

    return write


def enum_table(kind: GraphQLEnumType) -> tuple[type[Enum], dict[Any, Any]] | None:
    """Return the class of the enum and what is written for its members; None where it is no enum of Python's."""
    members = getattr(kind, "wrapped_cls", None)
    if not (isinstance(members, type) and issubclass(members, Enum)):
        return None
    names: dict[Any, Any] = {}
    for member in members:
        # What has no name in the schema is an error, which is told when it comes.
        if any(member.value == each.value for each in kind.values.values()):
            names[member] = kind.coerce_output_value(member)
    return members, names


def enum_attribute(members: type[Enum], names: dict[Any, Any]) -> str | None:
    """Return the attribute that holds what is written for each member; None where only the table does."""
    for attribute in ("_name_", "_value_"):
        if all(getattr(member, attribute) == names.get(member) for member in members):
            return attribute
    return None


def _enum(kind: GraphQLEnumType) -> Write:
    """Return what writes members by a table. Members of other classes, even equal ones, go the long way."""
    otherwise = kind.coerce_output_value
    table = enum_table(kind)
    if table is None:
        return otherwise
    members, names = table

    def write(value: Any) -> Any:
        if type(value) is members and value in names:
            return names[value]
        return otherwise(value)

    return write
