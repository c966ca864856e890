"""The viewer."""

from __future__ import annotations

from domain.identity.queries import UserFacts
from domain.orders.facts import OrderPage
from kernel.errors import YoukaError
from schema.types.ahead import Ahead, ahead_of
from schema.types.context import Context, Info
from schema.types.orders import CARD
from schema.types.viewer import ORDERS, WALLET, Viewer, orders_of_viewer

NO_ORDERS = OrderPage(0, None, None)


async def viewer(info: Info) -> Viewer | None:
    context = info.context
    if context.viewer is None:
        return None
    ahead = ahead_of(info)
    page = _page_of(ahead, context) if ahead is not None else None
    if ahead is None or page is None:
        row = await context.loaders.profiles.load(context.viewer)
    else:
        row = await _overview(ahead, context, page)
    return Viewer.of(row) if row else None


def _page_of(ahead: Ahead, context: Context) -> OrderPage | None:
    """Return the orders to be read along with the user; None where nothing is, or more than one page of them."""
    asked = ahead.asked(ORDERS)
    if not asked:
        return NO_ORDERS if ahead.asked(WALLET) else None
    if len(asked) > 1:
        return None
    try:
        _, page, state = orders_of_viewer(None, context, **asked[0])
    except YoukaError:
        # It is told of where the page is asked for.
        return None
    return OrderPage(page.limit, page.after_id, state)


async def _overview(ahead: Ahead, context: Context, page: OrderPage) -> UserFacts | None:
    """Read the user with wallet and orders, and tell what was asked of it."""
    found = await context.loaders.overviews.load((context.signed_in, page))
    if found is None:
        return None
    if ahead.asked(WALLET):
        ahead.tell(WALLET, found.user.id, found.wallet)
    for arguments in ahead.asked(ORDERS):
        ahead.tell(ORDERS, ORDERS.key(None, context, arguments), found.orders)
    if ahead.asked(CARD):
        for card_id, card in found.cards.items():
            ahead.tell(CARD, card_id, card)
    return found.user
