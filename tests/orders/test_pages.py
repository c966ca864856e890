"""Pages of many viewers' orders that share a statement: each viewer's is what it would be alone, and their own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.identity.queries import profiles
from domain.identity.viewer import Viewer
from domain.orders import facts, queries
from domain.orders.facts import OrderFacts, OrderPage
from kernel.clock import written
from kernel.ids import new_id
from kernel.organisation_states import MemberState, OrganisationRole, OrganisationState
from kernel.states import FailureKind, OrderState, RefundState, ReviewReason, ReviewState
from models.lean import Statement
from models.lean import fetch as fetch_rows
from models.orders import RechargeOrder
from models.organisations import Organisation, OrganisationMember
from resolvers.loaders import build
from schema.types.relay import Page
from tests.factories import create_card, create_viewer, viewer_of

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
VIEWERS, ORGANISATIONS, ORDERS = 6, 3, 90
# A moment that a millisecond does not hold: it is cut off, not rounded up into the next second.
JUST_BEFORE = timedelta(microseconds=999_999)


@dataclass(frozen=True)
class World:
    """People who belong to organisations, or did, with orders of both kinds."""

    viewers: Sequence[Viewer]
    chance: random.Random

    def some_page(self, orders: Sequence[RechargeOrder]) -> OrderPage:
        after = self.chance.choice([None, None, self.chance.choice(orders).id, new_id()])
        return OrderPage(self.chance.choice([1, 4, 21]), after, self.chance.choice([None, None, *OrderState]))


async def create_world(seed: int) -> tuple[World, list[RechargeOrder]]:
    chance = random.Random(seed)
    viewers = [await create_viewer() for _ in range(VIEWERS)]
    card = await create_card(viewers[0])
    firms = [
        await Organisation.create(
            id=new_id(), name=f"{n}", credit_code=f"{n:018}", state=OrganisationState.ACTIVE, created_at=BEGINNING
        )
        for n in range(ORGANISATIONS)
    ]
    for viewer in viewers:
        for firm in chance.sample(firms, chance.randrange(ORGANISATIONS + 1)):
            state = chance.choice([MemberState.ACTIVE, MemberState.ACTIVE, MemberState.REMOVED])
            await OrganisationMember.create(
                id=new_id(), organisation=firm, user_id=viewer.user_id, name="张三", state=state,
                role=chance.choice(list(OrganisationRole)), all_cards=True, joined_at=BEGINNING,
                ended_at=None if state is MemberState.ACTIVE else BEGINNING,
            )  # fmt: skip
    orders = [some_order(chance, chance.choice(viewers), card.id, firms) for _ in range(ORDERS)]
    await RechargeOrder.bulk_create(orders)
    return World(viewers, chance), orders


def some_order(chance: random.Random, viewer: Viewer, card_id: UUID, firms: Sequence[Organisation]) -> RechargeOrder:
    state = chance.choice(list(OrderState))
    firm = chance.choice([None, chance.choice(firms)])
    review = chance.choice(list(ReviewState))
    made = BEGINNING + timedelta(seconds=chance.randrange(10_000)) + chance.choice([timedelta(0), JUST_BEFORE])
    return RechargeOrder(
        id=new_id(), user_id=viewer.user_id, card_id=card_id, amount_fen=chance.randrange(1, 10**9), price_fen=1,
        state=state, version=1, refund_state=chance.choice(list(RefundState)), review_state=review,
        failure_kind=chance.choice(list(FailureKind)) if state is OrderState.FAILED else None,
        review_reason=None if review is ReviewState.NONE else chance.choice(list(ReviewReason)),
        pay_deadline_at=made + timedelta(minutes=15), created_at=made, updated_at=made,
        organisation_id=firm.id if firm else None, member_id=new_id() if firm else None,
    )  # fmt: skip


async def by_the_orm(viewer: Viewer, page: OrderPage) -> list[OrderFacts]:
    """Return the page by the reach of the viewer's memberships, which the rules of organisations have made."""
    rows = await queries.own(viewer=viewer)
    rows = rows.filter(state=page.state) if page.state else rows
    rows = rows.filter(id__lt=page.after) if page.after else rows
    return [shown(row) for row in await rows.order_by("-id").limit(page.first)]


