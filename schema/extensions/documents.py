"""Documents: parsed once, validated once, bounded in size, and unambiguous."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, specified_rules, validate
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext

from schema.execution.documents import Document, OperationCache
from schema.execution.executor import Executor
from schema.extensions.access import guard_fields
from schema.extensions.budgets import guard_budgets
from schema.extensions.caching import KEEPING_SIZE_BYTES, keeping
from schema.extensions.costs import PAGE_SIZE_MAX, Prices, compiled
from schema.extensions.deprecated import Deprecations, Uses
from schema.extensions.limits import Limits, check_variables, read
from schema.extensions.maintenance import guard_mutations
from schema.extensions.metering import PRICES, MeteredExecutor, Metering
from schema.extensions.plans import Plan
from schema.types.caching import Keeping
from schema.types.charges import Price

# Which fields may be merged is the one question of validation whose answer takes quadratic time. graphql-core gives up
# after half a million steps, half a second in which nobody else is served; no document of ours takes a thousand.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 20_000
# What most plans take: what is known of them is one sum.
PLAN_SIZE_BYTES = 1_024
PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
CACHE_SIZE_MAX_BYTES = 16 * 1024 * 1024


class Documents(SchemaExtension):
    """Takes documents from the cache, and refuses several operations without a name to choose one by.

    strawberry would run the first of them; the specification asks for a request error
    (https://spec.graphql.org/October2021/#GetOperation()).
    """

    def __init__(self, cache: OperationCache, limits: Limits) -> None:
        self._cache, self._limits = cache, limits
        self._document: Document | None = None

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options = {"max_tokens": self._limits.tokens}
        # What does not parse is parsed once more by strawberry, which knows how to report it on each transport.
        self._document = self._cache.get(context.query or "")
        context.graphql_document = self._document.node
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        document = self._document
        assert document is not None, "validation comes after parsing"
        if document.refusal:
            context.pre_execution_errors = [document.refusal]
        else:
            ambiguous = _ambiguity(context, document)
            context.pre_execution_errors = [ambiguous] if ambiguous else list(document.errors)
        yield


def _ambiguity(context: ExecutionContext, document: Document) -> GraphQLError | None:
    if context._provided_operation_name is not None or len(document.operations) <= 1:
        return None
    return GraphQLError(
        "The document has several operations; say which one with operationName.",
        extensions={"code": "OPERATION_NAME_REQUIRED"},
    )


class Schema(strawberry.Schema):
    """A schema with cached documents, whose errors are logged where they are presented and not twice."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        page_size_max: int = PAGE_SIZE_MAX,
        cache_size_max_bytes: int = CACHE_SIZE_MAX_BYTES,
        compiles: bool = True,
        **parts: Any,
    ) -> None:
        """Without `compiles`, operations are executed by graphql-core."""
        self._limits = limits = limits or Limits()
        self._documents = cache = OperationCache(
            lambda text: read(text, limits), self._validate, size_max_bytes=cache_size_max_bytes
        )
        super().__init__(**parts, extensions=[lambda: Documents(cache, limits)])
        self._deprecations = Deprecations(self._schema)
        self._prices = prices = Prices(self._schema, page_size_max=page_size_max)
        self._schema.extensions[PRICES] = prices
        # Innermost: only what somebody may do takes of their budget.
        guard_budgets(self._schema)
        guard_fields(self._schema)
        # Outermost: under maintenance everybody hears of that, and nobody of anything else.
        guard_mutations(self._schema)
        self.executor = Executor(
            self._schema,
            hide_suggestions=self.hides_suggestions,
            compiles=compiles,
            core=MeteredExecutor,
            metering=Metering(prices),
            fragments_of=lambda context: context.fragments if context is not None else None,
        )

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core executes it."""
        return self._schema

    @property
    def hides_suggestions(self) -> bool:
        """Whether errors keep the names to themselves that the client may have meant."""
        return not self._limits.suggestions

    def check_variables(self, variables: dict[str, Any] | None) -> None:
        """Raises GraphQLError where there is more of them than the limits allow."""
        check_variables(variables, self._limits)

    def document(self, text: str) -> Document:
        """Return what is known of a document by its text, which may be that it is refused or not valid."""
        return self._documents.get(text)

    def knows(self, text: str) -> bool:
        """Whether a document was read before, and found valid."""
        return self._documents.is_good(text)

    def read(self, text: str) -> tuple[DocumentNode, list[GraphQLError]]:
        """Return a document, and what is wrong with it by validation. Raises GraphQLError as `limits.read` does."""
        document = self._documents.get(text)
        if document.node is None:
            assert document.refusal is not None
            raise document.refusal.with_traceback(None)
        return document.node, list(document.errors)

    def keeping(self, document: Document, operation: OperationDefinitionNode) -> Keeping | None:
        """Return how an answer of an operation of a valid document may be kept; None where it may not."""
        return document.part(
            ("keeping", id(operation)),
            lambda node: keeping(self._schema, node, operation),
            size_bytes=KEEPING_SIZE_BYTES,
        )

    def deprecated_in(self, node: DocumentNode) -> Uses:
        """Return what is deprecated and yet asked for by a valid document."""
        return self._deprecations.uses(node)

    @property
    def prices(self) -> Prices:
        """What its fields and types cost."""
        return self._prices

    def cost_of_call(self, type_name: str, field_name: str) -> int:
        """Return what one call of a field costs, without what it leads to."""
        return self._prices.of_call(type_name, field_name)

    def plan(self, document: Document, operation: OperationDefinitionNode) -> Plan:
        """Return what an operation of a document that is valid costs, for any variables."""
        name = operation.name.value if operation.name else None
        return document.part(
            ("plan", name), lambda node: compiled(self._prices, node, operation), size_bytes=PLAN_SIZE_BYTES
        )

    def estimate(self, document: str, variables: dict[str, Any], operation_name: str | None) -> Price:
        """Return what a document would cost. Raises GraphQLError where it could not be executed."""
        try:
            node, errors = self.read(document)
        except GraphQLError as error:
            # What is wrong is said of the document, and not of where it is asked about.
            raise (error.original_error or GraphQLError(error.message, extensions={"code": PARSE_FAILED})) from None
        if errors:
            raise GraphQLError(errors[0].message, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})
        operations = [each for each in node.definitions if isinstance(each, OperationDefinitionNode)]
        named = [each for each in operations if operation_name in (None, each.name and each.name.value)]
        if len(named) != 1:
            code = "OPERATION_NAME_REQUIRED" if named else "OPERATION_NOT_FOUND"
            raise GraphQLError("Say which operation is meant.", extensions={"code": code})
        return self.plan(self._documents.get(document), named[0]).price(variables)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Say nothing: a refusal is not worth a line, and an unexpected error gets one with the id the client sees."""

    def _validate(self, node: DocumentNode) -> list[GraphQLError]:
        try:
            return validate(self._schema, node, RULES, hide_suggestions=self.hides_suggestions)
        except RecursionError:
            return [GraphQLError("The document is nested too deeply.")]
