"""Pages of orders, which are read from their rows without objects in between, or written by the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self
from uuid import UUID

import strawberry

from domain.orders.facts import OrderFacts
from domain.orders.overview import WrittenOrders
from kernel.shapes import Written
from models.orders import RechargeOrder
from schema.types import caching, columns
from schema.types.orders import Order
from schema.types.relay import Edge, PageInfo, Placed, encode_cursor, page_info
from schema.types.rows import Made, OfRow


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="One row of a page.")
class OrderEdge(OfRow[RechargeOrder | OrderFacts]):
    cursor: str = strawberry.field(description="The place of this row in the list.")
    node: Order = strawberry.field(description="The row itself.")

    readers = {"cursor": lambda row: encode_cursor(row.id), "node": Made(Order)}
    row_name = "o"
    columns = columns.cursor_of_id()


class OrderRows(NamedTuple):
    """A page of orders, what tells whether there is a next one, what came before it, and its first and last ids."""

    rows: Sequence[RechargeOrder | OrderFacts] | Written
    has_next_page: bool
    after: str | None
    first_id: UUID | None
    last_id: UUID | None

    @classmethod
    def of(
        cls, rows: Sequence[RechargeOrder | OrderFacts] | WrittenOrders, *, first: int, after: str | None
    ) -> OrderRows:
        """Of orders that are sorted by their ids; one more than the page has tells of a next page."""
        if isinstance(rows, WrittenOrders):
            return cls(rows.written, rows.has_more, after, rows.first_id, rows.last_id)
        page = list(rows[:first])
        ends = (page[0].id, page[-1].id) if page else (None, None)
        return cls(page, len(rows) > first, after, *ends)


def _page_info(page: OrderRows) -> PageInfo:
    ends: list[Edge[Order]] = [Edge.of(Placed((each,), None)) for each in (page.first_id, page.last_id) if each]
    return page_info(ends, has_next_page=page.has_next_page, after=page.after)


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="A page of a list, in the list's order.")
class OrderConnection(OfRow[OrderRows]):
    edges: list[OrderEdge] = strawberry.field(description="The rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page ends.")

    readers = {"edges": Made(OrderEdge, "rows", many=True), "page_info": _page_info}

    @classmethod
    def shown(
        cls, rows: Sequence[RechargeOrder | OrderFacts] | WrittenOrders, *, first: int, after: str | None
    ) -> Self:
        return cls.of(OrderRows.of(rows, first=first, after=after))
