"""What generated code is told of a selection, and how it reads what is selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from kernel.shapes import Shape
from schema.execution.completing import Completion
from schema.execution.resolving import Simple


class FieldLike(Protocol):
    """A field of a selection. `simple` is None where its value takes more than generated code does."""

    @property
    def key(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def constant(self) -> str | None:
        """What is written whatever the object is."""

    @property
    def simple(self) -> Simple | None: ...

    @property
    def completion(self) -> Completion: ...


class SelectionLike(Protocol):
    """The fields that are selected of an object, and what is counted for them and for the object."""

    @property
    def fields(self) -> Sequence[FieldLike]: ...

    @property
    def weights(self) -> tuple[int, int]: ...

    @property
    def shape(self) -> Shape | None:
        """What the database may write of an object; None where it cannot."""


class Reading:
    """Writes how an attribute of an object is read from its row."""

    def __init__(self, bind: Callable[[str, Any], str], row: str, readers: Mapping[str, Callable[[Any], Any]]) -> None:
        """`bind` returns a name for a value."""
        self._bind, self.row, self.readers = bind, row, readers

    def __call__(self, attribute: str) -> str:
        reader = self.readers.get(attribute)
        return f"{self.row}.{attribute}" if reader is None else f"{self._bind(attribute, reader)}({self.row})"


def is_read(simple: Simple | None) -> bool:
    """Whether a field takes nothing but the row of its object."""
    if simple is None:
        return False
    if simple.relation is not None:
        return simple.guarded is None and isinstance(simple.relation.by, str)
    return simple.attribute is not None


def leads_on(part: Completion) -> bool:
    """Whether something below waits in its turn."""
    if part.items is not None:
        return leads_on(part.items.inside)
    if part.objects is None:
        return False
    fields = cast(SelectionLike, part.objects.selection).fields
    return any(
        each.simple is not None and (each.simple.relation is not None or leads_on(each.completion))
        for each in fields
        if each.constant is None
    )
