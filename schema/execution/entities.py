"""Entities that are the same for everybody: the object of one is encoded once, and stands in answers as it was encoded.

A type says that it is one (`Entity`). What is selected of it makes a fragment if all of that is read from rows: from
the entity's own, and from what public relations lead to. What asks who wants to know, in which language, or when, is
not read like that, and makes no fragment. What is counted of an execution is kept beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from enum import Enum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import orjson
from graphql import GraphQLObjectType

from kernel.exact import exact
from schema.execution.classes import class_of

if TYPE_CHECKING:
    from schema.execution.arguments import Arguments
    from schema.execution.completing import Completion
    from schema.execution.running import Run
    from schema.execution.selections import SelectionLike

# Arguments that are written alike are alike, and a text is no longer than this, so that keys are short.
PLAIN = (str, int, float, bool, type(None), Enum)
TEXT_LENGTH_MAX = 64
DIGEST_BYTES = 16
# What a fragment takes beside its bytes, measured: its key, the two counts, and the objects that hold them.
BYTES_PER_KEPT = 160


class Entity(Protocol):
    """What a type that is read from a row says of itself, as its attribute `entity`.

    `key` is the attribute of the row that tells its objects apart; `below` are the classes of the objects that may be
    in its fragments. Other relations than public ones may not.
    """

    @property
    def key(self) -> str: ...

    @property
    def below(self) -> Collection[type]: ...


class Kept(NamedTuple):
    """The JSON of one object, and what writing it counts."""

    json: orjson.Fragment
    fields: int
    types: int


class Site:
    """What is selected of an entity at one place. Places where the same is selected have the same fragments."""

    __slots__ = ("_arguments", "_digest", "_weights", "counts")

    def __init__(self, signature: str, arguments: Sequence[Arguments], weights: Weights) -> None:
        self._digest = blake2b(signature.encode(), digest_size=DIGEST_BYTES).digest()
        self._arguments, self._weights = tuple(arguments), weights
        self.counts = weights.counts

    def selected(self, run: Run) -> Hashable | None:
        """Return what is selected in this execution, arguments included; None where there are no fragments of it."""
        if run.fragments is None:
            return None
        if not self._arguments:
            return self._digest
        # Raises what the way that knows errors has to look at.
        given = [sorted(each.read(run).items()) for each in self._arguments]
        if not all(_is_plain(value) for each in given for _, value in each):
            return None
        return self._digest, repr(given)

    def keep(self, run: Run, key: Hashable, written: Any) -> None:
        assert run.fragments is not None, "what is not looked for is not kept"
        if not run.fragments.wants(key):
            return
        try:
            body = exact(orjson.dumps(written, default=str))
        except TypeError:
            # The whole answer cannot be encoded either.
            return
        run.fragments.keep(
            key, Kept(orjson.Fragment(body), *self._weights.of(written)), size_bytes=len(body) + BYTES_PER_KEPT
        )


class Weights:
    """What is counted for an object of the answer and for what is below it."""

    __slots__ = ("_below", "_fields", "_types")

    def __init__(self, selection: SelectionLike) -> None:
        self._fields, self._types = selection.weights
        self._below: list[tuple[str, Weights]] = []
        for field in selection.fields:
            selected = None if field.constant is not None else _selected(field.completion)
            if selected is None:
                continue
            below = Weights(selected)
            if field.completion.objects is not None and not field.completion.nullable and not below._below:
                # It is there once for each object.
                self._fields += below._fields
                self._types += below._types
            elif below.counts:
                self._below.append((field.key, below))

    @property
    def counts(self) -> bool:
        return bool(self._fields or self._types or self._below)

    def of(self, written: Any) -> tuple[int, int]:
        """Return what is counted for a part of the answer: an object, a list, or nothing."""
        if written is None:
            return 0, 0
        if isinstance(written, list):
            each = [self.of(item) for item in written]
            return sum(fields for fields, _ in each), sum(types for _, types in each)
        fields, types = self._fields, self._types
        for key, below in self._below:
            more = below.of(written[key])
            fields, types = fields + more[0], types + more[1]
        return fields, types


def entity_of(kind: type | None) -> Entity | None:
    """Return what a class says of itself, if it says that its objects are entities."""
    found: Entity | None = getattr(kind, "entity", None)
    return found


def site_of(entity: Entity, kind: type, selection: SelectionLike) -> Site | None:
    """Return the place where a selection of an entity stands; None where it is none that fragments are made of."""
    arguments: list[Arguments] = []
    try:
        signature = f"{kind.__module__}.{kind.__qualname__}{_signature(entity, selection, arguments)}"
    except _Refused:
        return None
    return Site(signature, arguments, Weights(selection))


class _Refused(Exception):
    """Something in a selection may differ from one who asks to another."""


def _signature(entity: Entity, selection: SelectionLike, arguments: list[Arguments]) -> str:
    """Return what is selected as a text, but for arguments, which are added to the list. Raises _Refused."""
    parts: list[str] = []
    for field in selection.fields:
        if field.constant is not None:
            parts.append(f"{field.key}={field.constant!r}")
            continue
        simple = field.simple
        if simple is None or simple.function is not None or simple.guarded is not None:
            raise _Refused
        if simple.relation is not None:
            if not simple.relation.public or not isinstance(simple.relation.by, str):
                raise _Refused
            assert simple.arguments is not None
            if simple.arguments.constant is None:
                arguments.append(simple.arguments)
            elif not all(map(_is_plain, simple.arguments.constant.values())):
                raise _Refused
            else:
                parts.append(repr(sorted(simple.arguments.constant.items())))
        selected = _selected(field.completion)
        below = ""
        if selected is not None:
            if _class_below(field.completion) not in entity.below:
                raise _Refused
            below = _signature(entity, selected, arguments)
        parts.append(f"{field.key}:{field.name}{below}")
    return "{" + " ".join(parts) + "}"


def _selected(part: Completion) -> SelectionLike | None:
    """Return what is selected of the objects of a part, through lists; None where there are none."""
    while part.items is not None:
        part = part.items.inside
    return cast("SelectionLike", part.objects.selection) if part.objects is not None else None


def _class_below(part: Completion) -> type | None:
    while part.items is not None:
        part = part.items.inside
    assert part.objects is not None
    kind: GraphQLObjectType = part.objects.kind
    return class_of(kind)


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) and not (isinstance(value, str) and len(value) > TEXT_LENGTH_MAX)
