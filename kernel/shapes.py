"""Objects that the database writes as JSON: what it is to write of a row, and what it has written.

A shape is what is selected of an object, in the words of a statement (see `schema.execution.shaping`). Who reads rows
in a shape has their JSON ready for the answer, and nothing else of them but their ids.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson

SHAPES_KNOWN_MAX = 256
COUNTS_KNOWN_MAX = 64


class Written(NamedTuple):
    """A row in a shape, or a list of rows: the JSON, and how many fields and objects of a type are counted for it.

    A list has no id.
    """

    id: UUID | None
    json: orjson.Fragment
    shape: Shape
    fields: int
    types: int


class Shape:
    """What is selected of an object. Equal ones are the same, so that they are told apart by identity.

    `json` is an expression of its text; `items` are those for the rows of lists, by the names by which a statement has
    the lists. For each of `counts`, expressions of numbers, `more` says what is counted as often, beside what is
    counted once for the object.
    """

    __slots__ = ("_counted", "counts", "fields", "items", "json", "more", "types")

    def __init__(
        self,
        json: str,
        items: tuple[tuple[str, str], ...],
        counts: tuple[str, ...],
        counted: tuple[int, int],
        more: tuple[tuple[int, int], ...],
    ) -> None:
        self.json, self.items, self.counts, self.more = json, items, counts, more
        self.fields, self.types = counted
        # Rows of a statement mostly have the same of what may be missing, and as many.
        self._counted: dict[tuple[int, ...], tuple[int, int]] = {}

    @property
    def columns(self) -> str:
        """What a statement selects for `written`, behind the id."""
        return ", ".join((self.json, *self.counts))

    def written(self, row_id: UUID, json: str, *counts: int) -> Written:
        """Return what the database has written of a row."""
        counted = self._counted.get(counts)
        if counted is None:
            counted = self._counted[counts] = self._sum(counts)
            if len(self._counted) > COUNTS_KNOWN_MAX:
                self._counted.clear()
        return Written(row_id, orjson.Fragment(json), self, *counted)

    def _sum(self, counts: tuple[int, ...]) -> tuple[int, int]:
        fields, types = self.fields, self.types
        for count, (more_fields, more_types) in zip(counts, self.more, strict=True):
            fields, types = fields + count * more_fields, types + count * more_types
        return fields, types

    def listed(self, json: str, count: int) -> Written:
        """Return the list that the database has written of so many rows, none of which has more counted than others."""
        assert not self.more, "rows of a list are counted alike"
        return Written(None, orjson.Fragment(json), self, count * self.fields, count * self.types)


# Returns the one shape that says this.
shape = lru_cache(maxsize=SHAPES_KNOWN_MAX)(Shape)
