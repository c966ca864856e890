"""What resolvers take, made of what graphql-core has read of an argument: how is found once for each type.

strawberry looks at types, names and annotations anew for each value. What is out of the ordinary is left to it, with
its errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING
from functools import partial
from typing import Any, TypeAlias

from strawberry.relay import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.unset import UNSET

Make: TypeAlias = Callable[[Any], Any]


class Making:
    """Makes values of the types of one argument; `name` is how it is called in GraphQL."""

    def __init__(self, registry: Any, config: Any, name: str) -> None:
        self._registry, self._config, self._path = registry, config, (name,)
        # Input types may have themselves inside.
        self._inputs: dict[type, Make | None] = {}

    def of(self, kind: Any) -> Make | None:
        """Return what makes a value of this type; None where it is taken as it is."""
        if type(kind) is StrawberryOptional:
            return self.of(kind.of_type)
        if isinstance(kind, LazyType):
            return self.of(kind.resolve_type())
        if type(kind) is StrawberryList:
            return self._list(self.of(kind.of_type))
        if kind is not GlobalID and not isinstance(kind, StrawberryMaybe) and self._is_leaf(kind):
            return None
        definition = get_object_definition(kind) if isinstance(kind, type) else None
        if definition is not None and definition.is_input and definition.from_input is None:
            return self._input(kind, definition)
        return lambda value: convert_argument(value, kind, self._registry, self._config, None, path=self._path)

    def _is_leaf(self, kind: Any) -> bool:
        return (
            isinstance(kind, StrawberryEnumDefinition) or has_enum_definition(kind) or is_scalar(kind, self._registry)
        )

    @staticmethod
    def _list(make: Make | None) -> Make:
        def made(value: Any) -> Any:
            if value is None or value is UNSET:
                return value
            # A default is the same list for every request, so that it is copied in any case.
            return list(value) if make is None else [make(each) for each in value]

        return made

    def _input(self, kind: type, definition: Any) -> Make:
        if kind in self._inputs:
            return self._inputs[kind] or partial(self._again, kind)
        self._inputs[kind] = None
        parts: list[tuple[str, str, Make | None]] = []
        absent: dict[str, Any] = {}
        for field in definition.fields:
            name = self._config.name_converter.from_field(field)
            parts.append((name, field.python_name, self.of(field.resolve_type(type_definition=definition))))
            if field.default_value is MISSING and field.default_factory is MISSING:
                absent[field.python_name] = None

        def made(value: Any) -> Any:
            if value is None or value is UNSET:
                return value
            given: dict[str, Any] = dict(absent)
            for name, python_name, make in parts:
                if name in value:
                    found = value[name]
                    given[python_name] = found if make is None else make(found)
            return kind(**given)

        self._inputs[kind] = made
        return made

    def _again(self, kind: type, value: Any) -> Any:
        """Make a value inside one of the same type."""
        make = self._inputs[kind]
        assert make is not None
        return make(value)
