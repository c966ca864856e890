"""What a document costs, known before it is executed (https://ibm.github.io/graphql-specs/cost-spec.html).

A document is compiled once to a plan: sums in which only what depends on variables is left open. Each fragment is
looked at once, wherever it is spread, so compiling takes time that grows with the document's length alone; a request
then adds up what is open. Of the types that an object may be, the dearest counts; a field written twice counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    Undefined,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    value_from_ast_untyped,
)

from schema.extensions.plans import Condition, Factor, Part, Plan, Size, Slice, Sum
from schema.types.costs import Cost, ListSize

COMPOSITE_WEIGHT = OBJECT_WEIGHT = 1
# The schema is in memory; reading all of it is a lot to encode all the same.
INTROSPECTION_WEIGHT = 100
PAGE_SIZE_MAX = 100


@dataclass(frozen=True, slots=True)
class Priced:
    """What the schema says of a field."""

    weight: int
    # Of one object that it leads to; the dearest where there are several types.
    object_weight: int
    is_list: bool
    size: ListSize | None
    defaults: Mapping[str, Any]
    type: GraphQLNamedType

    @property
    def sized_fields(self) -> Sequence[str]:
        return (self.size and self.size.sized_fields) or ()


class Prices:
    """The weights of a schema's fields and types, read once from its directives."""

    def __init__(self, schema: GraphQLSchema, *, page_size_max: int = PAGE_SIZE_MAX) -> None:
        self.schema, self.page_size_max = schema, page_size_max
        self._objects = {
            kind.name: _weight(kind, OBJECT_WEIGHT)
            for kind in schema.type_map.values()
            if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
        }
        self._fields = {
            (kind.name, name): self._priced(each, self._implementations(kind, name))
            for kind in schema.type_map.values()
            if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__")
            for name, each in kind.fields.items()
        }

    def of_object(self, type_name: str) -> int:
        """Return what one object costs; introspection's own cost nothing beside the field that leads to them."""
        return self._objects.get(type_name, 0)

    def of_field(self, type_name: str, name: str) -> Priced | None:
        return self._fields.get((type_name, name))

    def of_call(self, type_name: str, name: str) -> int:
        """Return what one call of a field costs."""
        if name in {"__schema", "__type"}:
            return INTROSPECTION_WEIGHT
        priced = self._fields.get((type_name, name))
        return priced.weight if priced else 0

    def unsized(self) -> list[str]:
        """Return the lists whose length nothing says: neither their own directive nor each field that leads there."""
        led_by: dict[str, list[Priced]] = {}
        for each in self._fields.values():
            led_by.setdefault(each.type.name, []).append(each)
        return [
            f"{type_name}.{name}"
            for (type_name, name), each in self._fields.items()
            if each.is_list
            and each.size is None
            and not (led_by.get(type_name) and all(name in above.sized_fields for above in led_by[type_name]))
        ]

    def _implementations(self, kind: GraphQLObjectType | GraphQLInterfaceType, name: str) -> list[GraphQLField]:
        """Return the field, or where it is an interface's, all that may be called in its place."""
        return [each.fields[name] for each in (kind, *self._possible(kind))]

    def _priced(self, definition: GraphQLField, implementations: Sequence[GraphQLField]) -> Priced:
        named = get_named_type(definition.type)
        composite = is_composite_type(named)
        return Priced(
            weight=max(_weight(each, COMPOSITE_WEIGHT if composite else 0) for each in implementations),
            object_weight=max((self.of_object(each.name) for each in self._possible(named)), default=0),
            is_list=isinstance(get_nullable_type(definition.type), GraphQLList),
            size=next((each for each in _directives(definition) if isinstance(each, ListSize)), None),
            defaults={name: _default(each) for name, each in definition.args.items()},
            type=named,
        )

    def _possible(self, kind: GraphQLNamedType) -> Sequence[GraphQLObjectType]:
        if isinstance(kind, GraphQLObjectType):
            return (kind,)
        return self.schema.get_possible_types(kind) if is_abstract_type(kind) else ()


def compiled(prices: Prices, document: DocumentNode, operation: OperationDefinitionNode) -> Plan:
    """Return the plan of an operation of a document that is valid."""
    return _Compiler(prices, document, operation).plan(operation)


