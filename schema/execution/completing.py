"""How the value of a field becomes a part of the answer: by a function that is put together from the field's type.

Each function takes the run, the value and its place, and returns what goes into the answer, or a coroutine of that
where something below has to be waited for. What it raises is for the field to handle, or for the item of a list. The
steps, their order and the words of errors are graphql-core's: https://spec.graphql.org/October2021/#sec-Value-Completion
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from types import CoroutineType
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    located_error,
)
from graphql.execution.executor import collect_iterator_awaitables, invalid_return_type_error
from graphql.pyutils import gather_with_cancel, inspect, is_awaitable, is_iterable

from kernel.shapes import Written
from schema.execution.generated import FAILED, Generated
from schema.execution.leaves import writer
from schema.execution.running import Place, ResolveInfo, Run, Site, keys_of
from schema.execution.typing import is_cast, is_checked_by_class, is_found_by_class, type_name_of, valid_type

Complete: TypeAlias = Callable[[Run, Any, Place], Any]


class Completion(NamedTuple):
    """How values of one type are completed.

    `known` are classes whose values go straight to their selection; where `minds_casts`, those that are not cast.
    One of the last three says of what the type is made, unless it is abstract.
    """

    complete: Complete
    known: dict[type, Selection]
    nullable: bool
    minds_casts: bool = False
    leaf: Leaf | None = None
    objects: Objects | None = None
    items: Items | None = None


class Selection(Protocol):
    """The fields that are selected of an object, of which the type is known."""

    def execute(self, run: Run, source: Any, place: Place | None) -> Any:
        """Return the answer's object, or a coroutine of it."""


class Select(Protocol):
    """What stands below one site."""

    def __call__(self, kind: GraphQLObjectType, /) -> Selection:
        """Return the selection on one type, which is put together when it is first needed."""

    def generated(self, items: Items, /) -> Generated:
        """Return what writes lists at this site by generated code."""


def completion(kind: GraphQLOutputType, site: Site, select: Select) -> Completion:
    """Return what completes values of a type."""
    absent: Callable[[], None] = _nothing
    nullable = not is_non_null_type(kind)
    if not nullable:
        kind = cast(Any, kind).of_type
        absent = _refusing(site)
    if is_list_type(kind):
        items = Items(kind.of_type, site, select)
        return Completion(_list(items, site, absent), {}, nullable, items=items)
    if is_leaf_type(kind):
        leaf = Leaf(kind, absent)
        return Completion(leaf.complete, {}, nullable, leaf=leaf)
    if is_abstract_type(kind):
        complete, known = _abstract(kind, site, select, absent)
        return Completion(complete, known, nullable, minds_casts=True)
    objects = Objects(cast(GraphQLObjectType, kind), site, select, absent)
    return Completion(objects.complete, objects.known, nullable, minds_casts=objects.minds_casts, objects=objects)


def _nothing() -> None:
    return None


def _refusing(site: Site) -> Callable[[], None]:
    message = f"Cannot return null for non-nullable field {site.parent}.{site.name}."

    def refuse() -> None:
        raise TypeError(message)

    return refuse


def fail(run: Run, error: Exception, site: Site, place: Place, *, non_null: bool) -> None:
    """Raise what went wrong at a place, with the place, or note it where the place may be null."""
    located = located_error(error, site.nodes, keys_of(place))
    if non_null:
        raise located
    run.note(located, place)


class Leaf:
    """How values of a scalar or an enum are completed. `seen` are classes whose values are just written."""

    __slots__ = ("_absent", "kind", "seen", "write")

    def __init__(self, kind: Any, absent: Callable[[], None]) -> None:
        self.kind, self._absent = kind, absent
        self.write = writer(kind)
        self.seen: set[type] = set()

    def complete(self, _run: Run, value: Any, _place: Place) -> Any:
        if value is None or value is Undefined:
            return self._absent()
        if isinstance(value, Exception):
            raise value
        if not hasattr(type(value), "__await__"):
            self.seen.add(type(value))
        return self.checked(value, self.write(value))

    def checked(self, value: Any, written: Any) -> Any:
        """Return what was written, or a coroutine of it. Raises TypeError where nothing was."""
        if written is None or written is Undefined:
            raise TypeError(
                f"Expected `{inspect(self.kind)}.coerce_output_value({inspect(value)})` to return non-nullable value,"
                f" returned: {inspect(written)}"
            )
        return _awaiting(written) if hasattr(type(written), "__await__") else written


