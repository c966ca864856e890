"""One execution under way: what all of its fields have in common, its errors, and the places in its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from copy import copy
from typing import Any, Protocol, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import Path as CorePath
from graphql.pyutils import gather_with_cancel, is_awaitable
from graphql.type import GraphQLResolveInfoHelpers

from kernel.shapes import Shape, Written
from schema.execution.ahead import Ahead, LedTo, led_to
from schema.execution.relations import Outcomes, Relation

# The place above, the key there, and the type whose field the key is; None where it is an index of a list. Most places
# are never shown to anybody, so they are plain tuples.
Place: TypeAlias = tuple[Any, str | int, str | None]


def keys_of(place: Place | None) -> list[str | int]:
    """Return the path of a place as an error shows it."""
    keys: list[str | int] = []
    while place is not None:
        keys.append(place[1])
        place = place[0]
    keys.reverse()
    return keys


def path_of(place: Place) -> CorePath:
    """Return a place as graphql-core has it."""
    above = path_of(place[0]) if place[0] is not None else None
    return CorePath(above, place[1], place[2])


class Meter(Protocol):
    """Counts what was executed."""

    fields: int
    types: int


class Metering(Protocol):
    """What is counted of an execution."""

    def weigh(self, kind: GraphQLObjectType, names: Iterable[str]) -> tuple[int, int]:
        """Return what is counted for the fields that are selected of an object, and for the object."""

    def meter_of(self, context: Any) -> Meter | None:
        """Return where the execution in this context is counted."""


class Fragments(Protocol):
    """Where one execution finds fragments, and keeps those of what it has read since it began."""

    @property
    def get(self) -> Callable[[Hashable], Any]:
        """Returns what is kept under a key; None where nothing is."""

    @property
    def wants(self) -> Callable[[Hashable], bool]:
        """Returns whether what would be kept under a key is worth making."""

    def keep(self, key: Hashable, value: Any, *, size_bytes: int) -> bool:
        """Return whether it is kept, which it is unless what it was made of may have changed."""


class Operation:
    """What every execution of one operation has in common."""

    __slots__ = ("fragments", "generates_after", "hide_suggestions", "metering", "node", "schema")

    def __init__(
        self,
        schema: GraphQLSchema,
        node: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        *,
        hide_suggestions: bool,
        metering: Metering | None = None,
        generates_after: int = 0,
    ) -> None:
        """Code is generated for a plan that was executed `generates_after` times."""
        self.schema, self.node, self.fragments, self.hide_suggestions = schema, node, fragments, hide_suggestions
        self.metering, self.generates_after = metering, generates_after


class Run:
    """One execution. Errors are noted as graphql-core does it: what lies below a place that is null already is not."""

    __slots__ = (
        "_background",
        "_nulled",
        "coerced",
        "context",
        "errors",
        "extensions",
        "fragments",
        "generated",
        "meter",
        "operation",
        "outcomes",
        "root",
        "variables",
    )

    def __init__(
        self,
        operation: Operation,
        variables: VariableValues,
        *,
        root: Any,
        context: Any,
        extensions: dict[str, Any] | None,
        fragments: Fragments | None = None,
    ) -> None:
        self.operation, self.variables, self.coerced = operation, variables, variables.coerced
        self.root, self.context, self.extensions = root, context, extensions
        self.meter = operation.metering.meter_of(context) if operation.metering is not None else None
        self.fragments = fragments
        self.errors: list[GraphQLError] = []
        self._nulled: set[Place | None] = set()
        self._background: set[asyncio.Future[Any]] = set()
        # Whether what can be is written by generated code, and what relations have come to before.
        self.generated = False
        self.outcomes: Outcomes | None = None

    def again(self, outcomes: Outcomes) -> Run:
        """Return this execution for a part that is executed once more, without loading again what was loaded."""
        run = copy(self)
        run.outcomes = outcomes
        return run

    def written(self, part: Written) -> Any:
        """Return a part of the answer that the database has written, which is counted as if it were executed."""
        if self.meter is not None:
            self.meter.fields += part.fields
            self.meter.types += part.types
        return part.json

    def note(self, error: GraphQLError, place: Place | None) -> None:
        """Note an error that makes the value at this place null."""
        nulled = self._nulled
        if nulled:
            above = place
            while above is not None:
                if above in nulled:
                    return
                above = above[0]
            if None in nulled:
                return
        nulled.add(place)
        self.errors.append(error)

    def settle(self, awaitables: Sequence[Awaitable[Any]]) -> None:
        """Let what was begun come to its end, though nobody waits for it any more."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            for each in awaitables:
                if asyncio.iscoroutine(each):
                    each.close()
            return
        future = asyncio.gather(*awaitables, return_exceptions=True)
        self._background.add(future)
        future.add_done_callback(self._background.discard)

    def track(self, values: Sequence[Any]) -> None:
        awaitables = [each for each in values if is_awaitable(each)]
        if awaitables:
            self.settle(awaitables)


