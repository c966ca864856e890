"""Which deprecated parts of the schema a document asks for, found once for each document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    type_from_ast,
    visit,
)


@dataclass(frozen=True, slots=True)
class Uses:
    """Schema coordinates that stand in a document, and the variables whose values may hold more."""

    named: frozenset[str] = frozenset()
    variables: tuple[tuple[str, GraphQLNamedType], ...] = ()

    def of(self, variables: Mapping[str, Any] | None) -> frozenset[str]:
        """Return what one request asks for."""
        if not self.variables or not variables:
            return self.named
        found = (each for name, kind in self.variables for each in _in_value(variables.get(name), kind))
        return self.named.union(found)


NOTHING = Uses()


class Deprecations:
    """What is deprecated in one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._affected = _affected_inputs(schema)
        self._anything = bool(self._affected) or any(map(_has_deprecated_fields, schema.type_map.values()))

    def uses(self, document: DocumentNode) -> Uses:
        """Return what a valid document asks for."""
        if not self._anything:
            return NOTHING
        types = TypeInfo(self._schema)
        finder = _Finder(self._schema, types)
        visit(document, TypeInfoVisitor(types, finder))
        variables = tuple((name, kind) for name, kind in finder.variables if kind.name in self._affected)
        return Uses(frozenset(finder.found), variables) if finder.found or variables else NOTHING


class _Finder(Visitor):
    def __init__(self, schema: GraphQLSchema, types: TypeInfo) -> None:
        super().__init__()
        self._schema, self._types = schema, types
        self._field = ""
        self.found: set[str] = set()
        self.variables: list[tuple[str, GraphQLNamedType]] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self._types.get_parent_type()
        # A field's arguments are visited before its selection.
        self._field = f"{parent.name if parent else ''}.{node.name.value}"
        self._note(self._types.get_field_def(), self._field)

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        # An argument of a directive stands at no field.
        if self._types.get_directive() is None:
            self._note(self._types.get_argument(), f"{self._field}({node.name.value}:)")

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
        parent = get_named_type(self._types.get_parent_input_type())
        if isinstance(parent, GraphQLInputObjectType):
            self._note(parent.fields.get(node.name.value), f"{parent.name}.{node.name.value}")

    def enter_enum_value(self, node: EnumValueNode, *_: Any) -> None:
        kind = get_named_type(self._types.get_input_type())
        if isinstance(kind, GraphQLEnumType):
            self._note(kind.values.get(node.value), f"{kind.name}.{node.value}")

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        kind = get_named_type(type_from_ast(self._schema, node.type))
        if kind is not None:
            self.variables.append((node.variable.name.value, kind))

    def _note(self, part: Any, coordinate: str) -> None:
        if part is not None and part.deprecation_reason is not None:
            self.found.add(coordinate)


def _has_deprecated_fields(kind: GraphQLNamedType) -> bool:
    fields = () if isinstance(kind, GraphQLInputObjectType) else getattr(kind, "fields", {}).values()
    return any(part.deprecation_reason is not None for field in fields for part in (field, *field.args.values()))


def _affected_inputs(schema: GraphQLSchema) -> frozenset[str]:
    """Return the names of input types in which something is deprecated, if only further down."""
    kinds = GraphQLInputObjectType | GraphQLEnumType
    inputs = {name: kind for name, kind in schema.type_map.items() if isinstance(kind, kinds)}
    affected = {name for name, kind in inputs.items() if any(part.deprecation_reason for part in _parts(kind))}
    grown = True
    while grown:
        grown = False
        for name, kind in inputs.items():
            leads = isinstance(kind, GraphQLInputObjectType) and any(
                get_named_type(field.type).name in affected for field in kind.fields.values()
            )
            if leads and name not in affected:
                affected.add(name)
                grown = True
    return frozenset(affected)


def _parts(kind: GraphQLInputObjectType | GraphQLEnumType) -> list[Any]:
    return [*(kind.fields if isinstance(kind, GraphQLInputObjectType) else kind.values).values()]


def _in_value(value: Any, kind: GraphQLNamedType) -> Iterator[str]:
    """Yield what a variable's value names; one that does not fit its type is refused elsewhere."""
    waiting: list[tuple[Any, GraphQLNamedType]] = [(value, kind)]
    while waiting:
        current, kind = waiting.pop()
        if isinstance(current, list):
            waiting.extend((each, kind) for each in current)
        elif isinstance(kind, GraphQLEnumType) and isinstance(current, str):
            part = kind.values.get(current)
            if part is not None and part.deprecation_reason is not None:
                yield f"{kind.name}.{current}"
        elif isinstance(kind, GraphQLInputObjectType) and isinstance(current, dict):
            for name in current.keys() & kind.fields.keys():
                field = kind.fields[name]
                if field.deprecation_reason is not None:
                    yield f"{kind.name}.{name}"
                waiting.append((current[name], get_named_type(field.type)))
