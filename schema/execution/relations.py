"""Fields that lead to what is loaded by a key, as a plan sees them: by their parts, to ask for many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias


class Loader(Protocol):
    """What loads by key, and joins what one moment asks for."""

    def load(self, key: Any, /) -> Awaitable[Any]:
        """Return what there is under the key, once it is awaited."""


class Relation(Protocol):
    """The parts of one field; the resolver that does the same one by one has it as its attribute `relation`.

    `by` names the attribute that the key is, or reads it from the object and the context. `absent` is what no key leads
    to. `finish` makes the field's value of what was loaded and of the arguments, and of nothing else. What a `public`
    one leads to is the same for everybody who has the object. Where it is `keyed_by_arguments`, `by` takes these too,
    and is no name.
    """

    @property
    def by(self) -> str | Callable[[Any, Any], Hashable | None]: ...

    @property
    def absent(self) -> Any: ...

    @property
    def public(self) -> bool: ...

    @property
    def keyed_by_arguments(self) -> bool: ...

    @property
    def finish(self) -> Callable[..., Any]: ...

    def loader(self, context: Any) -> Loader:
        """Return what loads it for one execution."""

    def key(self, source: Any, context: Any, arguments: Mapping[str, Any]) -> Hashable | None:
        """Return the key of an object; None where there is nothing to load. Raises what reading it raises."""


# What loading has come to, values and errors, by relation and key.
Outcomes: TypeAlias = dict[Relation, dict[Hashable, Any]]


def relation_of(resolver: object) -> Relation | None:
    """Return the parts of a field, by its resolver as it was written."""
    found: Relation | None = getattr(resolver, "relation", None)
    return found


def outcome(found: Any) -> Any:
    """Return what was loaded. Raises the error that it was."""
    if isinstance(found, BaseException):
        raise found
    return found


async def load_one(relation: Relation, key: Hashable, context: Any, outcomes: Outcomes | None) -> Any:
    """Return what is under a key, which may have been loaded before. Raises what loading raises."""
    if key is None:
        return relation.absent
    known = outcomes.get(relation) if outcomes else None
    if known is not None and key in known:
        return outcome(known[key])
    return await relation.loader(context).load(key)


async def load_all(wanted: Sequence[tuple[Relation, Iterable[Hashable]]], context: Any, outcomes: Outcomes) -> None:
    """Add to the outcomes what is wanted and not among them; everything is asked for before anything is awaited."""
    asked: dict[Relation, dict[Hashable, asyncio.Future[Any]]] = {}
    try:
        for relation, keys in wanted:
            known = outcomes.setdefault(relation, {None: relation.absent})
            load = relation.loader(context).load
            futures = asked.setdefault(relation, {})
            for key in keys:
                if key not in known and key not in futures:
                    futures[key] = asyncio.ensure_future(load(key))
        for relation, futures in asked.items():
            known = outcomes[relation]
            for key, future in futures.items():
                try:
                    known[key] = await future
                except Exception as error:
                    known[key] = error
    except BaseException:
        for futures in asked.values():
            for future in futures.values():
                future.cancel()
        raise
