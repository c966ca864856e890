"""The variables of an operation: their types are found once, and their values checked for each request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

from graphql import (
    GraphQLError,
    GraphQLSchema,
    Undefined,
    VariableDefinitionNode,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_variable_values,
)
from graphql.utilities.coerce_input_value import coerce_default_value

from schema.execution.coercing import Coerce, coercion_of

# As many errors as graphql-core tells of by default.
ERRORS_MAX = 50
IMMUTABLE = (str, int, float, bool, bytes, type(None), Decimal, datetime, date, time, UUID, Enum)

# A variable, what graphql-core knows of it, how it is read, and what it is where it is not given.
Known: TypeAlias = tuple[str, GraphQLVariableSignature, Coerce, Any]


class Variables:
    """What an operation declares. Whatever is out of the ordinary is left to graphql-core, which has words for it."""

    def __init__(
        self, schema: GraphQLSchema, nodes: Sequence[VariableDefinitionNode], *, hide_suggestions: bool
    ) -> None:
        self._schema, self._nodes, self._hide_suggestions = schema, nodes, hide_suggestions
        self._known: list[Known] | None = []
        for node in nodes:
            signature = get_variable_signature(schema, node)
            if isinstance(signature, GraphQLError):
                self._known = None
                return
            self._known.append((signature.name, signature, coercion_of(signature.type), _absent(signature)))

    def read(self, given: dict[str, Any]) -> VariableValues | list[GraphQLError]:
        """Return the values, or the errors of a request whose values do not fit."""
        if self._known is not None:
            values = self._ordinary(self._known, given)
            if values is not None:
                return values
        return get_variable_values(
            self._schema, self._nodes, given, max_errors=ERRORS_MAX, hide_suggestions=self._hide_suggestions
        )

    @staticmethod
    def _ordinary(known: list[Known], given: dict[str, Any]) -> VariableValues | None:
        """Return the values; None where graphql-core has to read them, and to say what is wrong with them."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for name, signature, coerce, absent in known:
            value = given.get(name, Undefined)
            sources[name] = VariableValueSource(signature, value)
            if value is Undefined:
                if absent is None:
                    return None
                coerced.update(absent)
                continue
            try:
                coerced[name] = coerce(value)
            except Exception:
                return None
        return VariableValues(sources, coerced)


def is_immutable(value: object) -> bool:
    """Whether a value may be handed out again and again, since nobody can change it."""
    return isinstance(value, IMMUTABLE)


def _absent(signature: GraphQLVariableSignature) -> dict[str, Any] | None:
    """Return what the values have where none is given; None where graphql-core has to see to that."""
    if signature.default is None:
        return None if is_non_null_type(signature.type) else {}
    try:
        default = coerce_default_value(signature)
    except TypeError:
        return None
    return {signature.name: default} if is_immutable(default) else None
