"""What is selected below a field, for a resolver that can load along with its own value what that leads to.

What it has loaded so is told to the execution, which then finds it there instead of loading it. Whoever does not look
ahead loses nothing but statements: relations are loaded where they are met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from kernel.shapes import Shape
from schema.execution.classes import class_of
from schema.execution.relations import Relation

if TYPE_CHECKING:
    from schema.execution.completing import Completion
    from schema.execution.running import Run, Site
    from schema.execution.selections import FieldLike, SelectionLike

# Where each relation is selected below one field: once, or more often under other names or with other arguments.
LedTo: TypeAlias = "dict[Relation, list[FieldLike]]"


def led_to(part: Completion) -> LedTo:
    """Return the relations that are selected below a part of the answer, those below other relations among them."""
    found: LedTo = {}
    _collect(part, found)
    return found


def _collect(part: Completion, found: LedTo) -> None:
    while part.items is not None:
        part = part.items.inside
    if part.objects is None:
        return
    for field in cast("SelectionLike", part.objects.selection).fields:
        simple = field.simple if field.constant is None else None
        if simple is not None:
            if simple.relation is not None:
                found.setdefault(simple.relation, []).append(field)
            _collect(field.completion, found)


def _find(part: Completion, kind: type, found: list[SelectionLike]) -> None:
    """Add what is selected of objects of a class in a part of the answer, as far as no relation leads to them."""
    while part.items is not None:
        part = part.items.inside
    if part.objects is None:
        return
    selection = cast("SelectionLike", part.objects.selection)
    if class_of(part.objects.kind) is kind:
        found.append(selection)
        return
    for field in selection.fields:
        if field.constant is None and (field.simple is None or field.simple.relation is None):
            _find(field.completion, kind, found)


class Ahead:
    """The selection below one call of a resolver."""

    __slots__ = ("_run", "_site")

    def __init__(self, run: Run, site: Site) -> None:
        self._run, self._site = run, site

    def asked(self, relation: Relation) -> Sequence[dict[str, Any]]:
        """Return the arguments with which a relation is selected, for each place where who asks may have it.

        A place whose arguments are not as expected is left out, since what is wrong is said where it stands.
        """
        places = self._site.led_to.get(relation)
        if places is None:
            return ()
        found: list[dict[str, Any]] = []
        for place in places:
            simple = place.simple
            assert simple is not None, "a relation is simple"
            assert simple.arguments is not None, "and has its arguments"
            try:
                if simple.permits is None or simple.permits(None, self._run) is True:
                    constant = simple.arguments.constant
                    found.append(simple.arguments.read(self._run) if constant is None else constant)
            except Exception:  # noqa: S112 - it is raised again where the relation is met
                continue
        return found

    def shape(self, kind: type, *, behind: Relation | None = None) -> Shape | None:
        """Return what is selected of the objects of a class, where that is one shape at one place.

        Those behind a relation are meant, or those that the field has without any.
        """
        shapes = self._site.shapes
        key = kind, behind
        if key not in shapes:
            selections: list[SelectionLike] = []
            if behind is None:
                _find(self._site.completion, kind, selections)
            for field in self._site.led_to.get(behind, ()) if behind is not None else ():
                _find(field.completion, kind, selections)
            shapes[key] = selections[0].shape if len(selections) == 1 else None
        return shapes[key]

    def known(self, relation: Relation) -> dict[Any, Any]:
        """Return what is known to be under keys, to be added to. An exception is what loading has come to."""
        outcomes = self._run.outcomes
        if outcomes is None:
            outcomes = self._run.outcomes = {}
        known = outcomes.get(relation)
        if known is None:
            known = outcomes[relation] = {None: relation.absent}
        return known
