"""Executes operations: by a plan where it can be, by graphql-core where not, and nobody can tell the two apart.

Each operation of a document is compiled when it is first executed, and what came of that is kept with the document.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, OperationType
from graphql import execute as execute_by_core
from graphql.execution import ExecutionResult
from graphql.execution import Executor as CoreExecutor
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from kernel.logs import get_logger
from schema.execution import metrics
from schema.execution.conditions import Outline, Reason
from schema.execution.documents import Document
from schema.execution.plans import Plan
from schema.execution.running import Fragments, Metering, Operation, Run
from schema.execution.variables import Variables

log = get_logger(__name__)

Answer: TypeAlias = ExecutionResult | Awaitable[ExecutionResult]

# An operation with more conditions could have plans without number; one with so many plans is rare.
CONDITIONS_MAX = 8
PLANS_PER_OPERATION_MAX = 16
# What is seen once or twice is not worth the milliseconds that compiling takes.
GENERATES_AFTER = 3


def _no_fragments(_context: Any) -> None:
    return None


class Executor:
    """Executes the operations of one schema; without `compiles`, all by graphql-core."""

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        hide_suggestions: bool,
        compiles: bool = True,
        core: type[CoreExecutor[Any]] = StrawberryGraphQLCoreExecutionContext,
        metering: Metering | None = None,
        generates_after: int = GENERATES_AFTER,
        fragments_of: Callable[[Any], Fragments | None] = _no_fragments,
    ) -> None:
        """`core` is graphql-core's executor; it and `metering` have to count the same.

        Code is generated for what was executed `generates_after` times: for most documents, that is never.
        `fragments_of` returns what an execution in a context may find, and keep, of entities.
        """
        self._fragments_of = fragments_of
        self._schema, self._hide_suggestions, self._compiles = schema, hide_suggestions, compiles
        self._core, self._metering, self._generates_after = core, metering, generates_after

    def execute(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        *,
        root: Any,
        context: Any,
        variables: dict[str, Any] | None,
        extensions: dict[str, Any] | None,
    ) -> Answer:
        """Return the result of an operation of a valid document, or something to be awaited for it."""
        assert document.node is not None, "what is refused is not executed"
        assert not document.errors, "nor is what is not valid"
        if not self._compiles:
            reason = Reason.SWITCHED_OFF
        else:
            compiled = document.part(id(operation), lambda node: self._compiled(node, operation))
            values = compiled.variables.read(variables or {})
            if isinstance(values, list):
                return ExecutionResult(None, values)
            found = compiled.plan_for(values, document)
            if isinstance(found, Plan):
                metrics.EXECUTED_BY_PLAN.inc()
                run = Run(
                    compiled.operation,
                    values,
                    root=root,
                    context=context,
                    extensions=extensions,
                    fragments=self._fragments_of(context),
                )
                return found.execute(run)
            reason = found
        metrics.executed_by_core(reason)
        return execute_by_core(
            self._schema,
            document.node,
            root,
            context,
            variables,
            operation.name.value if operation.name else None,
            executor_class=self._core,
            operation_extensions=extensions,
            hide_suggestions=self._hide_suggestions,
        )

    def _compiled(self, document: DocumentNode, operation: OperationDefinitionNode) -> Compiled:
        outline = Outline(document, operation)
        found = Operation(
            self._schema,
            operation,
            outline.fragments,
            hide_suggestions=self._hide_suggestions,
            metering=self._metering,
            generates_after=self._generates_after,
        )
        return Compiled(found, outline)


class Compiled:
    """One operation: its variables, and a plan for each set of answers to its conditions that was met."""

    def __init__(self, operation: Operation, outline: Outline) -> None:
        self.operation, self._outline = operation, outline
        self._plans: OrderedDict[tuple[bool, ...], tuple[Plan, _Size]] = OrderedDict()
        self.variables = Variables(
            operation.schema, operation.node.variable_definitions or (), hide_suggestions=operation.hide_suggestions
        )

    def plan_for(self, values: VariableValues, document: Document) -> Plan | Reason:
        """Return the plan for these variables, or why there is none."""
        outline = self._outline
        if outline.obstacle is not None:
            return outline.obstacle
        if not outline.conditions:
            key: tuple[bool, ...] = ()
        elif len(outline.conditions) > CONDITIONS_MAX:
            return Reason.CONDITIONS
        else:
            answers = [values.coerced.get(name) for name in outline.conditions]
            if not all(isinstance(each, bool) for each in answers):
                return Reason.CONDITION
            key = tuple(map(bool, answers))
        found = self._plans.get(key)
        if found is None:
            return self._new(key, values, document)
        if len(self._plans) > 1:
            self._plans.move_to_end(key)
        return found[0]

    def _new(self, key: tuple[bool, ...], values: VariableValues, document: Document) -> Plan | Reason:
        operation, conditions = self.operation, self._outline.conditions
        root_type = operation.schema.get_root_type(operation.node.operation)
        assert root_type is not None, "validation refuses what the schema has no root for"
        size = _Size(document)
        try:
            plan = Plan(
                operation,
                root_type,
                VariableValues(
                    {name: values.sources[name] for name in conditions}, dict(zip(conditions, key, strict=True))
                ),
                {name: FragmentDetails(node) for name, node in self._outline.fragments.items()},
                serially=operation.node.operation is OperationType.MUTATION,
                grown=size.grow,
            )
        except Exception:
            log.exception("graphql.compilation_failed")
            self._outline.obstacle = Reason.FAILED
            return Reason.FAILED
        self._plans[key] = plan, size
        if len(self._plans) > PLANS_PER_OPERATION_MAX:
            _, (_, forgotten) = self._plans.popitem(last=False)
            forgotten.release()
        return plan


class _Size:
    """How much a plan takes of what there is for its document."""

    __slots__ = ("_bytes", "_document")

    def __init__(self, document: Document) -> None:
        self._document: Document | None = document
        self._bytes = 0

    def grow(self, size_bytes: int) -> None:
        # A plan that is forgotten may still be under way, and grow.
        if self._document is not None:
            self._bytes += size_bytes
            self._document.grow(size_bytes)

    def release(self) -> None:
        document, self._document = self._document, None
        if document is not None:
            document.grow(-self._bytes)
