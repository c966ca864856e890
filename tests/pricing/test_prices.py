"""Loading prices, what is in force, and what is told of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tortoise import Tortoise

from domain.events.streams import PRICES
from domain.pricing import queries
from domain.pricing.operations import PricesNotYetEffective, announce, load_prices, load_regions, load_zones
from domain.pricing.queries import END_OF_TIME, HistoryPage, PricePlace, ProvinceInvalid, ZonePrice
from domain.pricing.records import Change, PriceRecord, RegionRecord, ZoneRecord
from domain.pricing.statements import Statement
from domain.work.operations import Kind
from kernel.states import Product
from models.database import transactional
from models.events import Event
from models.jobs import Job
from models.pricing import Price, PriceRegion, PriceZone

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)
APRIL = datetime(2026, 4, 21, 16, tzinfo=UTC)
JUNE = datetime(2026, 5, 31, 16, tzinfo=UTC)
P92, P95 = Product.GASOLINE_92, Product.GASOLINE_95


def record(milliyuan: int, *, product: Product = P92, zone: str = "default", source: str = "发改委") -> PriceRecord:
    return PriceRecord("310000", zone, product, milliyuan, source, "https://example.com/notice")


async def load(*records: PriceRecord, at: datetime = APRIL, now: datetime = NOW) -> list[Change]:
    await load_zones(zones=[ZoneRecord("310000", "上海市", "default", "默认价区")])
    outcomes = await load_prices(prices=records, effective_from=at, clock=lambda: now)
    return [outcome.change for outcome in outcomes]


async def told() -> list[tuple[int, int | None]]:
    """Return every told price with the one before it, oldest first."""
    payloads: Sequence[Any] = await Event.filter(stream=PRICES).order_by("position").values_list("payload", flat=True)
    return [(payload["milliyuan"], payload["previous_milliyuan"]) for payload in payloads]


async def in_force(now: datetime = NOW) -> dict[Product, int]:
    zone = await PriceZone.get(province_code="310000", code="default")
    prices = await queries.current(zone_ids=[zone.id], now=now)
    return {price.product: price.milliyuan for price in prices.get(zone.id, [])}


class TestLoading:
    async def test_a_first_price_is_created_and_told_of_without_a_previous_one(self) -> None:
        assert await load(record(8460)) == [Change.CREATED]
        assert await told() == [(8460, None)]
        assert await in_force() == {P92: 8460}

    async def test_the_same_again_is_unchanged_and_says_nothing(self) -> None:
        await load(record(8460), record(8930, product=P95))
        assert await load(record(8460), record(8930, product=P95)) == [Change.UNCHANGED, Change.UNCHANGED]
        assert len(await told()) == 2

    async def test_a_corrected_price_is_told_of_with_the_wrong_one(self) -> None:
        await load(record(8460))
        assert await load(record(8420)) == [Change.UPDATED]
        assert await told() == [(8460, None), (8420, 8460)]

    async def test_a_corrected_source_is_written_and_not_told_of(self) -> None:
        await load(record(8460))
        assert await load(record(8460, source="上海市发展和改革委员会")) == [Change.UPDATED]
        assert len(await told()) == 1
        assert (await Price.get()).source == "上海市发展和改革委员会"

    async def test_a_price_that_was_replaced_long_ago_is_not_told_of(self) -> None:
        await load(record(8460))
        assert await load(record(8000), at=APRIL - timedelta(days=14)) == [Change.CREATED]
        assert len(await told()) == 1
        assert await in_force() == {P92: 8460}

    async def test_a_new_notice_with_the_same_price_is_not_told_of(self) -> None:
        await load(record(8460))
        assert await load(record(8460), at=APRIL + timedelta(days=7)) == [Change.CREATED]
        assert len(await told()) == 1

    async def test_two_imports_at_once_write_and_tell_once(self) -> None:
        loaded = await asyncio.gather(*(load(record(8460), record(8930, product=P95)) for _ in range(4)))
        assert sorted(loaded) == [[Change.CREATED] * 2, *[[Change.UNCHANGED] * 2] * 3]
        assert sorted(await told()) == [(8460, None), (8930, None)]

    async def test_an_unknown_zone_is_refused_and_the_rest_is_loaded(self) -> None:
        assert await load(record(8460, zone="nowhere"), record(8460)) == [Change.REFUSED, Change.CREATED]

    async def test_a_renamed_zone_is_updated(self) -> None:
        zone = ZoneRecord("310000", "上海市", "default", "默认价区")
        assert [one.change for one in await load_zones(zones=[zone])] == [Change.CREATED]
        renamed = ZoneRecord("310000", "上海市", "default", "一价区")
        assert [one.change for one in await load_zones(zones=[renamed])] == [Change.UPDATED]
        assert (await PriceZone.get()).name == "一价区"

    async def test_a_region_moves_to_another_zone(self) -> None:
        await load_zones(zones=[ZoneRecord("530000", "云南省", code, code) for code in ("yunnan-1", "yunnan-2")])

        async def put(zone: str) -> Change:
            return (await load_regions(regions=[RegionRecord("云南临沧", "530000", zone)]))[0].change

        assert [await put(zone) for zone in ("yunnan-1", "yunnan-1", "yunnan-2", "yunnan-9")] == [
            Change.CREATED,
            Change.UNCHANGED,
            Change.UPDATED,
            Change.REFUSED,
        ]
        region = await PriceRegion.get().prefetch_related("zone")
        assert region.zone.code == "yunnan-2"


class TestAnnouncing:
    async def test_a_price_to_come_says_nothing_until_its_moment(self) -> None:
        await load(record(8460))
        assert await load(record(8900), at=JUNE) == [Change.CREATED]
        assert await in_force() == {P92: 8460}
        assert len(await told()) == 1
        job = await Job.get()
        assert (job.kind, job.key, job.due_at) == (Kind.ANNOUNCE_PRICES, JUNE.isoformat(), JUNE)
        assert datetime.fromisoformat(job.payload["effective_from"]) == JUNE

        with pytest.raises(PricesNotYetEffective):
            await announce(effective_from=JUNE, now=JUNE - timedelta(microseconds=1))
        assert len(await told()) == 1

        assert await announce(effective_from=JUNE, now=JUNE) == 1
        assert (await told())[1:] == [(8900, 8460)]
        assert await in_force(JUNE) == {P92: 8900}

    async def test_announcing_again_says_nothing(self) -> None:
        await load(record(8900), at=JUNE)
        assert await announce(effective_from=JUNE, now=JUNE) == 1
        assert await announce(effective_from=JUNE, now=JUNE + timedelta(hours=1)) == 0
        assert await told() == [(8900, None)]

    async def test_a_late_announcement_leaves_out_what_was_replaced_or_stayed(self) -> None:
        await load(record(8460), record(8930, product=P95))
        await load(record(8900), record(8930, product=P95), at=JUNE)
        later = JUNE + timedelta(days=14)
        await load(record(9000), at=later)
        before = len(await told())
        assert await announce(effective_from=JUNE, now=later) == 1
        assert await announce(effective_from=later, now=later) == 0
        assert (await told())[before:] == [(9000, 8460)]

    @pytest.mark.parametrize("loaded_late", [False, True])
    @pytest.mark.parametrize("in_order", [True, False])
    async def test_a_change_is_told_of_where_a_notice_without_one_came_before_its_announcement(
        self, loaded_late: bool, in_order: bool
    ) -> None:
        later = JUNE + timedelta(days=14)
        await load(record(8460))
        await load(record(8900), at=JUNE)
        await load(record(8900), at=later, now=later if loaded_late else NOW)
        before = len(await told())
        for moment in (JUNE, later) if in_order else (later, JUNE):
            await announce(effective_from=moment, now=later)
        assert (await told())[before:] == [(8900, 8460)]

    async def test_a_price_loaded_in_the_very_moment_is_told_of_once(self) -> None:
        await load(record(8900), at=JUNE)
        # The clock passes the moment while the import waits for its turn.
        await load(record(9300, product=P95), at=JUNE, now=JUNE)
        assert await announce(effective_from=JUNE, now=JUNE) == 1
        assert sorted(await told()) == [(8900, None), (9300, None)]

    async def test_two_workers_announce_each_price_once(self) -> None:
        await load(record(8900), record(9300, product=P95), at=JUNE)
        counts = await asyncio.gather(*(announce(effective_from=JUNE, now=JUNE) for _ in range(4)))
        assert sorted(counts) == [0, 0, 0, 2]
        assert sorted(await told()) == [(8900, None), (9300, None)]

    async def test_a_second_notice_for_one_moment_needs_one_job(self) -> None:
        await load(record(8900), at=JUNE)
        await load(record(9300, product=P95), at=JUNE)
        assert await Job.all().count() == 1


async def populate(seed: int) -> list[ZonePrice]:
    """Load three zones with prices at random moments and return all rows."""
    generator = random.Random(seed)
    await load_zones(
        zones=[
            ZoneRecord(code, "省", zone, zone) for code, zone in (("110000", "b-1"), ("110000", "B"), ("310000", "a"))
        ]
    )
    for _ in range(12):
        records = [
            PriceRecord(code, zone, product, generator.randrange(7_000, 9_999), "s", "https://example.com")
            for code, zone in (("110000", "b-1"), ("110000", "B"), ("310000", "a"))
            for product in Product
            if generator.random() < 0.4
        ]
        moment = NOW + timedelta(hours=generator.randrange(-300, 100), microseconds=generator.choice([0, 1, 500_000]))
        await load_prices(prices=records, effective_from=moment, clock=lambda: NOW)
    ids = await Price.all().values_list("id", flat=True)
    return [price for price in await queries.prices_by_ids(list(ids)) if price]  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [1, 2])
class TestReading:
    async def test_what_is_in_force_is_the_latest_that_has_begun(self, seed: int) -> None:
        rows = await populate(seed)
        for now in (NOW, NOW - timedelta(hours=150), NOW + timedelta(days=30), NOW - timedelta(days=30)):
            expected = {}
            for row in sorted(rows, key=lambda row: row.effective_from):
                if row.effective_from <= now:
                    expected[row.zone_id, row.product] = row
            zone_ids = {row.zone_id for row in rows}
            found = await queries.current(zone_ids=zone_ids, now=now)
            assert {(row.zone_id, row.product): row for one in found.values() for row in one} == expected
            for of_zone in found.values():
                assert [row.product for row in of_zone] == [
                    product for product in Product if product in {row.product for row in of_zone}
                ]

    async def test_pages_of_history_join_to_the_whole(self, seed: int) -> None:
        rows = await populate(seed)
        zone_id = rows[0].zone_id
        expected = sorted(
            (row for row in rows if (row.zone_id, row.product) == (zone_id, P92) and row.effective_from <= NOW),
            key=lambda row: row.effective_from,
            reverse=True,
        )
        for size in (1, 2, 4, 100):
            before, found = END_OF_TIME, list[ZonePrice]()
            while page := (await queries.histories([HistoryPage(zone_id, P92, before, size)], now=NOW))[0]:
                assert len(page) <= size
                found += page
                before = page[-1].effective_from
            assert found == expected

    async def test_pages_of_the_list_join_to_the_whole(self, seed: int) -> None:
        rows = await populate(seed)
        zones = {zone.id: zone for zone in await PriceZone.all()}
        in_force = await queries.current(zone_ids=set(zones), now=NOW)
        expected = sorted(
            (row for one in in_force.values() for row in one),
            key=lambda row: (
                zones[row.zone_id].province_code,
                zones[row.zone_id].code,
                list(Product).index(row.product),
            ),
        )
        assert rows
        assert expected
        for size in (1, 3, 100):
            after: PricePlace | None = None
            found = list[ZonePrice]()
            while page := await queries.listed(province_code=None, product=None, after=after, limit=size, now=NOW):
                assert len(page) <= size
                found += [one.price for one in page]
                after = page[-1].place
            assert found == expected

    async def test_the_list_is_narrowed_to_a_province_and_a_product(self, seed: int) -> None:
        await populate(seed)
        zones = {zone.id: zone for zone in await PriceZone.all()}
        everything = await queries.listed(province_code=None, product=None, after=None, limit=100, now=NOW)
        found = await queries.listed(province_code="110000", product=P92, after=None, limit=100, now=NOW)
        assert found == [
            one for one in everything if one.price.product is P92 and zones[one.price.zone_id].province_code == "110000"
        ]


async def test_pages_of_several_products_come_in_the_order_they_were_asked_for() -> None:
    await load(record(8460), record(8930, product=P95))
    await load(record(8500), record(9000, product=P95), at=APRIL + timedelta(days=1))
    zone_id = (await PriceZone.get()).id
    pages = [
        HistoryPage(zone_id, P95, END_OF_TIME, 1),
        HistoryPage(zone_id, P92, END_OF_TIME, 5),
        HistoryPage(UUID(int=5), P92, END_OF_TIME, 5),
        HistoryPage(zone_id, P92, END_OF_TIME, 5),
    ]
    found = await queries.histories(pages, now=NOW)
    assert [[row.milliyuan for row in page] for page in found] == [[9000], [8500, 8460], [], [8500, 8460]]


async def test_any_number_of_pages_may_be_asked_for_at_once() -> None:
    """A client that repeats a field asks for more pages than a statement has room for."""
    await load(record(8460))
    zone_id = (await PriceZone.get()).id
    alike = [HistoryPage(zone_id, P92, END_OF_TIME, 5)] * 20_000
    different = [
        HistoryPage(zone_id, P92, APRIL + timedelta(seconds=second), 1)
        for second in range(2 * queries.PAGES_PER_STATEMENT_MAX + 1)
    ]
    found = await queries.histories([*alike, *different], now=NOW)
    assert [[row.milliyuan for row in page] for page in found[: len(alike)]] == [[8460]] * len(alike)
    # The first page ends where the price begins.
    assert [len(page) for page in found[len(alike) :]] == [0] + [1] * (len(different) - 1)


async def test_what_is_no_province_code_is_refused() -> None:
    for province in ("", "31000", "3100000", "上海市", "31000\0", "３１００００"):
        with pytest.raises(ProvinceInvalid):
            await queries.listed(province_code=province, product=None, after=None, limit=1, now=NOW)


@transactional
async def plan_of_the_latest_price() -> str:
    statement = Statement()
    latest = queries._latest(statement, statement.uuid(UUID(int=1)), "'92'", NOW)
    if statement.postgres:
        # An empty table is read as a whole unless that is forbidden.
        await Tortoise.get_connection("default").execute_query("SET LOCAL enable_seqscan = off")
    rows = await statement.rows(("EXPLAIN " if statement.postgres else "EXPLAIN QUERY PLAN ") + latest[1:-1])
    return " ".join(str(row) for row in rows)


async def test_a_price_in_force_is_found_by_seeking_in_an_index() -> None:
    """However long the history, the price in force is one step in the unique index away."""
    plan = (await plan_of_the_latest_price()).upper()
    assert "INDEX" in plan
    assert "SORT" not in plan
    assert "TEMP B-TREE" not in plan