async def _awaiting(value: Any) -> Any:
    return await value


class Objects:
    """How values of one object type at one site are completed. Those of the classes in `known` are just executed."""

    __slots__ = ("_absent", "_by_class", "_select", "_selection", "_site", "kind", "known", "minds_casts")

    def __init__(self, kind: GraphQLObjectType, site: Site, select: Select, absent: Callable[[], None]) -> None:
        self.kind, self._site, self._select, self._absent = kind, site, select, absent
        self._selection: Selection | None = None
        self._by_class, self.minds_casts = is_checked_by_class(kind), kind.is_type_of is not None
        self.known: dict[type, Selection] = {}

    @property
    def selection(self) -> Selection:
        if self._selection is None:
            self._selection = self._select(self.kind)
        return self._selection

    def complete(self, run: Run, value: Any, place: Place) -> Any:
        if value is None or value is Undefined:
            return self._absent()
        if isinstance(value, Exception):
            raise value
        selection, is_type_of = self.selection, self.kind.is_type_of
        if type(value) in self.known and (is_type_of is None or not is_cast(value)):
            return selection.execute(run, value, place)
        if is_type_of is None:
            if not hasattr(type(value), "__await__"):
                self.known[type(value)] = selection
            return selection.execute(run, value, place)
        checked = is_type_of(value, cast(Any, ResolveInfo(run, self._site, place)))
        if is_awaitable(checked):
            return _execute_if(checked, self.kind, selection, run, value, place, self._site)
        if not checked:
            raise invalid_return_type_error(self.kind, value, self._site.details)
        if self._by_class and not is_cast(value):
            self.known[type(value)] = selection
        return selection.execute(run, value, place)


async def _execute_if(
    checked: Any, kind: GraphQLObjectType, selection: Selection, run: Run, value: Any, place: Place, site: Site
) -> Any:
    if not await checked:
        raise invalid_return_type_error(kind, value, site.details)
    executed = selection.execute(run, value, place)
    return await executed if type(executed) is CoroutineType else executed


def _abstract(
    kind: Any, site: Site, select: Select, absent: Callable[[], None]
) -> tuple[Complete, dict[type, Selection]]:
    known: dict[type, Selection] = {}
    objects: dict[GraphQLObjectType, Complete] = {}

    def as_object(name: Any, run: Run, value: Any, place: Place) -> Any:
        found = valid_type(name, kind, site, run, value, place)
        if found not in objects:
            objects[found] = Objects(found, site, select, absent).complete
        completed = objects[found](run, value, place)
        if is_found_by_class(kind, found, value) and is_checked_by_class(found) and not is_cast(value):
            known[type(value)] = select(found)
        return completed

    async def as_object_later(name: Any, run: Run, value: Any, place: Place) -> Any:
        completed = as_object(await name, run, value, place)
        return await completed if type(completed) is CoroutineType else completed

    def complete(run: Run, value: Any, place: Place) -> Any:
        if value is None or value is Undefined:
            return absent()
        if isinstance(value, Exception):
            raise value
        selection = known.get(type(value))
        if selection is not None and not is_cast(value):
            return selection.execute(run, value, place)
        name = type_name_of(kind, site, run, value, place)
        return (as_object_later if is_awaitable(name) else as_object)(name, run, value, place)

    return complete, known


