"""Questions for every field that says who may have it, made from the committed SDL and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    value_from_ast_untyped,
)

from schema.sdl import PATH

SDL: GraphQLSchema = build_schema(PATH.read_text(encoding="utf-8"))
KINDS = ("public", "authenticated", "requiresScopes", "requiresRole")
SAMPLES: dict[str, Any] = {
    "Boolean": True,
    "Date": "2026-05-01",
    "DateTime": "2026-05-01T00:00:00Z",
    "Float": 31.2,
    "ID": "nothing",
    "Int": 1,
    "JSONObject": {},
    "String": "text",
    "Yuan": "500.00",
}
DEPTH_MAX = 5
Given: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Requirement:
    """What the SDL says of a field."""

    kind: str
    scopes: tuple[frozenset[str], ...] = ()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Question:
    """One field, asked as `answer` with arguments that its owner could send."""

    name: str
    operation: str
    text: str
    variables: dict[str, Any]
    requirement: Requirement


def requirement_of(field: GraphQLField) -> Requirement | None:
    """Return what a field requires; None where it says nothing."""
    assert field.ast_node is not None
    found = [each for each in field.ast_node.directives or () if each.name.value in KINDS]
    if not found:
        return None
    (directive,) = found
    given = {each.name.value: value_from_ast_untyped(each.value) for each in directive.arguments or ()}
    scopes = tuple(frozenset(each) for each in given.get("scopes", ()))
    return Requirement(directive.name.value, scopes, frozenset(given.get("roles", ())))


def root_questions(given: Given) -> Iterator[Question]:
    """Ask each root field but `node`. `given` holds values by the name of an argument, or by `field.argument`."""
    roots = {"query": SDL.query_type, "mutation": SDL.mutation_type, "subscription": SDL.subscription_type}
    for operation, parent in roots.items():
        assert parent is not None
        for name, field in parent.fields.items():
            if name != "node":
                yield _question(operation, parent, name, field, given)


def viewer_questions(given: Given) -> Iterator[Question]:
    """Ask each field of the viewer."""
    parent = SDL.type_map["Viewer"]
    assert isinstance(parent, GraphQLObjectType)
    for name, field in parent.fields.items():
        inner = _question("query", parent, name, field, given)
        text = inner.text.replace("{ answer", "{ viewer { answer", 1) + " }"
        yield Question(inner.name, "query", text, inner.variables, inner.requirement)


def organisation_questions(given: Given) -> Iterator[Question]:
    """Ask each field of the organisation that says who may have it; what it takes is that and what leads there."""
    parent, root = SDL.type_map["Organisation"], SDL.query_type
    assert isinstance(parent, GraphQLObjectType)
    assert root is not None
    there = requirement_of(root.fields["organisation"])
    for name, field in parent.fields.items():
        own = requirement_of(field)
        if own and there:
            inner = _question("query", parent, name, field, given)
            scopes = tuple(one | other for one in own.scopes for other in there.scopes)
            text = inner.text.replace("query", "query ($organisation: ID!)", 1)
            text = text.replace("{ answer", "{ organisation(id: $organisation) { answer", 1) + " }"
            variables = {**inner.variables, "organisation": given["organisation.id"]}
            yield Question(inner.name, "query", text, variables, Requirement(own.kind, scopes))


def node_questions(ids: Mapping[str, str], first: Mapping[str, str]) -> Iterator[Question]:
    """Ask for each node by its id; `first` names the field that shows it first, whose requirement it has."""
    for type_name, id in ids.items():
        parent, name = first[type_name].split(".")
        kind, requirement = SDL.type_map[parent], None
        assert isinstance(kind, GraphQLObjectType)
        requirement = requirement_of(kind.fields[name])
        assert requirement is not None
        shown = SDL.type_map[type_name]
        assert isinstance(shown, GraphQLObjectType)
        text = (
            f"query ($id: ID!) {{ answer: node(id: $id) {{ __typename ... on {type_name} {_selection(shown, 4)} }} }}"
        )
        yield Question(f"node({type_name})", "query", text, {"id": id}, requirement)


def _question(operation: str, parent: GraphQLObjectType, name: str, field: GraphQLField, given: Given) -> Question:
    own = {**given, **{key.split(".")[1]: value for key, value in given.items() if key.startswith(f"{name}.")}}
    arguments = {key: each for key, each in field.args.items() if key in own or _is_required(each)}
    variables = {key: _value(key, each.type, own) for key, each in arguments.items()}
    declared = ", ".join(f"${key}: {each.type}" for key, each in arguments.items())
    passed = ", ".join(f"{key}: ${key}" for key in arguments)
    text = (
        f"{operation} {f'({declared})' if declared else ''} {{ answer: {name}{f'({passed})' if passed else ''} "
        f"{_selection(field.type, DEPTH_MAX)} }}"
    )
    requirement = requirement_of(field)
    assert requirement is not None, f"{parent.name}.{name} says nothing"
    return Question(f"{parent.name}.{name}", operation, text, variables, requirement)


def _is_required(given: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(given.type, GraphQLNonNull) and given.ast_node is not None and not given.ast_node.default_value


def _value(name: str, kind: GraphQLInputType, given: Given) -> Any:
    if isinstance(kind, GraphQLNonNull):
        return _value(name, kind.of_type, given)
    if isinstance(kind, GraphQLInputObjectType):
        return {
            key: _value(key, each.type, given)
            for key, each in kind.fields.items()
            if key in given or _is_required(each)
        }
    if name in given:
        return given[name]
    if isinstance(kind, GraphQLList):
        return [_value(name, kind.of_type, given)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return SAMPLES[get_named_type(kind).name]


def _selection(kind: GraphQLOutputType, depth: int) -> str:
    """Return everything below a field that takes no arguments, down to a depth."""
    named = get_named_type(kind)
    if isinstance(named, GraphQLUnionType):
        # Members have fields of the same name and other types, so each is named after its member.
        parts = [f"... on {each.name} {_fields(each, depth, prefix=f'{each.name}_')}" for each in named.types]
        return f"{{ __typename {' '.join(parts)} }}"
    if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        return _fields(named, depth)
    return ""


def _fields(kind: GraphQLObjectType | GraphQLInterfaceType, depth: int, *, prefix: str = "") -> str:
    parts = ["__typename"]
    for name, field in kind.fields.items():
        named = get_named_type(field.type)
        is_leaf = not isinstance(named, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
        if any(_is_required(each) for each in field.args.values()) or (not is_leaf and depth <= 1):
            continue
        if requirement_of(field):
            # It is a question of its own.
            continue
        parts.append(f"{prefix and f'{prefix}{name}: '}{name} {_selection(field.type, depth - 1)}")
    return f"{{ {' '.join(parts)} }}"