def shown(row: RechargeOrder) -> OrderFacts:
    values = {name: getattr(row, name) for name in OrderFacts._fields}
    return OrderFacts(**values | {name: written(values[name]) for name in facts.MOMENTS})


@pytest.mark.parametrize("seed", range(3))
async def test_together_is_as_alone(database: str, seed: int) -> None:
    world, orders = await create_world(seed)
    for _ in range(12):
        viewers = world.chance.choices(world.viewers, k=world.chance.randrange(1, 9))
        pages = [world.some_page(orders) for _ in viewers]
        together = await queries.of_viewers(viewers=viewers, pages=pages)
        for viewer, page, found in zip(viewers, pages, together, strict=True):
            alone = await queries.of_viewer(viewer=viewer, state=page.state, first=page.first, after=page.after)
            assert found == alone == await by_the_orm(viewer, page)
            assert all(type(each.state) is OrderState for each in found)


async def test_nobody_is_shown_what_another_made(database: str) -> None:
    world, orders = await create_world(99)
    maker = {order.id: order.user_id for order in orders}
    page = OrderPage(ORDERS, None, None)
    together = await queries.of_viewers(viewers=world.viewers, pages=[page] * VIEWERS)
    assert sum(map(len, together)) > ORDERS // 2
    for viewer, found in zip(world.viewers, together, strict=True):
        assert {maker[each.id] for each in found} == {viewer.user_id}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Statement]:
    """The statements about orders that are sent from now on."""
    sent: list[Statement] = []

    async def fetch(statement: Statement, *arguments: object) -> object:
        sent.append(statement)
        return await fetch_rows(statement, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(facts, "fetch", fetch)
    return sent


async def test_requests_of_one_moment_share_a_statement(database: str, sent: list[Statement]) -> None:
    """Each has loaders of its own and is given what is its viewer's, as if it had come alone."""
    world, _ = await create_world(11)
    page = Page.of(20, None, maximum=100)
    asked = [*world.viewers, world.viewers[0]]
    together = await asyncio.gather(*(build().orders_of_viewer.load((viewer, page, None)) for viewer in asked))
    assert sent == [facts.PAGES]
    for viewer, found in zip(asked, together, strict=True):
        assert found == await build(joined=False).orders_of_viewer.load((viewer, page, None))
        assert found == await by_the_orm(viewer, OrderPage(page.limit, None, None))
    known = await asyncio.gather(*(build().profiles.load(viewer) for viewer in asked))
    assert [each and each.id for each in known] == [viewer.user_id for viewer in asked]


async def test_pages_of_one_shape_share_a_statement(database: str, sent: list[Statement]) -> None:
    world, orders = await create_world(7)
    one, other = OrderPage(3, None, None), OrderPage(3, None, OrderState.SUCCEEDED)
    behind = one._replace(after=orders[-1].id)
    await queries.of_viewers(viewers=world.viewers, pages=[one, behind, other, one, other, one])
    assert sent == [facts.PAGES, facts.PAGES_IN_STATE]


@pytest.mark.parametrize("seed", range(2))
async def test_an_order_is_shown_to_whoever_may_follow_it(database: str, seed: int) -> None:
    world, orders = await create_world(seed)
    told = 0
    for viewer in world.viewers:
        for order in orders[:30]:
            seen = await queries.visible(viewer=viewer, order_id=order.id)
            assert (seen is not None) is (await queries.followed(viewer=viewer, order_id=order.id) is not None)
            assert seen in {None, shown(order)}
            told += seen is not None
    assert 0 < told < VIEWERS * 30
    assert await queries.visible(viewer=world.viewers[0], order_id=new_id()) is None


async def test_orders_by_their_ids(database: str) -> None:
    _, orders = await create_world(5)
    wanted = [orders[3], orders[1], orders[3]]
    assert await queries.by_ids([order.id for order in wanted]) == [shown(order) for order in wanted]


async def test_profiles_are_each_viewers_own(database: str) -> None:
    viewers = [await create_viewer() for _ in range(3)]
    gone = viewer_of(new_id())
    found = await profiles(viewers=[viewers[2], gone, viewers[0]])
    assert [each and each.id for each in found] == [viewers[2].user_id, None, viewers[0].user_id]
