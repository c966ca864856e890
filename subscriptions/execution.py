"""Operations: read once, executed as often as it takes, and encoded as they are sent."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, NamedTuple, TypeVar, cast

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
)
from graphql.execution import create_source_event_stream
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.events.ports import EventSource
from kernel import opaque
from kernel.deadlines import DeadlinePassed, Deadlines
from kernel.errors import YoukaError
from schema.types.caching import Keeping
from schema.types.charges import Meter
from schema.types.context import Context, Loaders
from schema.types.delivery import DeliveryRule, rule_of
from subscriptions.deliveries import Delivery, OperationRefused
from subscriptions.errors import internal_error, present
from subscriptions.fragments import KeptFragments
from subscriptions.requests import GraphQLRequest
from subscriptions.schemas import DeprecatedUses, Document, ExecutableSchema

T = TypeVar("T")


class OperationTimedOut(YoukaError):
    """It took longer than `maximum` seconds; a mutation may be done all the same, and its idempotency key tells."""

    code = "OPERATION_TIMED_OUT"
    messages = {
        "zh-CN": "处理超时（{maximum} 秒），请稍后再试",
        "en": "It took longer than {maximum} seconds; please try again later",
    }


class Executed(NamedTuple):
    """What came of an execution; it holds nothing of the request, and may be kept.

    `body` is the answer's JSON but for its `extensions`; `failed` says that it has errors. Where nothing was executed
    there is none, and `refused` says why, as where the variables are not what the operation takes.
    """

    body: bytes = b""
    extensions: dict[str, Any] | None = None
    refused: list[dict[str, Any]] | None = None
    failed: bool = False
    # How others may keep it, where they may, and until when at most, by the cache's clock.
    keeping: Keeping | None = None
    fresh_until: float = 0.0


class Prepared:
    """One operation that may be executed: its document is valid, and it is clear which of its operations is meant."""

    __slots__ = ("document", "extensions", "known", "operation", "text", "type", "variables")

    def __init__(
        self,
        text: str,
        known: Document,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any] | None,
        extensions: dict[str, Any] | None,
    ) -> None:
        self.text, self.known, self.document = text, known, document
        self.operation, self.variables, self.extensions = operation, variables, extensions
        # Asked for at every step.
        self.type: OperationType = operation.operation

    @property
    def name(self) -> str | None:
        return self.operation.name.value if self.operation.name else None

    @property
    def root(self) -> FieldNode:
        """The root field of a subscription; validation sees to it that there is one only."""
        return _first_field(self.document, self.operation.selection_set.selections)


class Executor:
    """Reads and executes the operations of one schema. `loaders` builds the loaders of one execution.

    What is read, and each event of a subscription, is given up after `timeout_s`; a mutation is done to its end.
    """

    def __init__(
        self,
        schema: ExecutableSchema,
        *,
        loaders: Callable[[], Loaders],
        timeout_s: float | None = None,
        fragments: KeptFragments | None = None,
    ) -> None:
        self._schema = schema
        self._loaders = loaders
        self.deadlines = Deadlines(timeout_s) if timeout_s is not None else None
        self._fragments = fragments

    def knows(self, text: str) -> bool:
        """Whether preparing an operation of this document takes next to nothing."""
        return self._schema.knows(text)

    def prepare(self, asked: GraphQLRequest, context: Context) -> Prepared:
        """Raises OperationRefused where it is over a limit, its document not valid, or the operation not in it."""
        try:
            self._schema.check_variables(asked.variables)
        except GraphQLError as error:
            raise OperationRefused(present([error], locale=context.locale)) from None
        document = self._schema.document(asked.query)
        if document.node is None:
            assert document.refusal is not None
            raise OperationRefused(present([document.refusal], locale=context.locale))
        operation = _named(document.operations, asked.operation_name)
        if document.errors:
            raise OperationRefused(present(document.errors, locale=context.locale))
        self._note_deprecated(document, asked.variables, context)
        return Prepared(asked.query, document, document.node, operation, asked.variables, asked.extensions)

    def _note_deprecated(self, document: Document, variables: dict[str, Any] | None, context: Context) -> None:
        if context.services.usage is None:
            return
        used = document.part("deprecated", self._schema.deprecated_in).of(variables)
        if used:
            context.services.usage.note(context.viewer.client_id if context.viewer else "", used)

    def uses_deprecated(self, prepared: Prepared) -> bool:
        """Whether a request asks for what is deprecated, which is noted each time."""
        uses: DeprecatedUses = prepared.known.part("deprecated", self._schema.deprecated_in)
        return bool(uses.of(prepared.variables))

    def rule_of(self, prepared: Prepared) -> DeliveryRule | None:
        """Return what the schema says of a subscription's delivery."""
        return rule_of(self._schema.core, prepared.root.name.value)

    def answer_bytes(self, prepared: Prepared, context: Context) -> Executed | Awaitable[Executed]:
        """Execute a query or a mutation in a context of its own; return what came of it, or what to await for it."""
        if self._fragments is not None and prepared.type is OperationType.QUERY:
            # What an event shows was read before its execution begins, and who changes something is to see it.
            context.fragments = self._fragments.view()
        begun = self._begin(prepared, context, None)
        if isinstance(begun, ExecutionResult):
            return executed(begun, context)
        return self._executed(prepared, context, begun)

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
            hide_suggestions=self._schema.hides_suggestions,
        )
        if isinstance(executor, list):
            raise OperationRefused(present(executor, locale=context.locale))
        stream = create_source_event_stream(executor)
        if isawaitable(stream):
            stream = await self._in_time(stream)
        if isinstance(stream, ExecutionResult):
            raise OperationRefused(present(stream.errors or [], locale=context.locale))
        return cast("AsyncGenerator[Any, None]", stream)

    async def render(self, prepared: Prepared, context: Context, event: object) -> Delivery:
        """Execute the selection for one root value, with loaders of its own, and encode the result."""
        meter = Meter()
        context = context.executing(meter=meter)
        begun = self._begin(prepared, context, event)
        result = begun if isinstance(begun, ExecutionResult) else await self._result(prepared, begun)
        cursor = getattr(event, "cursor", None)
        return Delivery(
            payload=encode(result, context),
            cursor=cursor,
            position=int(opaque.unpack(cursor)[-1]) if cursor else 0,
            key=getattr(event, "conflation_key", None),
            cost=meter.total,
        )

    def _begin(
        self, prepared: Prepared, context: Context, root: object
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        context.loaders = self._loaders()
        return self._schema.executor.execute(
            prepared.known,
            prepared.operation,
            root=root,
            context=context,
            variables=prepared.variables,
            extensions=prepared.extensions,
        )

    async def _executed(self, prepared: Prepared, context: Context, begun: Awaitable[ExecutionResult]) -> Executed:
        return executed(await self._result(prepared, begun), context)

    def _result(self, prepared: Prepared, begun: Awaitable[ExecutionResult]) -> Awaitable[ExecutionResult]:
        """Return what to await. What is cancelled is only read; a transaction ends in a task of its own."""
        return begun if prepared.type is OperationType.MUTATION else self._in_time(begun)

    async def _in_time(self, begun: Awaitable[T | ExecutionResult]) -> T | ExecutionResult:
        """Return what comes of it, a result with an error where it takes too long."""
        if self.deadlines is None:
            return await begun
        try:
            with self.deadlines.begin():
                return await begun
        except DeadlinePassed:
            late = OperationTimedOut(maximum=self.deadlines.seconds)
            return ExecutionResult(None, [GraphQLError(late.message("en"), original_error=late)])

    async def _deliveries(
        self, prepared: Prepared, context: Context, source: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Delivery, None]:
        async with aclosing(source):
            async for event in source:
                yield await self.render(prepared, context, event)

    def _context(self, context: Context, events: EventSource | None) -> Context:
        own = context.executing()
        own.loaders = self._loaders()
        if events:
            own.services = dataclasses.replace(context.services, events=events)
        return own


def _named(operations: Sequence[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode:
    """Return the operation that is meant. Raises OperationRefused."""
    if name is None and len(operations) > 1:
        raise _refused("OPERATION_NAME_REQUIRED", "The document has several operations; say which one.")
    for each in operations:
        if name is None or (each.name is not None and each.name.value == name):
            return each
    raise _refused("OPERATION_NOT_FOUND", "The document has no such operation.")


def _was_begun(error: GraphQLError) -> bool:
    """Whether the error arose in execution, so that the answer has `data`, if only null."""
    return error.path is not None or isinstance(error.original_error, OperationTimedOut)


def executed(result: ExecutionResult, context: Context) -> Executed:
    """Return a result as it is sent."""
    errors = result.errors
    if not errors:
        return Executed(orjson.dumps({"data": result.data}, default=str), extensions=result.extensions)
    presented = present(errors, locale=context.locale)
    if result.data is None and not any(map(_was_begun, errors)):
        return Executed(refused=presented)
    body = orjson.dumps({"data": result.data, "errors": presented}, default=str)
    return Executed(body, extensions=result.extensions, failed=True)


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
