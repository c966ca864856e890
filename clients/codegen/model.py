"""What a typed client needs to know of a document: its operation, its variables, and the shape of its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    parse,
    type_from_ast,
    validate,
    visit,
)

TYPENAME, IDEMPOTENCY_KEY, ERROR_INTERFACE = "__typename", "idempotencyKey", "UserError"


class DocumentUnfit(Exception):
    """No client can be made of the document; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar or an enum, by its name in the schema."""

    name: str
    is_enum: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields that are selected of one object type. `refuses` says that the type is a typed error."""

    name: str
    typename: str
    fields: tuple[Field, ...]
    refuses: bool
    is_member: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several object types, told apart by `__typename`."""

    name: str
    members: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    item: Typed


@dataclass(frozen=True, slots=True)
class Typed:
    """What may stand at one place of an answer."""

    what: Leaf | Shape | Choice | Listed
    nullable: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A field under the name that it has in the answer."""

    name: str
    type: Typed
    description: str


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    type: GraphQLInputType
    optional: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One document. `field` is its one root field, `key` the variable that is its idempotency key."""

    name: str
    kind: str
    text: str
    sha256: str
    field: str
    description: str
    variables: tuple[Variable, ...]
    key: str | None
    answer: Typed


def read(schema: GraphQLSchema, paths: Sequence[Path]) -> list[Operation]:
    """Return the operations of the documents, by name. Raises DocumentUnfit."""
    operations = [_operation(schema, path) for path in paths]
    names = [each.name for each in operations]
    if len(set(names)) != len(names):
        raise DocumentUnfit(f"two documents have one name: {sorted(names)}")
    return sorted(operations, key=lambda each: each.name)


def inputs_of(operations: Sequence[Operation]) -> list[GraphQLInputObjectType]:
    """Return the input types of all variables, by name, with those inside them."""
    found: dict[str, GraphQLInputObjectType] = {}
    waiting = [get_named_type(variable.type) for each in operations for variable in each.variables]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, GraphQLInputObjectType) and kind.name not in found:
            found[kind.name] = kind
            waiting += [get_named_type(field.type) for field in kind.fields.values()]
    return [found[name] for name in sorted(found)]


def enums_of(schema: GraphQLSchema, operations: Sequence[Operation]) -> list[GraphQLEnumType]:
    """Return the enums of answers and variables, by name."""
    names = {leaf.name for each in operations for leaf in leaves(each.answer) if leaf.is_enum}
    given: list[GraphQLInputType] = [variable.type for each in operations for variable in each.variables]
    given += [field.type for kind in inputs_of(operations) for field in kind.fields.values()]
    names |= {kind.name for kind in map(get_named_type, given) if isinstance(kind, GraphQLEnumType)}
    enums = (schema.type_map[name] for name in sorted(names))
    return [each for each in enums if isinstance(each, GraphQLEnumType)]


def leaves(typed: Typed) -> Iterator[Leaf]:
    """Yield the leaves of an answer."""
    match typed.what:
        case Leaf():
            yield typed.what
        case Listed(item):
            yield from leaves(item)
        case Shape() | Choice():
            for shape in shapes(typed):
                for field in shape.fields:
                    if isinstance(bare(field.type), Leaf):
                        yield from leaves(field.type)


def shapes(typed: Typed) -> Iterator[Shape]:
    """Yield the shapes of an answer, those inside others first."""
    what = bare(typed)
    for shape in what.members if isinstance(what, Choice) else (what,) if isinstance(what, Shape) else ():
        for field in shape.fields:
            yield from shapes(field.type)
        yield shape


def choices(typed: Typed) -> Iterator[Choice]:
    """Yield the choices of an answer, those inside others first."""
    for shape in shapes(typed):
        for field in shape.fields:
            inner = bare(field.type)
            if isinstance(inner, Choice):
                yield inner
    what = bare(typed)
    if isinstance(what, Choice):
        yield what


def bare(typed: Typed) -> Leaf | Shape | Choice:
    """Return what a type is without lists around it."""
    return bare(typed.what.item) if isinstance(typed.what, Listed) else typed.what


def pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _operation(schema: GraphQLSchema, path: Path) -> Operation:
    text = path.read_text(encoding="utf-8")
    document = parse(text)
    errors = validate(schema, document)
    definitions = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if errors or len(definitions) != 1 or definitions[0].name is None:
        raise DocumentUnfit(f"{path.name}: {errors[0] if errors else 'it must be one operation with a name'}")
    (definition,) = definitions
    assert definition.name is not None
    reader = _Reader(schema, document, path.name)
    root = schema.get_root_type(definition.operation)
    assert root is not None, "the document is valid"
    fields = reader.collected(root, [definition.selection_set])
    if len(fields) != 1:
        raise DocumentUnfit(f"{path.name}: it must ask for one field")
    ((field_name, nodes),) = fields.items()
    field = root.fields[nodes[0].name.value]
    name = definition.name.value
    return Operation(
        name=name,
        kind=definition.operation.value,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        field=field_name,
        description=field.description or "",
        variables=tuple(_variable(schema, each) for each in definition.variable_definitions or ()),
        key=_key(document),
        answer=reader.typed(field.type, nodes, name),
    )


def _variable(schema: GraphQLSchema, node: Any) -> Variable:
    kind: Any = type_from_ast(schema, node.type)
    optional = not isinstance(kind, GraphQLNonNull) or node.default_value is not None
    return Variable(node.variable.name.value, kind, optional)


def _key(document: DocumentNode) -> str | None:
    """Return the variable that is given as the idempotency key."""
    found: list[str] = []

    class Finder(Visitor):
        def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
            if node.name.value == IDEMPOTENCY_KEY and isinstance(node.value, VariableNode):
                found.append(node.value.name.value)

    visit(document, Finder())
    return found[0] if found else None


class _Reader:
    """Follows the selections of one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, title: str) -> None:
        self._schema, self._title = schema, title
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }

    def typed(self, kind: Any, nodes: Sequence[FieldNode], path: str) -> Typed:
        if isinstance(kind, GraphQLNonNull):
            return Typed(self.typed(kind.of_type, nodes, path).what, nullable=False)
        if isinstance(kind, GraphQLList):
            return Typed(Listed(self.typed(kind.of_type, nodes, path)), nullable=True)
        if is_leaf_type(kind):
            return Typed(Leaf(kind.name, isinstance(kind, GraphQLEnumType)), nullable=True)
        selections = [each.selection_set for each in nodes if each.selection_set]
        if isinstance(kind, GraphQLObjectType):
            return Typed(self._shape(kind, selections, path, is_member=False), nullable=True)
        assert is_abstract_type(kind)
        members = sorted(self._schema.get_possible_types(kind), key=lambda each: each.name)
        if any(TYPENAME not in self.collected(each, selections) for each in members):
            raise DocumentUnfit(f"{self._title}: it must ask for __typename of {kind.name}")
        named = ((each, each.name if each.name.startswith(path) else path + each.name) for each in members)
        return Typed(
            Choice(path + "Result", tuple(self._shape(each, selections, name, is_member=True) for each, name in named)),
            nullable=True,
        )

    def collected(self, kind: GraphQLObjectType, selections: Sequence[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Return what is selected of an object type, by the names in the answer."""
        fields: dict[str, list[FieldNode]] = {}
        waiting = [node for selection in selections for node in selection.selections]
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, FieldNode):
                if node.directives:
                    raise DocumentUnfit(f"{self._title}: {node.name.value} may be left out of an answer")
                name = node.alias.value if node.alias else node.name.value
                fields.setdefault(name, []).append(node)
                continue
            inner = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            assert isinstance(inner, InlineFragmentNode | FragmentDefinitionNode)
            if inner.type_condition is None or self._fits(kind, inner.type_condition.name.value):
                waiting = [*inner.selection_set.selections, *waiting]
        return fields

    def _fits(self, kind: GraphQLObjectType, condition: str) -> bool:
        other: Any = self._schema.type_map[condition]
        return kind is other or (is_abstract_type(other) and self._schema.is_sub_type(other, kind))

    def _shape(
        self, kind: GraphQLObjectType, selections: Sequence[SelectionSetNode], name: str, *, is_member: bool
    ) -> Shape:
        fields = []
        for response_name, nodes in self.collected(kind, selections).items():
            if response_name == TYPENAME:
                continue
            field = kind.fields[nodes[0].name.value]
            typed = self.typed(field.type, nodes, name + pascal(response_name))
            fields.append(Field(response_name, typed, field.description or ""))
        refuses = any(each.name == ERROR_INTERFACE for each in kind.interfaces)
        return Shape(name, kind.name, tuple(fields), refuses, is_member)