class Site:
    """One field at one place of the document, on one type: what errors, resolvers and types are told of it."""

    __slots__ = (
        "_led_to", "completion", "definition", "details", "key", "name", "nodes", "non_null", "parent", "shapes",
    )  # fmt: skip

    def __init__(self, parent: GraphQLObjectType, key: str, name: str, definition: Any, details: list[Any]) -> None:
        self.parent, self.key, self.name, self.definition, self.details = parent, key, name, definition, details
        self.nodes: list[FieldNode] = [each.node for each in details]
        # How the field's value is completed.
        self.completion: Any = None
        self._led_to: LedTo | None = None
        # What the database may write of objects below, by their class and the relation that leads to them.
        self.shapes: dict[tuple[type, Relation | None], Shape | None] = {}

    @property
    def led_to(self) -> LedTo:
        """The relations that are selected below, found when somebody first asks."""
        if self._led_to is None:
            self._led_to = led_to(self.completion)
        return self._led_to


class ResolveInfo:
    """GraphQLResolveInfo of one call of a resolver, of which nothing is put together before it is asked for."""

    __slots__ = ("_place", "_run", "_site", "context")

    def __init__(self, run: Run, site: Site, place: Place) -> None:
        self._run, self._site, self._place = run, site, place
        self.context = run.context

    @property
    def outcomes(self) -> Outcomes | None:
        return self._run.outcomes

    @property
    def ahead(self) -> Ahead | None:
        """What is selected below; None as long as the operation is not known well."""
        return Ahead(self._run, self._site) if self._run.generated else None

    @property
    def field_name(self) -> str:
        return self._site.name

    @property
    def field_nodes(self) -> list[FieldNode]:
        return self._site.nodes

    @property
    def return_type(self) -> GraphQLOutputType:
        kind: GraphQLOutputType = self._site.definition.type
        return kind

    @property
    def parent_type(self) -> GraphQLObjectType:
        return self._site.parent

    @property
    def path(self) -> CorePath:
        place = self._place
        # The items of a list are completed with what was told of the list.
        while place[2] is None:
            place = place[0]
        return path_of(place)

    @property
    def schema(self) -> GraphQLSchema:
        return self._run.operation.schema

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return self._run.operation.fragments

    @property
    def root_value(self) -> Any:
        return self._run.root

    @property
    def operation(self) -> OperationDefinitionNode:
        return self._run.operation.node

    @property
    def variable_values(self) -> dict[str, Any]:
        return self._run.coerced

    @property
    def is_awaitable(self) -> Callable[[Any], bool]:
        return is_awaitable

    @property
    def abort_signal(self) -> None:
        return None

    @property
    def async_helpers(self) -> GraphQLResolveInfoHelpers:
        return GraphQLResolveInfoHelpers(gather=lambda values: gather_with_cancel(*values), track=self._run.track)

    @property
    def operation_extensions(self) -> dict[str, Any] | None:
        return self._run.extensions


# What it stands for is a tuple with the same names.
InfoLike: TypeAlias = GraphQLResolveInfo[Any] | ResolveInfo
