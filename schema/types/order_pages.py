"""Pages of orders, which are read from their rows without objects in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import strawberry

from domain.orders.facts import OrderFacts
from kernel.shapes import Written
from models.orders import RechargeOrder
from schema.types import caching
from schema.types.orders import Order
from schema.types.relay import PageInfo, encode_cursor, page_info
from schema.types.rows import Made, OfRow


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="One row of a page.")
class OrderEdge(OfRow[RechargeOrder | OrderFacts | Written]):
    cursor: str = strawberry.field(description="The place of this row in the list.")
    node: Order = strawberry.field(description="The row itself.")

    readers = {"cursor": lambda row: encode_cursor(row.id), "node": Made(Order)}


class OrderRows(NamedTuple):
    """A page of orders, what tells whether there is a next one, and what came before it."""

    rows: Sequence[RechargeOrder | OrderFacts | Written]
    has_next_page: bool
    after: str | None


def _page_info(page: OrderRows) -> PageInfo:
    ends = [OrderEdge.of(row) for row in (*page.rows[:1], *page.rows[-1:])]
    return page_info(ends, has_next_page=page.has_next_page, after=page.after)


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="A page of a list, in the list's order.")
class OrderConnection(OfRow[OrderRows]):
    edges: list[OrderEdge] = strawberry.field(description="The rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page ends.")

    readers = {"edges": Made(OrderEdge, "rows", many=True), "page_info": _page_info}

    @classmethod
    def shown(cls, rows: Sequence[RechargeOrder | OrderFacts | Written], *, first: int, after: str | None) -> Self:
        """Return the page of rows that are sorted by their ids; one row more than it has tells of a next page."""
        return cls.of(OrderRows(list(rows[:first]), len(rows) > first, after))
