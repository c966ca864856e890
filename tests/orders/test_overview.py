"""What the page of an account shows is read by one statement, and is what is read one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.identity.scopes import Scope
from domain.identity.viewer import Viewer
from domain.ledger.postings import customer_held, customer_prepaid
from domain.ledger.shards import shard_of
from domain.orders import overview
from domain.orders.facts import OrderPage
from kernel.clock import utc_now
from kernel.ids import new_id
from models.database import dialect
from models.ledger import LedgerAccount
from models.orders import RechargeOrder
from schema.types.relay import encode_cursor
from tests.both_ways import BothWays
from tests.factories import create_card, viewer_of
from tests.orders.test_pages import ORDERS, create_world
from tests.reads import note_reads

ACCOUNT = """query Account($first: Int = 3, $after: String, $state: OrderState) { viewer {
  profile { id displayName registeredAt } wallet { balance { fen } held { text } }
  orders(first: $first, after: $after, state: $state) {
    edges { cursor node { id state createdAt card { id maskedNumber boundAt } } } pageInfo { hasNextPage endCursor }
  } } }"""
TWICE = "{ viewer { a: orders(first: 1) { edges { node { id } } } b: orders(first: 2) { edges { node { id } } } } }"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that connections for reading alone are sent from now on."""
    found: list[str] = []
    note_reads(monkeypatch, found)
    return found


async def put_money(viewer: Viewer) -> None:
    shard, now = shard_of(viewer.user_id), utc_now()
    for code, balance_fen in ((customer_prepaid, -705), (customer_held, -90)):
        await LedgerAccount.create(
            id=new_id(), code=code(viewer.user_id), shard=shard, balance_fen=balance_fen, version=1, created_at=now
        )


@pytest.mark.parametrize("seed", range(3))
async def test_together_is_as_one_by_one(database: str, seed: int) -> None:
    world, orders = await create_world(seed)
    await put_money(world.viewers[1])
    card = await create_card(world.viewers[1], "1000111100000000002")
    await RechargeOrder.filter(id__in=[order.id for order in orders[::3]]).update(card_id=card.id)
    viewers = [*world.viewers, viewer_of(new_id()), *world.viewers]
    pages = [world.some_page(orders) for _ in viewers[:-1]] + [OrderPage(0, None, None)]
    found = await overview.of_viewers(viewers=viewers, pages=pages)
    assert found == await overview._one_by_one(viewers, pages)
    assert found[len(world.viewers)] is None
    assert found[1] is not None
    assert [each.fen for each in found[1].wallet] == [705, 90]


async def test_an_account_takes_one_statement(database: str, sent: list[str]) -> None:
    world, orders = await create_world(1)
    house = BothWays()
    await put_money(world.viewers[0])
    cursor = encode_cursor(orders[ORDERS // 2].id)
    for viewer in world.viewers:
        for variables in ({}, {"first": 50}, {"after": cursor}, {"state": "FAILED"}):
            assert b'"errors"' not in await house.known(viewer, ACCOUNT, **variables)
            sent.clear()
            await house.ask(house.planned, viewer, ACCOUNT, variables)
            assert len(sent) == (dialect() == "postgres")


async def test_what_cannot_be_read_along_is_read_where_it_stands(database: str, sent: list[str]) -> None:
    world, _ = await create_world(2)
    house, viewer = BothWays(), world.viewers[0]
    assert b'"errors"' not in await house.known(viewer, TWICE)
    assert b"PAGE_SIZE_INVALID" in await house.known(viewer, ACCOUNT, first=0)
    assert b"CURSOR_INVALID" in await house.known(viewer, ACCOUNT, after="nonsense")
    assert await house.known(viewer_of(new_id()), ACCOUNT) == b'{"data":{"viewer":null}}'


async def test_who_may_not_have_orders_reads_none(database: str, sent: list[str]) -> None:
    world, _ = await create_world(3)
    house, viewer = BothWays(), replace(world.viewers[0], scopes=frozenset({Scope.PROFILE}))
    refused = await house.known(viewer, ACCOUNT)
    assert b"FORBIDDEN" in refused
    assert all("recharge_order" not in each and "ledger_account" not in each for each in sent)
