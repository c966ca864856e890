"""What stands in the way of compiling an operation, and which variables decide what of it is executed."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    VariableNode,
)
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

CONDITIONS = frozenset({GraphQLSkipDirective.name, GraphQLIncludeDirective.name})
INTROSPECTION = frozenset({"__schema", "__type"})
DELIVERY = frozenset({"defer", "stream"})


class Reason(StrEnum):
    """Why an operation was left to graphql-core."""

    SWITCHED_OFF = "switched_off"
    INTROSPECTION = "introspection"
    # Variables of fragments, `@defer` and `@stream`, and errors that do not propagate are drafts of the specification.
    DRAFT = "draft"
    # A variable of `@skip` or `@include` is no boolean, which is an error of the field where it stands.
    CONDITION = "condition"
    # More conditions than plans are kept for.
    CONDITIONS = "conditions"
    # Compiling it failed, which is a fault of ours.
    FAILED = "failed"


class Outline:
    """What is found in an operation and the fragments that it spreads, each looked at once."""

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self.obstacle: Reason | None = None
        self.conditions: list[str] = []
        self.fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        if any(each.name.value == GraphQLDisableErrorPropagationDirective.name for each in operation.directives or ()):
            self.obstacle = Reason.DRAFT
        conditions: dict[str, None] = {}
        for node in self._nodes(operation):
            self._look_at(node, conditions)
        self.conditions = list(conditions)

    def _look_at(self, node: Any, conditions: dict[str, None]) -> None:
        if isinstance(node, FieldNode) and node.name.value in INTROSPECTION:
            self.obstacle = self.obstacle or Reason.INTROSPECTION
        if isinstance(node, FragmentSpreadNode) and node.arguments:
            self.obstacle = Reason.DRAFT
        for directive in node.directives or ():
            if directive.name.value in DELIVERY:
                self.obstacle = Reason.DRAFT
            if directive.name.value in CONDITIONS:
                values = (argument.value for argument in directive.arguments or ())
                conditions.update((value.name.value, None) for value in values if isinstance(value, VariableNode))

    def _nodes(self, operation: OperationDefinitionNode) -> Iterator[Any]:
        waiting: list[Any] = [operation.selection_set]
        spread: set[str] = set()
        while waiting:
            for node in waiting.pop().selections:
                yield node
                if isinstance(node, FragmentSpreadNode):
                    fragment = self.fragments.get(node.name.value)
                    if fragment is not None and node.name.value not in spread:
                        spread.add(node.name.value)
                        if fragment.variable_definitions:
                            self.obstacle = Reason.DRAFT
                        waiting.append(fragment.selection_set)
                elif node.selection_set:
                    waiting.append(node.selection_set)
