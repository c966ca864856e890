"""A schema, as those who execute its operations see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode

from schema.types.caching import Keeping
from schema.types.charges import Estimates, Priced

T = TypeVar("T")


class Document(Protocol):
    """What is known of a document: why it is refused, or what it is and what is wrong with it by validation."""

    @property
    def node(self) -> DocumentNode | None: ...

    @property
    def refusal(self) -> GraphQLError | None: ...

    @property
    def errors(self) -> Sequence[GraphQLError]: ...

    @property
    def operations(self) -> Sequence[OperationDefinitionNode]: ...

    def part(self, name: object, find_out: Callable[[DocumentNode], T], *, size_bytes: int = 0) -> T:
        """Return what is known of the document under this name, and find it out where nobody has asked before."""


class DeprecatedUses(Protocol):
    """What is deprecated and yet asked for by a document."""

    def of(self, variables: dict[str, Any] | None) -> Collection[str]:
        """Return the schema coordinates of what one request asks for."""


class OperationExecutor(Protocol):
    """What executes an operation of a valid document."""

    def execute(
        self,
        document: Any,
        operation: OperationDefinitionNode,
        *,
        root: Any,
        context: Any,
        variables: dict[str, Any] | None,
        extensions: dict[str, Any] | None,
    ) -> ExecutionResult | Awaitable[ExecutionResult]: ...


class ExecutableSchema(Estimates, Protocol):
    """A schema that keeps the documents it has read, and knows what their operations cost."""

    @property
    def executor(self) -> OperationExecutor: ...

    @property
    def core(self) -> GraphQLSchema: ...

    @property
    def hides_suggestions(self) -> bool: ...

    def document(self, text: str) -> Document: ...

    def knows(self, text: str) -> bool:
        """Whether a document was read before, and found valid."""

    def read(self, text: str) -> tuple[DocumentNode, list[GraphQLError]]:
        """Raises GraphQLError where the document does not parse or is over a limit."""

    def check_variables(self, variables: dict[str, Any] | None) -> None:
        """Raises GraphQLError where they are over a limit."""

    def plan(self, document: Any, operation: OperationDefinitionNode) -> Priced:
        """Return what an operation costs, of a document that is valid."""

    def cost_of_call(self, type_name: str, field_name: str) -> int:
        """Return what one call of a field costs, without what it leads to."""

    def keeping(self, document: Any, operation: OperationDefinitionNode) -> Keeping | None:
        """Return how an answer of an operation of a valid document may be kept; None where it may not."""

    def deprecated_in(self, node: DocumentNode) -> DeprecatedUses:
        """Return what a valid document asks for that is deprecated."""
