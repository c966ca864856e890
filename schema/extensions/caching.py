"""Whether an answer may be kept, known from its document alone: the shortest age, and the narrowest scope.

Each fragment is looked at once, and both branches of `@skip` and `@include` count, so it takes time that grows with the
document's length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
)
from strawberry import UNSET

from schema.types.caching import CacheControl, Keeping, Scope, cache_control_of

KEEPING_SIZE_BYTES = 256
TYPE_NAME = "__typename"


def keeping(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Keeping | None:
    """Return how an answer of an operation of a valid document may be kept; None where it may not."""
    if operation.operation is not OperationType.QUERY or schema.query_type is None:
        return None
    found = _Finder(schema, document)
    found.select(schema.query_type, operation.selection_set, at_root=True)
    if found.max_age_s is None or found.max_age_s <= 0:
        return None
    return Keeping(found.max_age_s, private=found.private, shows_stations=found.public)


@dataclass(slots=True)
class _Finder:
    schema: GraphQLSchema
    document: DocumentNode
    max_age_s: int | None = None
    private: bool = False
    public: bool = False
    _fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    _seen: set[tuple[str, bool]] = field(default_factory=set)

    def __post_init__(self) -> None:
        definitions = self.document.definitions
        self._fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}

    def select(self, kind: GraphQLNamedType, selected: SelectionSetNode, *, at_root: bool = False) -> None:
        for node in selected.selections:
            if isinstance(node, FieldNode):
                self._add(kind, node, at_root)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                below = self.schema.get_type(condition.name.value) if condition else kind
                assert below is not None, "validation knows every type"
                self.select(below, node.selection_set, at_root=at_root)
            elif isinstance(node, FragmentSpreadNode) and (node.name.value, at_root) not in self._seen:
                self._seen.add((node.name.value, at_root))
                fragment = self._fragments[node.name.value]
                below = self.schema.get_type(fragment.type_condition.name.value)
                assert below is not None, "validation knows every type"
                self.select(below, fragment.selection_set, at_root=at_root)

    def _add(self, kind: GraphQLNamedType, node: FieldNode, at_root: bool) -> None:
        name = node.name.value
        if name == TYPE_NAME:
            return
        definition = self.schema.get_field(kind, name)  # type: ignore[arg-type]
        if definition is None or name.startswith("__"):
            self._keep_for(0)
            return
        below = get_named_type(definition.type)
        composite = is_composite_type(below)
        own, of_type = cache_control_of(definition), cache_control_of(below) if composite else None
        for control in (own, of_type):
            if control is not None:
                self._respect(control)
        inherits = not composite or any(each and each.inherit_max_age is True for each in (own, of_type))
        says = any(each and isinstance(each.max_age, int) for each in (own, of_type))
        if not says and (at_root or not inherits):
            self._keep_for(0)
        if node.selection_set:
            self.select(below, node.selection_set)

    def _respect(self, control: CacheControl) -> None:
        if isinstance(control.max_age, int):
            self._keep_for(control.max_age)
        if control.scope not in (None, UNSET):
            self.private = self.private or control.scope is Scope.PRIVATE
            self.public = self.public or control.scope is Scope.PUBLIC

    def _keep_for(self, age_s: int) -> None:
        self.max_age_s = age_s if self.max_age_s is None else min(self.max_age_s, age_s)