def _list(items: Items, site: Site, absent: Callable[[], None]) -> Complete:
    generated = items.generated

    def complete(run: Run, value: Any, place: Place) -> Any:
        if value is None or value is Undefined:
            return absent()
        if isinstance(value, Exception):
            raise value
        if type(value) is Written:
            return run.written(value)
        if hasattr(value, "__aiter__"):
            return items.complete_as_they_come(run, value.__aiter__(), place)
        if not is_iterable(value):
            raise GraphQLError(f"Expected Iterable, but did not find one for field '{site.parent}.{site.name}'.")
        if run.generated and type(value) is list:
            written = generated(run, value, place, items.complete_list)
            if written is not FAILED:
                return written
        return items.complete(run, iter(value), place)

    return complete


class Items:
    """The items of the lists at one site."""

    __slots__ = ("_complete", "_known", "_minds_casts", "_non_null", "_site", "generated", "inside")

    def __init__(self, kind: GraphQLOutputType, site: Site, select: Select) -> None:
        self.inside = inside = completion(kind, site, select)
        self._complete, self._known, self._minds_casts = inside.complete, inside.known, inside.minds_casts
        self._site = site
        self._non_null = not inside.nullable
        self.generated = select.generated(self)

    def complete_list(self, run: Run, value: list[Any], place: Place) -> list[Any] | Coroutine[Any, Any, list[Any]]:
        return self.complete(run, iter(value), place)

    def complete(self, run: Run, items: Iterator[Any], place: Place) -> list[Any] | Coroutine[Any, Any, list[Any]]:
        completed: list[Any] = []
        waiting: list[int] | None = None
        index = 0
        try:
            for item in items:
                result = self._item(run, item, (place, index, None))
                if type(result) is CoroutineType:
                    waiting = [index] if waiting is None else [*waiting, index]
                completed.append(result)
                index += 1
        except Exception:
            begun = [completed[each] for each in waiting or ()]
            # What the rest of the list holds must not be left without anybody who hears of its errors.
            begun += collect_iterator_awaitables(items, is_awaitable)
            if begun:
                run.settle(begun)
            raise
        return completed if waiting is None else _gathered(completed, waiting)

    async def complete_as_they_come(self, run: Run, items: AsyncIterator[Any], place: Place) -> list[Any]:
        completed: list[Any] = []
        waiting: list[int] = []
        try:
            while True:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                except Exception as error:
                    raise located_error(error, self._site.nodes, keys_of(place)) from error
                result = self._item(run, item, (place, len(completed), None))
                if type(result) is CoroutineType:
                    waiting.append(len(completed))
                completed.append(result)
        except Exception:
            with suppress(Exception):
                await cast(Any, items).aclose()
            if waiting:
                run.settle([completed[index] for index in waiting])
            raise
        return await _gathered(completed, waiting) if waiting else completed

    def _item(self, run: Run, item: Any, place: Place) -> Any:
        """Return an item, or a coroutine of it. Raises what makes the whole list null."""
        try:
            selection = self._known.get(type(item))
            if selection is not None and not (self._minds_casts and is_cast(item)):
                completed = selection.execute(run, item, place)
            elif hasattr(type(item), "__await__"):
                return self._later(run, item, place, resolved=False)
            else:
                completed = self._complete(run, item, place)
        except Exception as error:
            return fail(run, error, self._site, place, non_null=self._non_null)
        if type(completed) is CoroutineType:
            return self._later(run, completed, place, resolved=True)
        return completed

    async def _later(self, run: Run, awaitable: Any, place: Place, *, resolved: bool) -> Any:
        try:
            value = await awaitable
            if resolved:
                return value
            completed = self._complete(run, value, place)
            return await completed if type(completed) is CoroutineType else completed
        except Exception as error:
            return fail(run, error, self._site, place, non_null=self._non_null)


async def _gathered(completed: list[Any], waiting: list[int]) -> list[Any]:
    if len(waiting) == 1:
        completed[waiting[0]] = await completed[waiting[0]]
        return completed
    values = await gather_with_cancel(*(completed[index] for index in waiting))
    for index, value in zip(waiting, values, strict=True):
        completed[index] = value
    return completed
