"""Fields that lead from an object to what is loaded by a key: declared by their parts, so that many are loaded at once.

To graphql-core and to strawberry such a field is an async resolver like another. A plan finds its parts by the name
`relation` (`schema.execution.relations.Relation`) and does for a whole level at once what the resolver does for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, Protocol, TypeAlias

import strawberry
from strawberry.types.base import get_object_definition

from schema.types.context import Context, Info, Loaders


class Loader(Protocol):
    """What loads by key, and joins what one moment asks for."""

    def load(self, key: Any, /) -> Awaitable[Any]:
        """Return what there is under the key."""


# An attribute of the object, or what reads the key from it, from who asks, and from the arguments if they are in it.
By: TypeAlias = str | Callable[..., Hashable | None]


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """The parts of one field. `finish` takes what was loaded and the arguments; `absent` is what no key leads to.

    What a `public` one leads to is the same for everybody, and is forgotten with the object where that is kept.
    """

    by: By
    finish: Callable[..., Any]
    absent: Any
    loader_of: Callable[[Loaders], Loader]
    public: bool = False
    keyed_by_arguments: bool = False

    def loader(self, context: Context) -> Loader:
        return self.loader_of(context.loaders)

    def key(self, source: Any, context: Context, arguments: Mapping[str, Any]) -> Hashable | None:
        """Return the key; None where there is nothing to load. Raises what reading it raises."""
        if self.keyed_by_arguments:
            assert not isinstance(self.by, str), "an attribute takes no arguments"
            return self.by(source, context, **arguments)
        if isinstance(self.by, str):
            key: Hashable | None = getattr(source, self.by)
            return key
        return self.by(source, context)


def by_viewer(attribute: str) -> By:
    """Return a key of who asks and of what is asked for, for what not everybody may see; nobody sees anything."""

    def key(source: Any, context: Context) -> Hashable | None:
        named = getattr(source, attribute)
        return (context.viewer, named) if context.viewer and named else None

    return key


def relation(
    loader: Callable[[Loaders], Loader],
    *,
    by: By,
    absent: Any = None,
    public: bool = False,
    keyed_by_arguments: bool = False,
    description: str,
    directives: Sequence[object] = (),
) -> Callable[[Any], Any]:
    """Declare a field by the static method that makes its value of what was loaded, and of the field's arguments.

    The method must do nothing else: it may be called once for all objects with the same key. A `public` field may be in
    a fragment (see `schema.types.rows.Entity`). `by` takes the arguments as well where they are in the key.
    """

    def declare(method: Any) -> Any:
        finish = method.__func__ if isinstance(method, staticmethod) else method
        parts = Relation(
            by=by,
            finish=finish,
            absent=absent,
            loader_of=loader,
            public=public,
            keyed_by_arguments=keyed_by_arguments,
        )
        return strawberry.field(resolver=_resolver(parts), description=description, directives=directives)

    return declare


def parts_of(kind: type, name: str) -> Relation:
    """Return the parts of a relation of a type, by the name of its method."""
    field = next(each for each in get_object_definition(kind, strict=True).fields if each.python_name == name)
    found = getattr(field.base_resolver and field.base_resolver.wrapped_func, "relation", None)
    assert isinstance(found, Relation), name
    return found


def _resolver(parts: Relation) -> Callable[..., Awaitable[Any]]:
    """Return the resolver, whose signature is the method's behind `self` and `info`."""

    async def resolve(self: Any, info: Info, **arguments: Any) -> Any:
        key = parts.key(self, info.context, arguments)
        loaded = parts.absent if key is None else await parts.loader(info.context).load(key)
        return parts.finish(loaded, **arguments)

    finish: Any = parts.finish
    shape = signature(finish)
    _, *own = shape.parameters.values()
    first = [
        Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
        Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=Info),
    ]
    annotations = {name: finish.__annotations__[name] for name in (*(each.name for each in own), "return")}
    written: Any = resolve
    written.__signature__ = shape.replace(parameters=[*first, *own])
    written.__annotations__ = annotations
    written.__name__, written.__qualname__, written.__module__ = (
        finish.__name__,
        finish.__qualname__,
        finish.__module__,
    )
    written.relation = parts
    return resolve
