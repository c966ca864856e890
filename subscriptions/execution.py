"""Operations: read once, executed as often as it takes, and encoded as they are sent."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol, cast

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
)
from graphql import execute as execute_root
from graphql.execution import create_source_event_stream
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.events.ports import EventSource
from kernel import opaque
from schema.types.context import Context, Loaders
from schema.types.delivery import DeliveryRule, rule_of
from subscriptions.deliveries import Delivery, OperationRefused
from subscriptions.errors import internal_error, present
from subscriptions.requests import GraphQLRequest


class ExecutableSchema(Protocol):
    """A schema that keeps the documents it has read."""

    @property
    def core(self) -> GraphQLSchema: ...

    def read(self, text: str) -> tuple[DocumentNode, list[GraphQLError]]: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """One operation that may be executed: its document is valid, and it is clear which of its operations is meant."""

    text: str
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None

    @property
    def type(self) -> OperationType:
        return self.operation.operation

    @property
    def name(self) -> str | None:
        return self.operation.name.value if self.operation.name else None

    @property
    def root(self) -> FieldNode:
        """The root field of a subscription; validation sees to it that there is one only."""
        return _first_field(self.document, self.operation.selection_set.selections)


class Executor:
    """Reads and executes the operations of one schema. `loaders` builds the loaders of one execution."""

    def __init__(self, schema: ExecutableSchema, *, loaders: Callable[[], Loaders]) -> None:
        self._schema = schema
        self._loaders = loaders

    def prepare(self, asked: GraphQLRequest, context: Context) -> Prepared:
        """Raises OperationRefused where the document is not valid, or the operation is not in it."""
        try:
            document, errors = self._schema.read(asked.query)
        except GraphQLError as error:
            raise OperationRefused(present([error], locale=context.locale)) from None
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if asked.operation_name is None and len(operations) > 1:
            raise _refused("OPERATION_NAME_REQUIRED", "The document has several operations; say which one.")
        named = [each for each in operations if asked.operation_name in (None, each.name and each.name.value)]
        if not named:
            raise _refused("OPERATION_NOT_FOUND", "The document has no such operation.")
        if errors:
            raise OperationRefused(present(errors, locale=context.locale))
        return Prepared(asked.query, document, named[0], asked.variables, asked.extensions)

    def rule_of(self, prepared: Prepared) -> DeliveryRule | None:
        """Return what the schema says of a subscription's delivery."""
        return rule_of(self._schema.core, prepared.root.name.value)

    async def answer(self, prepared: Prepared, context: Context) -> dict[str, Any]:
        """Execute a query or a mutation. Without `data` nothing was executed, as where the variables are refused."""
        result = await self._execute(prepared, context, None)
        body: dict[str, Any] = {}
        if result.data is not None or any(error.path is not None for error in result.errors or []):
            body["data"] = result.data
        if result.errors:
            body["errors"] = present(result.errors, locale=context.locale)
        if result.extensions:
            body["extensions"] = result.extensions
        return body

    async def subscribe(
        self, prepared: Prepared, context: Context, *, events: EventSource | None = None
    ) -> AsyncGenerator[Delivery, None]:
        """Return the deliveries of one subscription, as fast as they are taken; close the generator when done.

        Raises OperationRefused where the subscription does not begin. `events` takes the place of the process's own
        source. What fails later is raised by the generator as it is.
        """
        source = await self.source(prepared, context, events=events)
        return self._deliveries(prepared, context, source)

    async def source(
        self, prepared: Prepared, context: Context, *, events: EventSource | None = None
    ) -> AsyncGenerator[Any, None]:
        """Return the root values of a subscription, not yet executed. Raises OperationRefused."""
        executor = StrawberryGraphQLCoreExecutionContext.build(
            self._schema.core,
            prepared.document,
            context_value=self._context(context, events),
            raw_variable_values=prepared.variables,
            operation_name=prepared.name,
            operation_extensions=prepared.extensions,
        )
        if isinstance(executor, list):
            raise OperationRefused(present(executor, locale=context.locale))
        stream = create_source_event_stream(executor)
        if isawaitable(stream):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            raise OperationRefused(present(stream.errors or [], locale=context.locale))
        return cast("AsyncGenerator[Any, None]", stream)

    async def render(self, prepared: Prepared, context: Context, event: object) -> Delivery:
        """Execute the selection for one root value, with loaders of its own, and encode the result."""
        result = await self._execute(prepared, context, event)
        cursor = getattr(event, "cursor", None)
        return Delivery(
            payload=encode(result, context),
            cursor=cursor,
            position=int(opaque.unpack(cursor)[-1]) if cursor else 0,
            key=getattr(event, "conflation_key", None),
        )

    async def _execute(self, prepared: Prepared, context: Context, root: object) -> ExecutionResult:
        result = execute_root(
            self._schema.core,
            prepared.document,
            root,
            self._context(context),
            prepared.variables,
            prepared.name,
            executor_class=StrawberryGraphQLCoreExecutionContext,
            operation_extensions=prepared.extensions,
        )
        return await result if isawaitable(result) else result

    async def _deliveries(
        self, prepared: Prepared, context: Context, source: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Delivery, None]:
        async with aclosing(source):
            async for event in source:
                yield await self.render(prepared, context, event)

    def _context(self, context: Context, events: EventSource | None = None) -> Context:
        services = dataclasses.replace(context.services, events=events) if events else context.services
        return dataclasses.replace(context, loaders=self._loaders(), services=services)


def encode(result: ExecutionResult, context: Context) -> bytes:
    """Return a result as JSON: `data`, and `errors` and `extensions` where there are any."""
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = present(result.errors, locale=context.locale)
    if result.extensions:
        body["extensions"] = result.extensions
    return orjson.dumps(body, default=str)


def failure(error: Exception, context: Context) -> list[dict[str, Any]]:
    """Return what a client may know of an error that ended its stream."""
    if isinstance(error, OperationRefused):
        return error.errors
    if isinstance(error, GraphQLError):
        return present([error], locale=context.locale)
    return [internal_error(error, locale=context.locale)]


def _refused(code: str, message: str) -> OperationRefused:
    return OperationRefused([{"message": message, "extensions": {"code": code}}])


def _first_field(document: DocumentNode, selections: Sequence[SelectionNode]) -> FieldNode:
    selection = selections[0]
    if isinstance(selection, FieldNode):
        return selection
    if isinstance(selection, InlineFragmentNode):
        return _first_field(document, selection.selection_set.selections)
    assert isinstance(selection, FragmentSpreadNode)
    fragment = next(
        each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode) and each.name.value == selection.name.value
    )
    return _first_field(document, fragment.selection_set.selections)
