"""Documents that somebody might send, made at random from the committed SDL: valid, nested, with fragments, variables
and conditions."""

from __future__ import annotations

from random import Random
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
)

from tests.access_matrix.questions import SDL, Given, _is_required, _value

DEPTH_MAX = 6
FIELDS_MAX = 5


class Generator:
    """Makes one document; `given` holds values by the name of an argument, or by `field.argument`."""

    def __init__(self, seed: int, given: Given) -> None:
        self._random, self._given = Random(seed), given
        self._declared: list[str] = []
        self._fragments: list[str] = []
        self._names = 0
        self.variables: dict[str, Any] = {}

    def document(self) -> str:
        assert SDL.query_type is not None
        fields = [self._field(SDL.query_type, DEPTH_MAX) for _ in range(self._random.randint(1, 3))]
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        return "\n".join([f"query {declared} {{ {' '.join(fields)} }}", *self._fragments])

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"

    def _variable(self, kind: str, value: Any) -> str:
        name = self._name()
        self._declared.append(f"${name}: {kind}")
        self.variables[name] = value
        return f"${name}"

    def _field(self, parent: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        # A field that leads on is drawn rather than a text, or little would be nested.
        led = [name for name, each in parent.fields.items() if is_composite_type(get_named_type(each.type))]
        name = self._random.choice(led if led and depth > 1 and self._random.random() < 0.8 else list(parent.fields))
        field = parent.fields[name]
        named = get_named_type(field.type)
        if is_composite_type(named) and depth <= 1:
            return "__typename"
        below = self._selection(named, depth - 1) if is_composite_type(named) else ""
        return f"{self._name()}: {name}{self._arguments(name, field)} {self._condition()} {below}"

    def _condition(self) -> str:
        if self._random.random() > 0.1:
            return ""
        directive = self._random.choice(["include", "skip"])
        value = self._variable("Boolean!", self._random.random() < 0.5) if self._random.random() < 0.7 else "true"
        return f"@{directive}(if: {value})"

    def _arguments(self, name: str, field: GraphQLField) -> str:
        named = {key.split(".")[1]: each for key, each in self._given.items() if key.startswith(f"{name}.")}
        own = {**self._given, **named}
        wanted = {key: each for key, each in field.args.items() if self._passes(key, each, own)}
        passed = [f"{key}: {self._argument(key, each, own)}" for key, each in wanted.items()]
        return f"({', '.join(passed)})" if passed else ""

    def _passes(self, key: str, argument: GraphQLArgument, own: Given) -> bool:
        if _is_required(argument):
            return True
        return self._random.random() < 0.5 if key == "first" else key in own and key != "after"

    def _argument(self, key: str, argument: GraphQLArgument, own: Given) -> str:
        if key == "first":
            size = self._random.choice([0, 1, 1, 2, 3, 5, 20, 100, 101])
            return str(size) if self._random.random() < 0.5 else self._variable("Int!", size)
        return self._variable(str(argument.type), _value(key, argument.type, own))

    def _selection(self, kind: GraphQLNamedType, depth: int) -> str:
        parts = ["__typename"]
        possible = [kind] if isinstance(kind, GraphQLObjectType) else list(SDL.get_possible_types(kind))  # type: ignore[arg-type]
        for _ in range(self._random.randint(1, FIELDS_MAX)):
            on: Any = self._random.choice(possible) if isinstance(kind, GraphQLUnionType) else kind
            if not isinstance(kind, GraphQLUnionType) and self._random.random() < 0.2:
                on = self._random.choice(possible)
            field = self._field(on, depth)
            if on is not kind or self._random.random() < 0.15:
                field = f"... on {on.name} {{ {field} }}"
            elif self._random.random() < 0.15:
                fragment = self._name()
                self._fragments.append(f"fragment {fragment} on {on.name} {{ {field} }}")
                # Spread twice it is executed once, and costs what it says all the same.
                field = f"...{fragment} " * self._random.randint(1, 2)
            parts.append(field)
        return f"{{ {' '.join(parts)} }}"
