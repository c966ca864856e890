"""What a process hears of its own writes, whoever makes them, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from tortoise import Tortoise

from domain.events import purges
from domain.events.ports import StoredEvent
from domain.events.streams import EventType, arrivals_stream
from domain.ledger.operations import post
from domain.ledger.postings import topped_up
from domain.orders import operations as orders
from kernel.clock import utc_now
from kernel.ids import new_id
from models import changes
from models.cards import FuelCard
from models.changes import Changes
from models.database import transactional
from models.identity import User
from models.orders import RechargeOrder
from tests.factories import POLICY, create_card, create_order, create_viewer


class Ear:
    def __init__(self) -> None:
        self.heard: list[Changes] = []

    def hear(self, found: Changes) -> None:
        self.heard.append(found)

    def tags(self) -> set[str]:
        """Return the tags of what was heard since the last time."""
        heard, self.heard = self.heard, []
        return set().union(*(purges.tags_of_changes(each) for each in heard))


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    with changes.listening(ear.hear):
        yield ear


async def test_a_write_is_heard_of_at_the_commit_and_not_before(database: str, ear: Ear) -> None:
    viewer = await create_viewer()
    ear.tags()

    @transactional
    async def rename() -> None:
        await User.filter(id=viewer.user_id).update(display_name="乙")
        assert ear.heard == []

    await rename()
    assert ear.tags() == {purges.USERS}


async def test_what_is_rolled_back_is_not_heard_of(database: str, ear: Ear) -> None:
    viewer = await create_viewer()
    ear.tags()

    @transactional
    async def fail() -> None:
        await User.filter(id=viewer.user_id).update(display_name="乙")
        raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert ear.heard == []


async def test_every_way_to_write_is_heard_of(database: str, ear: Ear) -> None:
    viewer, now = await create_viewer(), utc_now()
    ear.tags()
    connection = Tortoise.get_connection("default")
    row = await User.get(id=viewer.user_id)
    await row.save()
    assert ear.tags() == {purges.USERS}
    await User.bulk_create([User(id=new_id(), openid="o1", display_name="丙", created_at=now)])
    assert ear.tags() == {purges.USERS}
    await connection.execute_script("UPDATE user_account SET display_name = 'x'")
    assert ear.tags() == {purges.USERS}
    await connection.execute_query_dict("DELETE FROM user_account WHERE openid = 'o1'")
    assert ear.tags() == {purges.USERS}
    await User.filter(id=viewer.user_id).delete()
    assert ear.tags() == {purges.USERS}
    assert await User.all().count() == 0
    assert ear.heard == []


async def test_whose_rows_they_are_is_said_for_the_statements_that_are_meant(database: str, ear: Ear) -> None:
    first, second = await create_viewer(), await create_viewer()
    ear.tags()

    @transactional
    async def both(*, says_all: bool) -> None:
        with changes.of_users(first.user_id):
            await User.filter(id=first.user_id).update(display_name="甲")
        if not says_all:
            await User.filter(id=second.user_id).update(display_name="乙")

    await both(says_all=True)
    assert ear.tags() == {purges.user_tag(first.user_id)}
    await both(says_all=False)
    assert ear.tags() == {purges.USERS}


async def test_two_transactions_tell_of_their_own(database: str, ear: Ear) -> None:
    """What the first has collected must not take what the second writes, in the same task."""
    viewer = await create_viewer()
    ear.tags()

    @transactional
    async def rename(name: str) -> None:
        with changes.of_users(viewer.user_id):
            await User.filter(id=viewer.user_id).update(display_name=name)

    for name in ("甲", "乙"):
        await rename(name)
        assert ear.tags() == {purges.user_tag(viewer.user_id)}


async def test_an_order_is_its_users_from_beginning_to_end(database: str, ear: Ear) -> None:
    viewer = await create_viewer()
    mine = purges.user_tag(viewer.user_id)
    assert purges.USERS in ear.tags()
    card = await create_card(viewer)
    assert ear.tags() == {mine}
    order = await create_order(viewer, card)
    assert ear.tags() == {mine}
    await orders.cancel(viewer=viewer, order_id=order.id, channels=cast(Any, {}), policy=POLICY, now=utc_now())
    assert ear.tags() == {mine}
    assert (await RechargeOrder.get(id=order.id)).failure_kind is not None


async def test_a_posting_is_told_of_by_the_wallets_that_it_moves(database: str, ear: Ear) -> None:
    viewer = await create_viewer()
    ear.tags()
    posting = topped_up(
        top_up_id=new_id(), user_id=viewer.user_id, clearing="channel_clearing:wechat:1", amount_fen=100
    )
    await transactional(post)(posting, now=utc_now())
    assert ear.tags() == {purges.user_tag(viewer.user_id)}


async def test_when_a_card_was_checked_concerns_no_answer_that_is_kept(database: str, ear: Ear) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    ear.tags()
    with changes.of_users():
        await FuelCard.filter(id=card.id).update(checked_at=utc_now() + timedelta(seconds=1))
    assert ear.tags() == set()


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ('SELECT "a" FROM "user_account" WHERE "id" = $1 FOR UPDATE', ()),
        ('UPDATE "fuel_card" SET "a" = $1', ("fuel_card",)),
        ("insert or ignore into station (id) values (?)", ("station",)),
        ("WITH moved AS (UPDATE ledger_account a SET x = 1), b AS (INSERT INTO price VALUES (1)) SELECT 1",
         ("ledger_account", "price")),
        ("DELETE FROM ONLY organisation", ("organisation",)),
    ],
)  # fmt: skip
def test_the_tables_that_a_statement_writes(statement: str, tables: tuple[str, ...]) -> None:
    assert changes._tables_of(statement) == tables


USER = UUID(int=7)


@pytest.mark.parametrize(
    ("stream", "kind", "payload", "tags"),
    [
        ("order:1", EventType.ORDER_CHANGED, {"user_id": str(USER)}, {purges.user_tag(USER)}),
        ("order:1", EventType.ORDER_CHANGED, {}, {purges.USERS}),
        (arrivals_stream(USER), EventType.RECHARGE_ARRIVED, {}, {purges.user_tag(USER)}),
        ("prices", EventType.PRICE_CHANGED, {}, {purges.STATIONS}),
        ("stations", EventType.STATIONS_CHANGED, {}, {purges.STATIONS}),
        ("switches", EventType.SWITCH_TURNED, {}, {purges.EVERYTHING}),
        ("organisations", EventType.ORGANISATION_CHANGED, {}, {purges.USERS}),
        ("alerts", EventType.ALERT_RAISED, {}, set()),
    ],
)
def test_an_event_tells_what_it_makes_out_of_date(
    stream: str, kind: EventType, payload: dict[str, str], tags: set[str]
) -> None:
    event = StoredEvent(stream=stream, position=1, type=kind.value, payload=payload, occurred_at=utc_now())
    assert purges.tags_of_event(event) == tags
