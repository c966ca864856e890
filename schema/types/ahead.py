"""What a resolver may know of the selection below its field, so that it loads along what that leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kernel.shapes import Shape
from schema.types.context import Info
from schema.types.relations import Relation


class Ahead(Protocol):
    """The selection below one call of a resolver, as a plan knows it (`schema.execution.ahead`)."""

    def asked(self, relation: Relation, /) -> Sequence[dict[str, Any]]:
        """Return the arguments with which a relation is selected, for each place where who asks may have it."""

    def shape(self, kind: type, /, *, behind: Relation | None = None) -> Shape | None:
        """Return what is selected of the objects of a class, where that is one shape at one place."""

    def known(self, relation: Relation, /) -> dict[Any, Any]:
        """Return what is known to be under keys, to be added to. An exception is what loading has come to."""


def ahead_of(info: Info) -> Ahead | None:
    """Return what is selected below; None where an operation is not executed by a plan, or not often enough yet."""
    found: Ahead | None = getattr(info._raw_info, "ahead", None)
    return found
