"""Mutations that somebody may ask for so often only: `@budget` on their fields, and what they answer then."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLField
from strawberry.schema_directive import Location

from domain.budgets.rules import Budget
from kernel.errors import YoukaError
from schema.types.describing import described
from schema.types.scalars import DateTime
from schema.types.user_error import UserError

described(
    Budget,
    "Budget",
    "What is counted together.",
    {
        "MONEY": "Mutations that move money, or order it to be moved.",
        "CONTACT": "Mutations that make a third party do something: send a message, look at a card, take a test.",
        "VOICE": "Turns of conversations by voice.",
    },
)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="budget",
    description="Each call takes one piece of the budget of the user, of the device, and of the card that it names. "
    "Time gives them back; where one has nothing left, the answer is `RateLimitedError`, and nothing was done.",
)
class BudgetDirective:
    of: Budget = strawberry.directive_field(name="of")


MONEY = BudgetDirective(of=Budget.MONEY)
CONTACT = BudgetDirective(of=Budget.CONTACT)
VOICE = BudgetDirective(of=Budget.VOICE)


@strawberry.type(description="It was asked for too often in a short time. Nothing was done.")
class RateLimitedError(UserError):
    retry_at: DateTime = strawberry.field(description="When to ask again.")


def rate_limited(error: YoukaError, **common: str) -> UserError:
    return RateLimitedError(retry_at=DateTime(error.values["retry_at"]), **common)


def budget_of(field: GraphQLField) -> Budget | None:
    """Return the budget that a field takes of, if it does."""
    definition: Any = field.extensions.get("strawberry-definition")
    directives = definition.directives if definition is not None else ()
    return next((each.of for each in directives if isinstance(each, BudgetDirective)), None)
