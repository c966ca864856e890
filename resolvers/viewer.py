"""The viewer."""

from __future__ import annotations

from contextlib import suppress

from domain.identity.queries import UserFacts
from domain.orders.facts import OrderPage
from kernel.errors import YoukaError
from schema.types.ahead import Ahead, ahead_of
from schema.types.context import Context, Info
from schema.types.order_pages import OrderEdge
from schema.types.orders import CARD
from schema.types.viewer import ORDERS, WALLET, Viewer, orders_of_viewer

NO_ORDERS = OrderPage(0, None, None)


async def viewer(info: Info) -> Viewer | None:
    context = info.context
    if context.viewer is None:
        return None
    ahead = ahead_of(info)
    row = await (_read(ahead, context) if ahead is not None else context.loaders.profiles.load(context.viewer))
    return Viewer.of(row) if row else None


async def _read(ahead: Ahead, context: Context) -> UserFacts | None:
    """Read the user, and what can be read along: the wallet, and the orders where one page of them is asked for."""
    pages, wallet, key = ahead.asked(ORDERS), bool(ahead.asked(WALLET)), None
    if len(pages) == 1:
        # What is wrong with a page is told of where it is asked for.
        with suppress(YoukaError):
            key = orders_of_viewer(None, context, **pages[0])
    if key is None and (pages or not wallet):
        return await context.loaders.profiles.load(context.signed_in)
    page = NO_ORDERS if key is None else OrderPage(key[1].limit, key[1].after_id, key[2])
    shape = ahead.shape(OrderEdge, behind=ORDERS) if key is not None else None
    found = await context.loaders.overviews.load((context.signed_in, page, shape))
    if found is None:
        return None
    if wallet:
        ahead.known(WALLET)[found.user.id] = found.wallet
    if key is not None:
        ahead.known(ORDERS)[key] = found.orders
        ahead.known(CARD).update(found.cards)
    return found.user
