"""What is selected of an object, as an expression by which PostgreSQL writes its JSON.

A class of rows says how its attributes are written, and which rows its statement has at hand for relations
(`schema.types.rows.OfRow.columns`). What asks who wants to know, or when, or takes arguments, is in no statement: of
an object with such a field there is no shape, and its row is read as it always was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from graphql import GraphQLObjectType

from kernel.shapes import Shape, shape
from schema.execution.classes import class_of
from schema.execution.completing import Completion
from schema.execution.selections import FieldLike, SelectionLike

# PostgreSQL cuts longer names, and has of a row no more columns than this.
NAME_LENGTH_MAX = 63
COLUMNS_MAX = 100
NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")


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
        f"row_to_json({json})",
        tuple(shaping.items.items()),
        tuple(shaping.counts),
        (shaping.once[0], shaping.once[1]),
        tuple((fields, types) for fields, types in shaping.more),
    )


class _Shaping:
    """One shape on its way. `once` is what is counted for the object itself: fields, and objects of a type."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.counts: list[str] = []
        self.more: list[list[int]] = []
        self.once = [0, 0]

    def object(self, kind: type, selection: SelectionLike, row: str, counted: list[int]) -> str:
        """Return what writes an object of the row of this name, as a record. Raises NotShaped."""
        columns: Mapping[str, Any] = cast(Any, kind).columns
        fields = selection.fields
        if not 0 < len(fields) <= COLUMNS_MAX:
            raise NotShaped
        counted[0] += selection.weights[0]
        counted[1] += selection.weights[1]
        written = ", ".join(f'{self._field(kind, columns, each, row, counted)} AS "{_name(each)}"' for each in fields)
        # No name of GraphQL has a dollar, so that no column is taken for the whole row.
        return f'(SELECT "$" FROM (SELECT {written}) "$")'  # noqa: S608 - names of GraphQL, and columns of our own

    def _field(self, kind: type, columns: Mapping[str, Any], field: FieldLike, row: str, counted: list[int]) -> str:
        if field.constant is not None:
            assert NAME.fullmatch(field.constant), "types have names"
            return f"'{field.constant}'"
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
        if not isinstance(column, str):
            raise NotShaped
        return column.format(row)

    def _joined(self, joined: Any, given: Mapping[str, Any] | None, part: Completion, counted: list[int]) -> str:
        if joined is None or isinstance(joined, str) or given != joined.given:
            raise NotShaped
        if joined.many:
            return self._list(joined, part)
        selection = _selection_of(part, joined.kind)
        if not joined.optional:
            return self.object(joined.kind, selection, joined.row, counted)
        more = self._more(f"({joined.row}.id IS NOT NULL)::int")
        written = self.object(joined.kind, selection, joined.row, more)
        return f"CASE WHEN {joined.row}.id IS NOT NULL THEN {written} END"

    def _list(self, joined: Any, part: Completion) -> str:
        if part.items is None or joined.many in self.items:
            raise NotShaped
        # What is counted for each item is the same for all, so there may be nothing optional in one.
        counts = len(self.counts)
        more = self._more(f"coalesce({joined.many}.count, 0)")
        item = self.object(joined.kind, _selection_of(part.items.inside, joined.kind), joined.row, more)
        if len(self.counts) > counts + 1:
            raise NotShaped
        self.items[joined.many] = f"row_to_json({item})"
        return f"coalesce({joined.many}.json, '[]'::json)"

    def _more(self, count: str) -> list[int]:
        """Return where to count what is there as often as this says."""
        self.counts.append(count)
        self.more.append([0, 0])
        return self.more[-1]


def _selection_of(part: Completion, kind: type) -> SelectionLike:
    objects = part.objects
    if objects is None or class_of(objects.kind) is not kind:
        raise NotShaped
    return cast(SelectionLike, objects.selection)


def _name(field: FieldLike) -> str:
    """Return the key of the answer, which is a name, as the name of a column."""
    if len(field.key) > NAME_LENGTH_MAX or not NAME.fullmatch(field.key):
        raise NotShaped
    return field.key
