"""Documents: parsed once, validated once, bounded in size, and unambiguous."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, parse, specified_rules
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types import ExecutionContext

TOKENS_MAX = 5_000
DOCUMENTS_CACHED_MAX = 512
# A long document costs a client as much to send as us to parse, and would fill the cache's memory.
DOCUMENT_LENGTH_CACHED_MAX = 16_384
# A parsed document takes about a hundred bytes for each of its characters, so this is some 50 MB.
DOCUMENTS_LENGTH_CACHED_MAX = 512 * 1024


@dataclass(slots=True)
class Document:
    """A document that parses; `errors` is None until it was validated."""

    node: DocumentNode
    errors: list[GraphQLError] | None = None


class DocumentCache:
    """The documents used last, by their text. It belongs to one schema, since that is what they are valid for."""

    def __init__(self, *, size_max: int = DOCUMENTS_CACHED_MAX, length_max: int = DOCUMENTS_LENGTH_CACHED_MAX) -> None:
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._size_max, self._length_max = size_max, length_max
        self._length = 0

    def parse(self, text: str) -> Document:
        """Raises graphql.GraphQLSyntaxError; what does not parse is not kept."""
        document = self._documents.get(text)
        if document:
            self._documents.move_to_end(text)
            return document
        document = Document(parse(text, max_tokens=TOKENS_MAX))
        if len(text) <= DOCUMENT_LENGTH_CACHED_MAX:
            self._keep(text, document)
        return document

    def _keep(self, text: str, document: Document) -> None:
        self._documents[text] = document
        self._length += len(text)
        while len(self._documents) > self._size_max or self._length > self._length_max:
            forgotten, _ = self._documents.popitem(last=False)
            self._length -= len(forgotten)

    def validate(self, schema: GraphQLSchema, document: Document, rules: tuple[Any, ...]) -> list[GraphQLError]:
        if document.errors is None:
            try:
                document.errors = validate_document(schema, document.node, rules)
            except RecursionError:
                document.errors = [GraphQLError("The document is nested too deeply.")]
        return list(document.errors)


class Documents(SchemaExtension):
    """Takes documents from the cache, and refuses several operations without a name to choose one by.

    strawberry would run the first of them; the specification asks for a request error
    (https://spec.graphql.org/October2021/#GetOperation()).
    """

    def __init__(self, cache: DocumentCache) -> None:
        self._cache = cache
        self._document: Document | None = None

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options = {"max_tokens": TOKENS_MAX}
        # What does not parse is parsed once more by strawberry, which knows how to report it on each transport.
        with suppress(GraphQLError):
            self._document = self._cache.parse(context.query or "")
            context.graphql_document = self._document.node
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        assert self._document is not None
        ambiguous = _ambiguity(context, self._document.node)
        context.pre_execution_errors = (
            [ambiguous]
            if ambiguous
            else self._cache.validate(context.schema._schema, self._document, context.validation_rules)
        )
        yield


def _ambiguity(context: ExecutionContext, document: DocumentNode) -> GraphQLError | None:
    if context._provided_operation_name is not None:
        return None
    operations = sum(isinstance(definition, OperationDefinitionNode) for definition in document.definitions)
    if operations <= 1:
        return None
    return GraphQLError(
        "The document has several operations; say which one with operationName.",
        extensions={"code": "OPERATION_NAME_REQUIRED"},
    )


class Schema(strawberry.Schema):
    """A schema with cached documents, whose errors are logged where they are presented and not twice."""

    def __init__(self, **parts: Any) -> None:
        self._documents = cache = DocumentCache()
        super().__init__(**parts, extensions=[lambda: Documents(cache)])

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core executes it."""
        return self._schema

    def read(self, text: str) -> tuple[DocumentNode, list[GraphQLError]]:
        """Return a document, and what is wrong with it by validation. Raises graphql.GraphQLSyntaxError."""
        document = self._documents.parse(text)
        return document.node, self._documents.validate(self._schema, document, tuple(specified_rules))

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Say nothing: a refusal is not worth a line, and an unexpected error gets one with the id the client sees."""
