"""Operations over a whole schema, drawn by chance: fields, aliases, fragments, directives, arguments and variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

DEPTH_MAX = 5
FIELDS_MAX = 40
OMITTED = object()
# What a variable may be given that fits no type.
MISFITS: tuple[Any, ...] = ([], {}, {"no": "field"}, "nonsense", -1, 1e300, None, True, [[1]])


@dataclass
class Drawn:
    text: str
    variables: dict[str, Any]


@dataclass
class Drawing:
    """One document on its way. `scalars` draws a JSON value of a custom scalar, by its name."""

    schema: GraphQLSchema
    random: Random
    scalars: dict[str, Callable[[Random], Any]]
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    spreadable: list[tuple[str, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType]] = field(
        default_factory=list
    )
    left: int = FIELDS_MAX
    # Below the root, only fields of these names are drawn.
    only: frozenset[str] | None = None
    names: int = 0

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def document(self, kind: str, root: GraphQLObjectType, *, wanted: list[str] | None = None) -> Drawn:
        selections = self.selections(root, 1, wanted=wanted)
        declared = f"({', '.join(self.declared)})" if self.declared else ""
        return Drawn("\n".join([f"{kind} Drawn{declared} {selections}", *self.fragments]), self.variables)

    def selections(self, kind: Any, depth: int, *, wanted: list[str] | None = None) -> str:
        parts: list[str] = []
        for _ in range(self.random.randint(1, 4)):
            part = self.selection(kind, depth, wanted)
            if part:
                parts.append(part)
        if not parts or (is_abstract_type(kind) and self.chance(0.5)):
            parts.append(self.random.choice(["__typename", f"{self.name('t')}: __typename"]))
        return "{ " + " ".join(parts) + " }"

    def selection(self, kind: Any, depth: int, wanted: list[str] | None) -> str | None:
        turn = self.random.random()
        if isinstance(kind, GraphQLUnionType) or (depth > 1 and turn < 0.2):
            return self.fragment(kind, depth)
        if turn < 0.25:
            return "__typename" + self.directives()
        names = [name for name in kind.fields if wanted is None or name in wanted]
        if self.only is not None and depth > 1:
            names = [name for name in names if name in self.only] or ["__typename"]
        if names == ["__typename"]:
            return "__typename"
        return self.field(kind.fields, self.random.choice(names), depth)

    def field(self, fields: dict[str, GraphQLField], name: str, depth: int) -> str | None:
        definition = fields[name]
        named = get_named_type(definition.type)
        if is_composite_type(named) and (depth >= DEPTH_MAX or self.left <= 0):
            return None
        self.left -= 1
        arguments = self.arguments(definition.args)
        # Without an alias only what everywhere is the same can be merged.
        alias = f"{self.name('a')}: " if arguments or self.chance(0.3) else ""
        below = f" {self.selections(named, depth + 1)}" if is_composite_type(named) else ""
        return f"{alias}{name}{arguments}{self.directives()}{below}"

    def fragment(self, kind: Any, depth: int) -> str:
        fitting = [name for name, other in self.spreadable if other is kind]
        if fitting and self.chance(0.3):
            return f"...{self.random.choice(fitting)}{self.directives()}"
        possible = list(self.schema.get_possible_types(kind)) if is_abstract_type(kind) else [kind]
        if isinstance(kind, GraphQLObjectType):
            possible += kind.interfaces
        other = self.random.choice([*possible, kind])
        selections = self.selections(other, depth)
        if self.chance(0.5):
            condition = "" if other is kind and self.chance(0.5) else f" on {other.name}"
            return f"...{condition}{self.directives()} {selections}"
        name = self.name("F")
        self.fragments.append(f"fragment {name} on {other.name} {selections}")
        self.spreadable.append((name, other))
        return f"...{name}{self.directives()}"

    def directives(self) -> str:
        if not self.chance(0.12):
            return ""
        value = self.random.choice(["true", "false"])
        if self.chance(0.6):
            value = self.variable("Boolean!", lambda: self.chance(0.5), required=True)
        return f" @{self.random.choice(['skip', 'include'])}(if: {value})"

    def arguments(self, definitions: dict[str, GraphQLArgument]) -> str:
        given = [
            f"{name}: {self.argument(argument)}"
            for name, argument in definitions.items()
            if is_required_argument(argument) or self.chance(0.6)
        ]
        return f"({', '.join(given)})" if given else ""

    def argument(self, argument: GraphQLArgument) -> str:
        if self.chance(0.5):
            return self.variable(str(argument.type), lambda: self.value(argument.type, 1))
        return self.literal(argument.type, self.value(argument.type, 1))

    def variable(self, kind: str, value: Callable[[], Any], *, required: bool = False) -> str:
        name = self.name("v")
        self.declared.append(f"${name}: {kind}")
        if not required and self.chance(0.03):
            self.variables[name] = self.random.choice(MISFITS)
        elif required or kind.endswith("!") or self.chance(0.85):
            self.variables[name] = value()
        return f"${name}"

    def value(self, kind: Any, depth: int) -> Any:
        """Return a JSON value of an input type."""
        if isinstance(kind, GraphQLNonNull):
            return self.value(kind.of_type, depth)
        # `kind` may be null here, whether it is tells who asks.
        if depth > 1 and self.chance(0.1):
            return None
        if isinstance(kind, GraphQLList):
            return [self.present(kind.of_type, depth + 1) for _ in range(self.random.randint(0, 3))]
        if isinstance(kind, GraphQLEnumType):
            return self.random.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            return {
                name: self.present(each.type, depth + 1)
                for name, each in kind.fields.items()
                if is_required_input_field(each) or (depth < 4 and self.chance(0.6))
            }
        return self.scalars[kind.name](self.random)

    def present(self, kind: Any, depth: int) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self.value(kind.of_type, 1 if is_leaf_type(kind.of_type) else depth) or self.value(kind.of_type, 1)
        return self.value(kind, depth)

    def literal(self, kind: Any, value: Any) -> str:
        """Return a value as it is written in a document, here and there with a variable in it."""
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if value is None:
            return "null"
        if isinstance(kind, GraphQLList):
            return "[" + ", ".join(self.part(kind.of_type, each) for each in value) + "]"
        if isinstance(kind, GraphQLInputObjectType):
            parts = (f"{name}: {self.part(kind.fields[name].type, each)}" for name, each in value.items())
            return "{" + ", ".join(parts) + "}"
        if isinstance(kind, GraphQLEnumType):
            return str(value)
        return _literal(value)

    def part(self, kind: Any, value: Any) -> str:
        if self.chance(0.2):
            return self.variable(str(kind), lambda: value, required=value is not None)
        return self.literal(kind, value)


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(each)}" for key, each in value.items()) + "}"
    return orjson.dumps(value).decode()
