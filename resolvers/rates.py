"""What a client may still ask."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.types.context import Info
from schema.types.rates import RateLimit
from schema.types.scalars import JsonObject


def rate_limit(
    info: Info,
    document: Annotated[
        str | None, strawberry.argument(description="A document, of which the cost is told; it is not executed.")
    ] = None,
    variables: Annotated[JsonObject | None, strawberry.argument(description="Its variables.")] = None,
    operation_name: Annotated[str | None, strawberry.argument(description="Which of its operations.")] = None,
) -> RateLimit:
    context = info.context
    budgets = context.services.budgets
    draw = budgets.draw(viewer=context.viewer, address=context.address, cost=0)
    level = context.charge.level if context.charge else budgets.buckets.peek(draw)
    cost = context.charge.price.total if context.charge else 0
    if document is not None:
        cost = context.estimates.estimate(document, variables or {}, operation_name).total
    return RateLimit.of(draw, level, cost=cost, now=context.now)
