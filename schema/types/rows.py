"""Objects that are read from a row when they are asked for, so that what is not selected is not made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from kernel.shapes import Written
from schema.types.columns import Column

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, eq=False)
class Entity:
    """That objects of a type are the same for everybody, until `domain.events.purges.STATIONS` says that they changed.

    What is selected of one is then encoded once and kept as a fragment, by the row's attribute `key`. `below` are the
    classes of what may be in it: all of it is read from rows, by attributes, by readers and by public relations.
    """

    key: str
    below: Collection[type]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A reader that makes an object of the row's attribute `part`, or of the row itself; where `many`, of each in it.

    Since that is all there is to it, a plan reads what is selected of the object without making it.
    """

    kind: type[OfRow[Any]]
    part: str | None = None
    many: bool = False

    def __call__(self, row: Any) -> Any:
        found = row if self.part is None else getattr(row, self.part)
        if not self.many:
            return self.kind.of(found)
        return found if type(found) is Written else list(map(self.kind.of, found))


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """What a relation leads to, for statements that have it at hand by the name `row`; a row that is missing has no id.

    Of a list, `many` is the name by which a statement has the whole, as `json` and `count`, and `row` each of its rows.
    `given` are the arguments with which it leads there.
    """

    kind: type[OfRow[Any]]
    row: str
    optional: bool = False
    many: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


class OfRow(Generic[Row]):
    """A type whose fields are attributes of its row, of the same names, or what `readers` make of the row.

    Where it is a mere value, `value_of` is the class of its rows: equal rows are shown alike, and are shown often.

    `columns` say how PostgreSQL writes attributes, as JSON does, in a statement that has the row by the name {0}, which
    is `row_name` unless another object has it; and what relations lead to there. They have to say what the readers do.

    What a reader does may not depend on anything but the row. A plan reads `row` itself, by `readers`, and only what is
    selected; whoever else takes an attribute gets the same.
    """

    if TYPE_CHECKING:
        row: Row
    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    entity: ClassVar[Entity | None] = None
    value_of: ClassVar[type | None] = None
    columns: ClassVar[Mapping[str, Column | Joined]] = {}
    row_name: ClassVar[str] = ""

    @classmethod
    def of(cls, row: Row) -> Self:
        made = object.__new__(cls)
        made.__dict__["row"] = row
        return made

    def __getattr__(self, name: str) -> Any:
        """Read an attribute that was not given to the constructor. Raises AttributeError where the row has none."""
        row = self.__dict__.get("row")
        if row is None or name.startswith("__"):
            raise AttributeError(name)
        reader = self.readers.get(name)
        found = getattr(row, name) if reader is None else reader(row)
        self.__dict__[name] = found
        return found
