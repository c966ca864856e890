"""Counting what an execution costs while it goes on, by the weights by which it was priced before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import GraphQLObjectType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.extensions.costs import Prices
from schema.types.charges import Meter
from schema.types.context import Context

PRICES = "youka-prices"


class Metering:
    """Counts the same for plans, which know what an object costs before there is one."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    def weigh(self, kind: GraphQLObjectType, names: Iterable[str]) -> tuple[int, int]:
        """Return what calling these fields costs, and the object itself."""
        return sum(self._prices.of_call(kind.name, name) for name in names), self._prices.of_object(kind.name)

    def meter_of(self, context: Context | None) -> Meter | None:
        return context.meter if context is not None else None


class MeteredExecutor(StrawberryGraphQLCoreExecutionContext):
    """Counts each object once, with all fields that are called on it, into the context's meter.

    Its fields are looked at once for each selection, not for each object.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls: dict[tuple[str, int], int] = {}

    def execute_fields(self, parent_type: GraphQLObjectType, *arguments: Any) -> Any:
        self._count(parent_type, arguments[2])
        return super().execute_fields(parent_type, *arguments)

    def execute_fields_serially(self, parent_type: GraphQLObjectType, *arguments: Any) -> Any:
        self._count(parent_type, arguments[2])
        return super().execute_fields_serially(parent_type, *arguments)

    def _count(self, parent_type: GraphQLObjectType, selected: Any) -> None:
        context: Context | None = self.context_value
        if context is None or context.meter is None:
            return
        prices: Prices = self.schema.extensions[PRICES]
        # The executor keeps what it has collected for each list of fields, so the id stands for it until the end.
        key = (parent_type.name, id(selected))
        calls = self._calls.get(key)
        if calls is None:
            names = (details[0].node.name.value for details in selected.values())
            calls = self._calls[key] = sum(prices.of_call(parent_type.name, name) for name in names)
        context.meter.fields += calls
        context.meter.types += prices.of_object(parent_type.name)
