"""Orders as clients are shown them, read without the ORM. Who may see them is decided in `domain.orders.queries`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID

from domain.cards.facts import CardFacts
from domain.organisations.reaching import organisations_where
from kernel.clock import written
from kernel.organisation_states import OrganisationPermission
from kernel.states import FailureKind, OrderState, RefundState, ReviewReason, ReviewState
from models.lean import Row, Statement, fetch
from models.moments import read_kept, shown
from models.orders import RechargeOrder

# Members of these are equal to their texts, and are found by them faster than by calling the class.
STATES: dict[str, OrderState] = {each: each for each in OrderState}
FAILURES: dict[str | None, FailureKind | None] = {None: None, **{each: each for each in FailureKind}}
REFUNDS: dict[str, RefundState] = {each: each for each in RefundState}
REVIEWS: dict[str, ReviewState] = {each: each for each in ReviewState}
REASONS: dict[str | None, ReviewReason | None] = {None: None, **{each: each for each in ReviewReason}}

# Ids begin with the time at which they were made, so that there is none behind it.
BEHIND_ALL = UUID(int=2**128 - 1)

MOMENTS = ("pay_deadline_at", "created_at", "updated_at")
BEFORE_MOMENTS = (
    "o.id, o.state, o.amount_fen, o.price_fen, o.failure_kind, o.refund_state, o.review_state, o.review_reason"
)
BEHIND_MOMENTS = "o.card_id, o.offer_id, o.organisation_id, o.member_id"
POSTGRES_COLUMNS = ", ".join((BEFORE_MOMENTS, *(shown(f"o.{each}") for each in MOMENTS), BEHIND_MOMENTS))
SQLITE_COLUMNS = ", ".join((BEFORE_MOMENTS, *(f"o.{each}" for each in MOMENTS), BEHIND_MOMENTS))


class OrderFacts(NamedTuple):
    """What clients are shown of one row of the table of orders, which has the same names for it.

    Moments are texts as `kernel.clock.written` writes them.
    """

    id: UUID
    state: OrderState
    amount_fen: int
    price_fen: int
    failure_kind: FailureKind | None
    refund_state: RefundState
    review_state: ReviewState
    review_reason: ReviewReason | None
    pay_deadline_at: str
    created_at: str
    updated_at: str
    card_id: UUID
    offer_id: UUID | None
    organisation_id: UUID | None
    member_id: UUID | None


PLACE = len(OrderFacts._fields)
ID_PLACES = tuple(
    OrderFacts._fields.index(each) for each in ("id", "card_id", "offer_id", "organisation_id", "member_id")
)
MOMENT_PLACES = tuple(map(OrderFacts._fields.index, MOMENTS))


class OrderPage(NamedTuple):
    """Up to `first` orders, newest first, behind the order `after`; with a state, only those in it."""

    first: int
    after: UUID | None
    state: OrderState | None


def made_by(user: str, *, before: str, state: str) -> str:
    """Return the condition for the orders that a user has made and still sees; each argument is an expression."""
    belongs = organisations_where(OrganisationPermission.SEE_OWN_ORDERS, user=user)
    in_state = f" AND o.state = {state}" if state else ""
    return (
        f"o.user_id = {user} AND o.id < {before}{in_state} "
        f"AND (o.organisation_id IS NULL OR o.organisation_id IN ({belongs}))"
    )


def _page(*, state: bool) -> Statement:
    """One page, of a user, before an order, of so many rows, in a state."""
    postgres, sqlite = (
        f"WHERE {made_by(f'{mark}1', before=f'{mark}2', state=f'{mark}4' if state else '')} "
        f"ORDER BY o.id DESC LIMIT {mark}3"
        for mark in "$?"
    )
    return Statement(
        postgres=f"SELECT {POSTGRES_COLUMNS} FROM recharge_order o {postgres}",  # noqa: S608 - names of our own
        sqlite=f"SELECT {SQLITE_COLUMNS} FROM recharge_order o {sqlite}",  # noqa: S608 - names of our own
    )


def _pages(*, state: bool) -> Statement:
    """A page for each user of a list, before the order at the same place of another; the place comes last."""
    postgres = made_by("asked.user_id", before="asked.before", state="$4" if state else "")
    sqlite = made_by("asked.value", before="bound.value", state="?4" if state else "")
    return Statement(
        postgres="SELECT page.* FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY "  # noqa: S608 - names of our own
        "AS asked (user_id, before, place) CROSS JOIN LATERAL "
        f"(SELECT {POSTGRES_COLUMNS}, asked.place FROM recharge_order o WHERE {postgres} ORDER BY o.id DESC LIMIT $3) "
        "page ORDER BY page.place, page.id DESC",
        # There is no LATERAL. Places count from zero here.
        sqlite=f"SELECT {SQLITE_COLUMNS}, asked.key + 1 AS place FROM json_each(?1) asked "  # noqa: S608
        "CROSS JOIN json_each(?2) bound ON bound.key = asked.key CROSS JOIN recharge_order o ON o.id IN "
        f"(SELECT o.id FROM recharge_order o WHERE {sqlite} ORDER BY o.id DESC LIMIT ?3) "
        "ORDER BY asked.key, o.id DESC",
    )


def _seen_by(user: str) -> str:
    """Return the condition for the orders that a user has made, or sees by their role in an organisation."""
    all_of, own_of = (
        organisations_where(permission, user=user)
        for permission in (OrganisationPermission.SEE_ALL_ORDERS, OrganisationPermission.SEE_OWN_ORDERS)
    )
    return (
        f"CASE WHEN o.organisation_id IS NULL THEN o.user_id = {user} ELSE o.organisation_id IN ({all_of}) "
        f"OR o.user_id = {user} AND o.organisation_id IN ({own_of}) END"
    )


PAGE, PAGE_IN_STATE = _page(state=False), _page(state=True)
PAGES, PAGES_IN_STATE = _pages(state=False), _pages(state=True)
BY_IDS = Statement(
    postgres=f"SELECT {POSTGRES_COLUMNS} FROM recharge_order o "  # noqa: S608 - names of our own
    "WHERE o.id = ANY($1::uuid[]) ORDER BY o.id",
    sqlite=f"SELECT {SQLITE_COLUMNS} FROM recharge_order o "  # noqa: S608 - names of our own
    "WHERE o.id IN (SELECT value FROM json_each(?1)) ORDER BY o.id",
)


SEEN = Statement(
    postgres=f"SELECT {POSTGRES_COLUMNS} FROM recharge_order o "  # noqa: S608 - names of our own
    f"WHERE o.id = $1 AND {_seen_by('$2')} ORDER BY o.id",
    sqlite=f"SELECT {SQLITE_COLUMNS} FROM recharge_order o "  # noqa: S608 - names of our own
    f"WHERE o.id = ?1 AND {_seen_by('?2')} ORDER BY o.id",
)


async def page_of(user_id: UUID, page: OrderPage) -> list[OrderFacts]:
    """Return a page of the orders that a user has made and still sees."""
    before = page.after or BEHIND_ALL
    if page.state is None:
        return _read(await fetch(PAGE, user_id, before, page.first))
    return _read(await fetch(PAGE_IN_STATE, user_id, before, page.first, page.state))


async def pages_of(asked: Sequence[tuple[UUID, OrderPage]]) -> list[list[OrderFacts]]:
    """Return a page for each user, in their order: pages of the same shape by one statement."""
    if len(asked) == 1:
        return [await page_of(*asked[0])]
    found: list[list[OrderFacts]] = [[] for _ in asked]
    shapes: dict[tuple[int, OrderState | None], list[int]] = {}
    for place, (_, page) in enumerate(asked):
        shapes.setdefault((page.first, page.state), []).append(place)
    for (first, state), places in shapes.items():
        users = [asked[place][0] for place in places]
        befores = [asked[place][1].after or BEHIND_ALL for place in places]
        statement, rest = (PAGES, ()) if state is None else (PAGES_IN_STATE, (state,))
        rows = await fetch(statement, users, befores, first, *rest)
        for row, facts in zip(rows, _read(rows), strict=True):
            found[places[row[PLACE] - 1]].append(facts)
    return found


async def seen_by(user_id: UUID, order_id: UUID) -> OrderFacts | None:
    """Return an order that the user has made, or sees by their role in its organisation."""
    return next(iter(_read(await fetch(SEEN, order_id, user_id))), None)


def of_new(order: RechargeOrder, card: CardFacts) -> OrderFacts:
    """Return what is shown of an order that was just made.

    Its card stands in the place of the card's id, as the key of what nobody has to load (`schema.types.orders`).
    """
    key, created_at = cast(UUID, card), written(order.created_at)
    return OrderFacts(
        order.id, order.state, order.amount_fen, order.price_fen, order.failure_kind, order.refund_state,
        order.review_state, order.review_reason, written(order.pay_deadline_at), created_at,
        created_at, key, order.offer_id, order.organisation_id, order.member_id,
    )  # fmt: skip


async def by_ids(order_ids: Sequence[UUID]) -> dict[UUID, OrderFacts]:
    return {facts.id: facts for facts in _read(await fetch(BY_IDS, list(order_ids)))}


def _read(rows: Sequence[Row]) -> list[OrderFacts]:
    if rows and isinstance(rows[0][0], str):
        return [facts_of(_kept(row)) for row in rows]
    return [facts_of(row) for row in rows]


def facts_of(row: Iterable[Any]) -> OrderFacts:
    (
        order_id, state, amount_fen, price_fen, failure, refund, review, reason,
        deadline, created, updated, card_id, offer_id, organisation_id, member_id, *_,
    ) = row  # fmt: skip
    return OrderFacts(
        order_id, STATES[state], amount_fen, price_fen, FAILURES[failure], REFUNDS[refund], REVIEWS[review],
        REASONS[reason], deadline, created, updated, card_id, offer_id, organisation_id, member_id,
    )  # fmt: skip


def _kept(row: Iterable[Any]) -> list[Any]:
    """Return the row with what PostgreSQL gives for ids and moments, which SQLite keeps as texts of its own."""
    columns = list(row)
    for place in ID_PLACES:
        columns[place] = UUID(columns[place]) if columns[place] else None
    for place in MOMENT_PLACES:
        columns[place] = read_kept(columns[place])
    return columns
