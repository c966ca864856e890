"""What is selected of an object, as an expression by which PostgreSQL writes its JSON.

A class of rows says how its attributes are written, and which rows its statement has at hand for relations
(`schema.types.rows.OfRow.columns`). What asks who wants to know, or when, or takes arguments, is in no statement: of
an object with such a field there is no shape, and its row is read as it always was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any, TypeAlias, cast

from graphql import GraphQLObjectType

from kernel.shapes import Shape, shape
from schema.execution.classes import class_of
from schema.execution.completing import Completion
from schema.execution.selections import FieldLike, SelectionLike

# A function of PostgreSQL takes a hundred arguments.
ARGUMENTS_MAX = 100
FIELDS_MAX = 1_000
NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")


class _Text(str):
    """A piece of JSON that is the same for every object."""

    __slots__ = ()


# What stands one behind the other: texts, and expressions.
_Pieces: TypeAlias = list[str]


class NotShaped(Exception):
    """Something is selected that a statement cannot say."""


def shape_of(kind: GraphQLObjectType, selection: SelectionLike) -> Shape | None:
    """Return the shape of what is selected of objects of a type; None where there is none."""
    only = class_of(kind)
    if only is None or not getattr(only, "row_name", ""):
        return None
    shaping = _Shaping()
    try:
        json = shaping.object(only, selection, cast(Any, only).row_name, shaping.once)
    except NotShaped:
        return None
    return shape(
        _concatenated(json),
        tuple(shaping.items.items()),
        tuple(shaping.counts),
        (shaping.once[0], shaping.once[1]),
        tuple((fields, types) for fields, types in shaping.more),
    )


def _concatenated(pieces: _Pieces) -> str:
    """Return the expression of the pieces together."""
    merged: list[str] = []
    for kind, group in groupby(pieces, type):
        some = list(group)
        merged += [_literal("".join(some))] if kind is _Text else some
    while len(merged) > 1:
        starts = range(0, len(merged), ARGUMENTS_MAX)
        merged = [f"concat({', '.join(merged[start : start + ARGUMENTS_MAX])})" for start in starts]
    return merged[0]


def _literal(text: str) -> str:
    assert "'" not in text, "only names and marks of JSON are the same for every object"
    return f"'{text}'"


class _Shaping:
    """One shape on its way. `once` is what is counted for the object itself: fields, and objects of a type."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.counts: list[str] = []
        self.more: list[list[int]] = []
        self.once = [0, 0]
        self._fields = 0

    def object(self, kind: type, selection: SelectionLike, row: str, counted: list[int]) -> _Pieces:
        """Return what writes an object of the row of this name. Raises NotShaped."""
        columns: Mapping[str, Any] = cast(Any, kind).columns
        self._fields += len(selection.fields)
        if self._fields > FIELDS_MAX:
            raise NotShaped
        counted[0] += selection.weights[0]
        counted[1] += selection.weights[1]
        pieces: _Pieces = []
        for field in selection.fields:
            assert NAME.fullmatch(field.key), "keys of the answer are names"
            pieces += [
                _Text(f'{"," if pieces else "{"}"{field.key}":'),
                *self._field(kind, columns, field, row, counted),
            ]
        return [*pieces, _Text("}")] if pieces else [_Text("{}")]

    def _field(self, kind: type, columns: Mapping[str, Any], field: FieldLike, row: str, counted: list[int]) -> _Pieces:
        if field.constant is not None:
            assert NAME.fullmatch(field.constant), "types have names"
            return [_Text(f'"{field.constant}"')]
        simple = field.simple
        if simple is None or simple.function is not None or simple.guarded is not None:
            raise NotShaped
        if simple.relation is not None:
            assert simple.arguments is not None, "a relation has its arguments"
            return self._joined(columns.get(field.name), simple.arguments.constant, field.completion, counted)
        assert simple.attribute is not None, "it is one of these"
        reader = cast(Any, kind).readers.get(simple.attribute)
        made = getattr(reader, "kind", None)
        if made is not None:
            if reader.many:
                raise NotShaped
            selection = _selection_of(field.completion, made)
            return self.object(made, selection, row if reader.part is None else f"{row}.{reader.part}", counted)
        column = columns.get(simple.attribute)
        if column is None or not hasattr(column, "sql"):
            raise NotShaped
        return _written(column.sql.format(row), quoted=column.quoted, nullable=column.nullable)

    def _joined(self, joined: Any, given: Mapping[str, Any] | None, part: Completion, counted: list[int]) -> _Pieces:
        if joined is None or given != getattr(joined, "given", None):
            raise NotShaped
        if joined.many:
            return self._list(joined, part)
        selection = _selection_of(part, joined.kind)
        if not joined.optional:
            return self.object(joined.kind, selection, joined.row, counted)
        more = self._more(f"({joined.row}.id IS NOT NULL)::int")
        written = _concatenated(self.object(joined.kind, selection, joined.row, more))
        return [f"CASE WHEN {joined.row}.id IS NULL THEN 'null' ELSE {written} END"]

    def _list(self, joined: Any, part: Completion) -> _Pieces:
        if part.items is None or joined.many in self.items:
            raise NotShaped
        # What is counted for each item is the same for all, so there may be nothing optional in one.
        counts = len(self.counts)
        more = self._more(f"coalesce({joined.many}.count, 0)")
        item = self.object(joined.kind, _selection_of(part.items.inside, joined.kind), joined.row, more)
        if len(self.counts) > counts + 1:
            raise NotShaped
        self.items[joined.many] = _concatenated(item)
        # Of what is null nothing is written.
        return [_Text("["), f"{joined.many}.json", _Text("]")]

    def _more(self, count: str) -> list[int]:
        """Return where to count what is there as often as this says."""
        self.counts.append(count)
        self.more.append([0, 0])
        return self.more[-1]


def _written(sql: str, *, quoted: bool, nullable: bool) -> _Pieces:
    if nullable:
        json = f"""'"' || ({sql}) || '"'""" if quoted else f"({sql})::text"
        return [f"coalesce({json}, 'null')"]
    return [_Text('"'), sql, _Text('"')] if quoted else [sql]


def _selection_of(part: Completion, kind: type) -> SelectionLike:
    objects = part.objects
    if objects is None or class_of(objects.kind) is not kind:
        raise NotShaped
    return cast(SelectionLike, objects.selection)