class _Compiler:
    def __init__(self, prices: Prices, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._prices = prices
        self._defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
        }
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._parts: dict[str, Part] = {}
        self._visited = 0

    def plan(self, operation: OperationDefinitionNode) -> Plan:
        root = self._prices.schema.get_root_type(operation.operation)
        assert root is not None, "a valid operation has a root type"
        for name in _in_order(self._fragments, operation.selection_set.selections):
            fragment = self._fragments[name]
            on = self._prices.schema.type_map[fragment.type_condition.name.value]
            self._parts[name] = self._part(on, fragment.selection_set.selections)
        whole = Sum(types=self._prices.of_object(root.name))
        part = self._part(root, operation.selection_set.selections)
        whole.add(part.own)
        return Plan.of(whole, visited=self._visited)

    def _part(self, parent: GraphQLNamedType, selections: Iterable[SelectionNode]) -> Part:
        """Return what selections cost on one object. What is for one type only is an option beside other types'."""
        common, options = Part(), dict[str, Part]()
        for node in selections:
            self._visited += 1
            if isinstance(node, FieldNode):
                part, on = self._field(parent, node), parent
            elif isinstance(node, FragmentSpreadNode):
                condition = self._fragments[node.name.value].type_condition.name.value
                part, on = self._parts[node.name.value], self._prices.schema.type_map[condition]
            else:
                assert isinstance(node, InlineFragmentNode)
                condition = node.type_condition.name.value if node.type_condition else parent.name
                on = self._prices.schema.type_map[condition]
                part = self._part(on, node.selection_set.selections)
            narrows = isinstance(on, GraphQLObjectType) and not isinstance(parent, GraphQLObjectType)
            into = options.setdefault(on.name, Part()) if narrows else common
            into.add(reduce(_on_condition, self._conditions(node), part))
        common.own.choose([each.own for each in options.values()])
        for each in options.values():
            for name, item in each.sized.items():
                common.sized.setdefault(name, Sum()).add(item)
        return common

    def _field(self, parent: GraphQLNamedType, node: FieldNode) -> Part:
        name = node.name.value
        priced = self._prices.of_field(parent.name, name)
        if priced is None:
            return Part(Sum(fields=self._prices.of_call(parent.name, name)))
        part, item = Part(Sum(fields=priced.weight)), Sum(types=priced.object_weight)
        size = self._size(priced, node)
        if node.selection_set:
            below = self._part(priced.type, node.selection_set.selections)
            item.add(below.own)
            for listed, price in below.sized.items():
                item.add(price, size if listed in priced.sized_fields else self._prices.page_size_max)
        if priced.is_list and priced.size is None:
            part.sized[name] = item
        else:
            part.own.add(item, size if priced.is_list else 1)
        return part

    def _size(self, priced: Priced, node: FieldNode) -> Factor:
        if priced.size is None:
            return 1
        given = {each.name.value: each.value for each in node.arguments or ()}
        slices = tuple(
            self._slice(given.get(name), priced.defaults.get(name)) for name in priced.size.slicing_arguments or ()
        )
        assumed = priced.size.assumed_size or self._prices.page_size_max
        size = Size(slices, assumed, self._prices.page_size_max)
        return size if any(each.variable for each in slices) else size.value({})

    def _slice(self, given: Any, default: Any) -> Slice:
        if isinstance(given, VariableNode):
            name = given.name.value
            return Slice(self._defaults.get(name, default), name)
        if isinstance(given, IntValueNode):
            return Slice(int(given.value))
        return Slice(default)

    def _conditions(self, node: SelectionNode) -> list[Factor]:
        """Return the factors of the directives that may leave the selection out."""
        found: list[Factor] = []
        for directive in node.directives or ():
            negated = directive.name.value == "skip"
            if not negated and directive.name.value != "include":
                continue
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    name = argument.value.name.value
                    found.append(Condition(name, self._defaults.get(name), negated))
                else:
                    found.append(int(value_from_ast_untyped(argument.value) is not negated))
        return found


def _on_condition(part: Part, condition: Factor) -> Part:
    """Return the part as it is where the condition leaves it."""
    conditional = Part()
    conditional.add(part, condition)
    return conditional


def _in_order(fragments: Mapping[str, FragmentDefinitionNode], selections: Sequence[SelectionNode]) -> list[str]:
    """Return the fragments that are reached, each behind those that it spreads; not by recursion, as in `limits`."""
    order: dict[str, None] = {}
    begun: set[str] = set()
    waiting = list(dict.fromkeys(_spreads(selections)))
    while waiting:
        name = waiting[-1]
        missing = [] if name in begun else _spreads(fragments[name].selection_set.selections)
        begun.add(name)
        missing = [each for each in dict.fromkeys(missing) if each not in begun]
        if missing:
            waiting.extend(missing)
        else:
            order[waiting.pop()] = None
    return list(order)


def _spreads(selections: Sequence[SelectionNode]) -> list[str]:
    found: list[str] = []
    waiting = list(selections)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FragmentSpreadNode):
            found.append(node.name.value)
        elif node.selection_set:  # type: ignore[attr-defined]
            waiting.extend(node.selection_set.selections)  # type: ignore[attr-defined]
    return found


def _weight(node: GraphQLField | GraphQLObjectType, usual: int) -> int:
    return next((int(each.weight) for each in _directives(node) if isinstance(each, Cost)), usual)


def _directives(node: GraphQLField | GraphQLObjectType) -> Sequence[object]:
    definition: Any = node.extensions.get("strawberry-definition")
    return (definition.directives or ()) if definition is not None else ()


def _default(argument: Any) -> Any:
    default = getattr(argument, "default_value", Undefined)
    return None if default is Undefined else default
