"""Who asks for a mutation too often is told when to come back, before its resolver is called."""

from __future__ import annotations

from functools import partial
from inspect import isawaitable
from typing import Any
from uuid import UUID

from graphql import GraphQLResolveInfo, GraphQLSchema, default_field_resolver

from domain.budgets.operations import BudgetSpent, spend
from domain.budgets.rules import Budget
from schema.execution.guards import Guarded, Resolve
from schema.extensions.access import members_of
from schema.types.budgets import RateLimitedError, budget_of
from schema.types.context import Context
from schema.types.errors import to_user_error
from schema.types.relay import key_of


def guard_budgets(schema: GraphQLSchema) -> None:
    """Put the guard before every mutation that takes of a budget."""
    for name, field in schema.mutation_type.fields.items() if schema.mutation_type else ():
        budget = budget_of(field)
        if budget is not None:
            assert RateLimitedError.__name__ in members_of(field), f"{name} cannot answer that it is asked too often"
            guard = partial(_guarded, budget=budget)
            field.resolve = Guarded(field.resolve or default_field_resolver, guard)


def _guarded(resolve: Resolve, *, budget: Budget) -> Resolve:
    async def guarded(source: object, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
        context: Context = info.context
        try:
            await spend(
                budget=budget,
                budgets=context.services.budgets,
                viewer=context.viewer,
                address=context.address,
                card_id=_card_of(arguments),
                now=context.now,
            )
        except BudgetSpent as error:
            return to_user_error(error, context.locale)
        answer = resolve(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return guarded


def _card_of(arguments: dict[str, Any]) -> UUID | None:
    """Return the card that the input names, if it names one; a plan has made an object of the input already."""
    given = arguments.get("input")
    named = given.get("cardId") if isinstance(given, dict) else getattr(given, "card_id", None)
    return key_of(named, "Card") if isinstance(named, str) else None
