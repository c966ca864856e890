"""What the page of an account shows: the user, the wallet, and a page of orders with their cards.

PostgreSQL is sent one statement for all who ask. Rows are orders; the first one of a user brings the user's part, and
the first one of each card the card, as JSON with texts for what is only shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson

from domain.cards import facts as cards
from domain.cards.facts import CardFacts
from domain.identity.queries import UserFacts, profiles
from domain.identity.viewer import Viewer
from domain.ledger.postings import customer_held, customer_prepaid
from domain.ledger.queries import wallets
from domain.orders import facts as orders
from domain.orders.facts import OrderFacts, OrderPage
from kernel.money import Money
from kernel.shapes import SHAPES_KNOWN_MAX, Shape, Written
from kernel.states import OrderState
from models.lean import Row, Statement, fetch, in_one_statement
from models.moments import shown


class WrittenOrders(NamedTuple):
    """A page of orders in a shape, whether there are more, and the ids of its first and its last one."""

    written: Written
    has_more: bool
    first_id: UUID | None
    last_id: UUID | None


class Overview(NamedTuple):
    """The wallet is what can be spent and what is set aside; cards are those of the orders, by their ids.

    Orders in a shape have their cards in it.
    """

    user: UserFacts
    wallet: tuple[Money, Money]
    orders: list[OrderFacts] | WrittenOrders
    cards: dict[UUID, CardFacts]


USER_PLACE = orders.PLACE + 1
CARD_PLACE = orders.PLACE + 2


def _credit(code: str) -> str:
    return f"(SELECT -coalesce(sum(l.balance_fen), 0)::bigint FROM ledger_account l WHERE l.code = {code})"  # noqa: S608


# Lists cost as much to send as the rest of the statement, and whoever asks alone needs none.
MANY = "unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY"
ONE = "(VALUES ($1::uuid, $2::uuid, $3::text, $4::text, 1))"


USER_PARTS = f"u.display_name, {shown('u.created_at')}, {_credit('asked.prepaid')}, {_credit('asked.held')}"


def _statement(asked: str, *, state: bool) -> Statement:
    """Of users, before orders, with the codes of their accounts, so many orders, in a state."""
    made = orders.made_by("asked.user_id", before="asked.before", state="$6" if state else "")
    card = (
        f"c.brand, c.number_tail, {shown('c.created_at')}, {shown('c.checked_at')}, c.organisation_id, "
        f"{shown('c.unbound_at')}"
    )
    return Statement(
        postgres=f"SELECT {orders.POSTGRES_COLUMNS}, asked.place, "  # noqa: S608 - names of our own
        "CASE WHEN row_number() OVER (PARTITION BY asked.place ORDER BY o.id DESC) = 1 "
        f"THEN json_build_array({USER_PARTS}) END, "
        "CASE WHEN row_number() OVER (PARTITION BY asked.place, o.card_id ORDER BY o.id DESC) = 1 "
        f"THEN (SELECT json_build_array({card}) FROM fuel_card c WHERE c.id = o.card_id) END "
        f"FROM {asked} AS asked (user_id, before, prepaid, held, place) "
        "JOIN user_account u ON u.id = asked.user_id "
        f"LEFT JOIN LATERAL (SELECT * FROM recharge_order o WHERE {made} ORDER BY o.id DESC LIMIT $5) o ON TRUE "
        "ORDER BY asked.place, o.id DESC",
        sqlite="",
    )


@lru_cache(maxsize=SHAPES_KNOWN_MAX)
def _shaped(shape: Shape, asked: str, *, state: bool) -> Statement:
    """As `_statement`, with the whole page in a shape, which has each order as `o` and its card as `c`.

    The last of the orders tells only that there is one more.
    """
    made = orders.made_by("asked.user_id", before="asked.before", state="$6" if state else "")
    page = (
        f"SELECT o.id, {shape.json} AS json, row_number() OVER (ORDER BY o.id DESC) AS number "  # noqa: S608
        f"FROM recharge_order o LEFT JOIN fuel_card c ON c.id = o.card_id WHERE {made} ORDER BY o.id DESC LIMIT $5"
    )
    return Statement(
        postgres=f"SELECT asked.place, json_build_array({USER_PARTS}), page.* "  # noqa: S608 - names of our own
        f"FROM {asked} AS asked (user_id, before, prepaid, held, place) "
        "JOIN user_account u ON u.id = asked.user_id CROSS JOIN LATERAL ("
        "SELECT concat('[', listed.json, ']'), listed.count, "
        "listed.ids[1], listed.ids[cardinality(listed.ids)] "
        "FROM (SELECT count(*)::int AS count, "
        "string_agg(o.json, ',' ORDER BY o.number) FILTER (WHERE o.number < $5) AS json, "
        "array_agg(o.id ORDER BY o.number) FILTER (WHERE o.number < $5) AS ids "
        f"FROM ({page}) o) listed) page ORDER BY asked.place",
        sqlite="",
    )


OVERVIEWS, OVERVIEWS_IN_STATE = (
    (_statement(MANY, state=state), _statement(ONE, state=state)) for state in (False, True)
)


async def of_viewers(
    *, viewers: Sequence[Viewer], pages: Sequence[OrderPage], shapes: Sequence[Shape | None] | None = None
) -> list[Overview | None]:
    """Return each viewer's own, with the page of their orders at the same place; None where the account is gone.

    One statement on PostgreSQL for all pages that are alike, where orders may be wanted in shapes.
    """
    if not in_one_statement():
        return await _one_by_one(viewers, pages)
    found: list[Overview | None] = [None] * len(viewers)
    alike: dict[tuple[int, OrderState | None, Shape | None], list[int]] = {}
    for place, (page, shape) in enumerate(zip(pages, shapes or [None] * len(pages), strict=True)):
        alike.setdefault((page.first, page.state, shape), []).append(place)
    for (first, state, shape), places in alike.items():
        ids = [viewers[place].user_id for place in places]
        asked = (
            ids,
            [pages[place].after or orders.BEHIND_ALL for place in places],
            [customer_prepaid(user_id) for user_id in ids],
            [customer_held(user_id) for user_id in ids],
        )
        rows = await _rows(asked, first, state, shape)
        if shape is None:
            _read(rows, ids, places, found)
        else:
            for asked_at, user, json, count, first_id, last_id in rows:
                listed = shape.listed(json, min(count, first - 1))
                written = WrittenOrders(listed, count == first, first_id, last_id)
                found[places[asked_at - 1]] = _overview(ids[asked_at - 1], user, written, {})
    return found


def _rows(
    asked: tuple[list[UUID], list[UUID], list[str], list[str]],
    first: int,
    state: OrderState | None,
    shape: Shape | None,
) -> Awaitable[Sequence[Row]]:
    alone, rest = len(asked[0]) == 1, () if state is None else (state,)
    if shape is not None:
        statement = _shaped(shape, ONE if alone else MANY, state=state is not None)
    else:
        statement = (OVERVIEWS if state is None else OVERVIEWS_IN_STATE)[alone]
    if not alone:
        return fetch(statement, *asked, first, *rest)
    (user_id,), (before,), (prepaid,), (held,) = asked
    return fetch(statement, user_id, before, prepaid, held, first, *rest)


def _read(rows: Sequence[Row], ids: Sequence[UUID], places: Sequence[int], found: list[Overview | None]) -> None:
    """Put what the rows say of each user where it was asked for."""
    for row in rows:
        place = row[orders.PLACE] - 1
        if row[USER_PLACE] is not None:
            shown_orders: list[OrderFacts] = []
            shown_cards: dict[UUID, CardFacts] = {}
            found[places[place]] = _overview(ids[place], row[USER_PLACE], shown_orders, shown_cards)
        if row[0] is None:
            continue
        facts = orders.facts_of(row)
        shown_orders.append(facts)
        if row[CARD_PLACE] is not None:
            shown_cards[facts.card_id] = cards.shown_of(facts.card_id, *orjson.loads(row[CARD_PLACE]))


def _overview(
    user_id: UUID, user: str, shown_orders: list[OrderFacts] | WrittenOrders, shown_cards: dict[UUID, CardFacts]
) -> Overview:
    name, created_at, balance_fen, held_fen = orjson.loads(user)
    return Overview(
        UserFacts(user_id, name, created_at), (Money(balance_fen), Money(held_fen)), shown_orders, shown_cards
    )


async def _one_by_one(viewers: Sequence[Viewer], pages: Sequence[OrderPage]) -> list[Overview | None]:
    ids = [viewer.user_id for viewer in viewers]
    users, sums = await profiles(viewers=viewers), await wallets(ids)
    lists = await orders.pages_of(list(zip(ids, pages, strict=True)))
    known = await cards.by_ids(list({each.card_id for page in lists for each in page}))
    return [
        Overview(user, wallet, page, {each.card_id: known[each.card_id] for each in page if each.card_id in known})
        if user
        else None
        for user, wallet, page in zip(users, sums, lists, strict=True)
    ]
