"""The history that is made in SQL is one that the service could have written, and the road goes on from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tortoise import Tortoise

from bench.growth.history import History
from bench.growth.loading import load
from bench.growth.measures import Meter
from bench.growth.road import STEPS, Customer, OrderAstray, Road, settings_of
from domain.finance import audit as finance
from domain.finance.queries import FIRST_GENERATION, lag
from domain.ledger.shards import LEDGER_SHARDS
from kernel.clock import utc_now
from models.cards import FuelCard
from models.database import connected
from models.identity import User
from models.ledger import LedgerAccount, LedgerTransaction
from models.orders import RechargeOrder
from tests.audits import assert_audits_find_nothing

ENDS_AT = datetime(2026, 5, 20, tzinfo=UTC)
HISTORY = History(
    orders=400,
    users=40,
    begins_at=ENDS_AT - timedelta(days=90),
    ends_at=ENDS_AT,
    work_kept_since=ENDS_AT - timedelta(30),
)


@pytest.fixture
async def filled(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database with the history, which is open with one connection."""
    await load(postgres_url, HISTORY, lambda _step: None)
    async with connected(postgres_url, settings_of(postgres_url)):
        yield postgres_url


async def rows(statement: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = await Tortoise.get_connection("default").execute_query_dict(statement)
    return found


async def audit() -> None:
    await assert_audits_find_nothing()
    assert await finance.findings() == []


async def a_customer() -> Customer:
    user = await User.all().first()
    assert user is not None
    card = await FuelCard.get(user_id=user.id)
    return Customer(user.id, card.id)


async def travel(road: Road, *steps: str) -> list[float]:
    """Take the steps with a new order, and return the seconds of each."""
    async with road.order(await a_customer()) as journey:
        seconds = []
        for step in steps:
            await journey.prepare(step)
            seconds.append(await journey.step(step))
    return seconds


class TestHistory:
    async def test_its_books_are_true_and_its_journal_is_written(self, filled: str) -> None:
        await audit()
        assert await RechargeOrder.all().count() == HISTORY.orders
        assert await RechargeOrder.filter(state="SUCCEEDED").count() == 280
        assert await LedgerTransaction.all().count() == 2 * 280 + 10
        behind = await lag(generation=FIRST_GENERATION, now=utc_now())
        assert behind.events_behind == 0

    async def test_it_is_spread_over_shards_and_months(self, filled: str) -> None:
        shards = set(await LedgerAccount.all().values_list("shard", flat=True))
        assert len(shards) > LEDGER_SHARDS // 2
        months = await rows("SELECT DISTINCT tableoid::regclass::text AS month FROM ledger_entry ORDER BY 1")
        assert [row["month"] for row in months] == [f"ledger_entry_y2026m{number:02d}" for number in range(2, 6)]

    async def test_every_index_is_used_again_and_no_trigger_is_off(self, filled: str) -> None:
        assert await rows("SELECT indexrelid::regclass FROM pg_index WHERE NOT (indisready AND indisvalid)") == []
        assert await rows("SELECT tgname FROM pg_trigger WHERE tgenabled <> 'O'") == []
        assert await rows("SELECT relname FROM pg_class WHERE relname LIKE 'growth%'") == []
        assert await rows("SELECT relname FROM pg_class WHERE relkind = 'r' AND relpersistence <> 'p'") == []


class TestRoad:
    async def test_an_order_goes_from_its_creation_to_the_card_and_into_the_journal(self, filled: str) -> None:
        road = Road(settings_of(filled))
        assert all(seconds > 0 for seconds in await travel(road, *STEPS))
        await road.finish_what_waits()
        assert await rows("SELECT kind FROM job WHERE done_at IS NULL") == []
        await audit()
        assert (await lag(generation=FIRST_GENERATION, now=utc_now())).events_behind == 2

    async def test_an_order_that_does_not_come_to_its_end_is_no_measurement(self, filled: str) -> None:
        with pytest.raises(OrderAstray, match="PAYING where it should have succeeded"):
            await travel(Road(settings_of(filled)), "create", "pay")

    async def test_an_order_that_was_left_unpaid_ends_with_the_work_that_waits(self, filled: str) -> None:
        road = Road(settings_of(filled))
        with pytest.raises(OrderAstray):
            await travel(road, "create", "pay")
        await road.finish_what_waits()
        assert await rows("SELECT kind FROM job WHERE done_at IS NULL") == []
        assert await RechargeOrder.filter(state="FAILED", failure_kind="UNPAID").count() == 121
        await audit()


class TestMeter:
    async def test_who_reads_a_whole_table_is_found_out(self, filled: str) -> None:
        meter = Meter()
        await meter.begin()
        await meter.touched()
        await rows("SELECT COUNT(*) FROM order_transition WHERE reason = 'never'")
        touched = await meter.touched()
        assert touched.rows_scanned == {"order_transition": 280 * 5 + 120 * 2}
        assert touched.blocks > 0
        assert meter.spent_s() > 0
