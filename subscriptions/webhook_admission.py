"""Which subscriptions can feed a webhook, and where a new one starts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    NamedTypeNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
)
from graphql.execution import get_variable_values

from domain.events.cursors import CursorInvalid
from domain.events.ports import StoredEvent
from domain.events.queries import standing_of
from domain.identity.viewer import Viewer
from domain.webhooks.ports import Admitted, Asked, DocumentReason, WebhookDocumentInvalid
from kernel.errors import Locale, YoukaError
from schema.types.context import Context, Loaders, Services
from subscriptions.deliveries import OperationRefused
from subscriptions.errors import is_internal
from subscriptions.execution import Executor
from subscriptions.requests import Documents, GraphQLRequest
from subscriptions.schemas import ExecutableSchema

CURSOR_ARGUMENT, CURSOR_TYPE = "after", "String"
DETAIL_LENGTH_MAX = 256


class AdmissionFailed(RuntimeError):
    """The subscription failed on our side, so nothing can be said of it; the error has been logged."""


class Start:
    """An event source in which nothing happens; it notes from where somebody wanted to follow first."""

    def __init__(self) -> None:
        self.place: tuple[str, int] | None = None

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        if self.place is None and after is not None:
            self.place = (stream, after)
        nothing: tuple[StoredEvent, ...] = ()
        for event in nothing:
            yield event


class SchemaAdmission:
    """An Admission over one schema: it takes the first step of a subscription, with no event to come."""

    def __init__(
        self,
        schema: ExecutableSchema,
        *,
        loaders: Callable[[], Loaders],
        documents: Documents,
        services: Callable[[], Services],
    ) -> None:
        self._schema, self._documents, self._services = schema, documents, services
        self._executor = Executor(schema, loaders=loaders)

    async def admit(
        self, *, asked: Asked, after: str | None, viewer: Viewer, locale: Locale, now: datetime
    ) -> Admitted:
        services = self._services()
        limits = services.settings
        document = self._text_of(asked)
        if len(document) > limits.webhook_document_length_max:
            raise _invalid(DocumentReason.TOO_LONG, f"more than {limits.webhook_document_length_max} characters")
        if len(orjson.dumps(asked.variables)) > limits.webhook_variables_size_max_bytes:
            raise _invalid(DocumentReason.VARIABLES, f"more than {limits.webhook_variables_size_max_bytes} bytes")
        event_type = self._check(document, asked)
        self._check_cost(document, asked, services.budgets.draw(viewer=viewer, address="", cost=0).bucket.capacity)
        context = Context(services=services, viewer=viewer, locale=locale)
        request = request_of(document, asked, after)
        return Admitted(
            document=document, event_type=event_type, cursor=await self._first_step(request, after, context)
        )

    def _text_of(self, asked: Asked) -> str:
        """Return the document's text. Raises WebhookDocumentInvalid."""
        try:
            text = self._documents.text_of(asked.document, [asked.document_id] if asked.document_id else [])
        except YoukaError as error:
            raise _invalid(DocumentReason.NOT_PERSISTED, error.message("en")) from None
        if text is None:
            raise _invalid(DocumentReason.MISSING, "give `document` or `documentId`")
        return text

    def _check(self, text: str, asked: Asked) -> str:
        """Return the root field. Raises WebhookDocumentInvalid."""
        if CURSOR_ARGUMENT in asked.variables:
            raise _invalid(DocumentReason.AFTER_GIVEN, "give the cursor as the input's own `after`")
        try:
            document, errors = self._schema.read(text)
        except GraphQLError as error:
            over = isinstance(error.original_error, YoukaError)
            reason = DocumentReason.TOO_COMPLEX if over else DocumentReason.SYNTAX
            raise _invalid(reason, error.message) from None
        operation = _operation(document, asked.operation_name)
        if errors:
            raise _invalid(DocumentReason.VALIDATION, errors[0].message)
        root = _root(operation)
        _check_cursor(operation, root)
        given = {**asked.variables, CURSOR_ARGUMENT: None}
        coerced = get_variable_values(self._schema.core, list(operation.variable_definitions or ()), given)
        if isinstance(coerced, list):
            raise _invalid(DocumentReason.VARIABLES, coerced[0].message)
        return root.name.value

    def _check_cost(self, document: str, asked: Asked, maximum: int) -> None:
        """Raises WebhookDocumentInvalid where one event costs more than the client may ever spend."""
        cost = self._schema.estimate(document, asked.variables, asked.operation_name).total
        if cost > maximum:
            raise _invalid(DocumentReason.TOO_COMPLEX, f"an event may cost {cost}, and {maximum} is the most")

    async def _first_step(self, request: GraphQLRequest, after: str | None, context: Context) -> str | None:
        """Return the cursor to start from. Raises WebhookDocumentInvalid or CursorInvalid."""
        start = Start()
        try:
            prepared = self._executor.prepare(request, context)
            deliveries = await self._executor.subscribe(prepared, context, events=start)
        except OperationRefused as refusal:
            raise _refusal(refusal) from None
        async with aclosing(deliveries):
            # Ends at once, or gives the state of things first, from which nobody can have missed anything.
            async for _delivery in deliveries:
                return after
        if after is not None or start.place is None:
            return after
        stream, position = start.place
        return (await standing_of(stream)).cursor(position)


def request_of(document: str, asked: Asked, after: str | None) -> GraphQLRequest:
    """Return the subscription as it is executed from a cursor."""
    return GraphQLRequest(
        query=document,
        variables={**asked.variables, CURSOR_ARGUMENT: after},
        operation_name=asked.operation_name,
        extensions=None,
    )


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is not OperationType.SUBSCRIPTION:
        raise _invalid(DocumentReason.OPERATION, "give one operation, a subscription")
    named = operations[0].name
    if name is not None and (named is None or named.value != name):
        raise _invalid(DocumentReason.OPERATION, "the document has no operation of that name")
    return operations[0]


def _root(operation: OperationDefinitionNode) -> FieldNode:
    selections = operation.selection_set.selections
    if len(selections) != 1 or not isinstance(selections[0], FieldNode) or selections[0].directives:
        raise _invalid(DocumentReason.ROOT_FIELD, "select one field, without a fragment or directive around it")
    return selections[0]


def _check_cursor(operation: OperationDefinitionNode, root: FieldNode) -> None:
    declared = any(
        each.variable.name.value == CURSOR_ARGUMENT
        and isinstance(each.type, NamedTypeNode)
        and each.type.name.value == CURSOR_TYPE
        for each in operation.variable_definitions or ()
    )
    used = any(
        each.name.value == CURSOR_ARGUMENT
        and isinstance(each.value, VariableNode)
        and each.value.name.value == CURSOR_ARGUMENT
        for each in root.arguments or ()
    )
    if not declared or not used:
        raise _invalid(DocumentReason.AFTER_MISSING, "declare $after: String and give it as `after: $after`")


def _invalid(reason: DocumentReason, detail: str) -> WebhookDocumentInvalid:
    return WebhookDocumentInvalid(reason=reason, detail=detail[:DETAIL_LENGTH_MAX])


def _refusal(refusal: OperationRefused) -> Exception:
    error = refusal.errors[0]
    if is_internal(error):
        return AdmissionFailed()
    if error["extensions"]["code"] == CursorInvalid.code:
        return CursorInvalid()
    return _invalid(DocumentReason.REFUSED, f"{error['extensions']['code']}: {error['message']}")
