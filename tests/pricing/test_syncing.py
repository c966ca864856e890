"""Prices of the price platform, from its signed answer to the price in force, and the ones that wait for a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.orders.ports import ThirdParties
from domain.pricing import operations, sanity, syncing
from domain.pricing.ports import PriceDocumentRefused, PriceSource, PriceSourceUnavailable
from domain.pricing.queries import current
from domain.pricing.records import ZoneRecord
from domain.pricing.syncing import HeldPriceNotFound, PriceDocumentChanged, Taken
from gateways.assembly import third_parties
from kernel.clock import business_day, utc_now
from kernel.ids import new_id
from kernel.states import HeldPriceState, Product
from models.events import Event
from models.jobs import Job
from models.pricing import HeldPrice, Price, PriceDocument, PriceZone
from tests.sandbox_fixtures import Sandbox
from tests.silence import patient_third_parties

LIMIT = 1_000
TODAY = business_day(utc_now())


@pytest.fixture
def province() -> str:
    """A province that no other test has published prices of."""
    return f"{310_000 + uuid4().int % 600_000}"


@pytest.fixture
async def parties(sandbox: Sandbox) -> AsyncIterator[ThirdParties]:
    async with patient_third_parties(sandbox.settings()) as parties:
        yield parties


@pytest.fixture
def source(parties: ThirdParties) -> PriceSource:
    assert parties.platforms.prices is not None
    return parties.platforms.prices


class TestRules:
    def test_prices_are_in_force_from_the_end_of_the_day(self) -> None:
        assert sanity.effective_from(date(2026, 4, 21)) == datetime(2026, 4, 21, 16, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("milliyuan", "previous", "held"),
        [(8_800, 8_000, False), (8_801, 8_000, True), (7_200, 8_000, False), (7_199, 8_000, True), (8_000, None, True)],
    )
    def test_the_limit(self, milliyuan: int, previous: int | None, held: bool) -> None:
        given = sanity.moves_too_much(milliyuan=milliyuan, previous_milliyuan=previous, limit_basis_points=LIMIT)
        assert given is held


class TestThePlatform:
    """The conformance of the port: the real adapter over HTTP against the sandbox."""

    async def test_documents_from_a_version_on(self, source: PriceSource, sandbox: Sandbox, province: str) -> None:
        for price in (7.85, 7.9):
            sandbox.control("prices", province_code=province, zones={"A": {"92": price, "0": 7.501}})
        both = await source.documents(province_code=province, since_version=0, limit=10)
        assert [each.version for each in both] == [1, 2]
        assert [(each.product, each.milliyuan) for each in both[0].prices] == [
            (Product.GASOLINE_92, 7_850),
            (Product.DIESEL_0, 7_501),
        ]
        (second,) = await source.documents(province_code=province, since_version=2, limit=10)
        assert second == both[1]
        assert await source.documents(province_code="999999", since_version=0, limit=10) == []

    @pytest.mark.parametrize("mode", ["timeout", "error_500", "forged", "old_answer"])
    async def test_no_answer_of_the_platform(
        self, source: PriceSource, sandbox: Sandbox, province: str, mode: str
    ) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 7.85}})
        sandbox.faults(price_platform=mode)
        with pytest.raises(PriceSourceUnavailable):
            await source.documents(province_code=province, since_version=0, limit=10)

    async def test_garbage_that_is_signed(self, source: PriceSource, sandbox: Sandbox, province: str) -> None:
        sandbox.faults(price_platform="garbage")
        with pytest.raises(PriceDocumentRefused):
            await source.documents(province_code=province, since_version=0, limit=10)

    @pytest.mark.parametrize(
        "document",
        [
            {"zones": {"A": {"97": 7.85}}},
            {"zones": {"A": {"92": -1}}},
            {"zones": {"A": {"92": 7.8501}}},
            {"zones": {"A": {"92": "7.85"}}},
            {"zones": {"A": {}}},
            {"zones": {"A": {"92": 7.85}}, "adjusted_on": "2026-02-30"},
        ],
    )
    async def test_a_document_that_is_wrong(
        self, source: PriceSource, sandbox: Sandbox, province: str, document: dict[str, Any]
    ) -> None:
        sandbox.control("prices", province_code=province, **document)
        with pytest.raises(PriceDocumentRefused):
            await source.documents(province_code=province, since_version=0, limit=10)

    async def test_another_secret(self, sandbox: Sandbox, province: str) -> None:
        async with third_parties(sandbox.settings(price_platform_secret="wrong")) as parties:
            assert parties.platforms.prices is not None
            with pytest.raises(PriceSourceUnavailable):
                await parties.platforms.prices.documents(province_code=province, since_version=0, limit=10)


@pytest.mark.usefixtures("database")
class TestSyncing:
    @pytest.fixture
    async def zone(self, database: str, province: str) -> PriceZone:
        """A zone whose 92 costs ¥8.00 and whose 95 costs ¥9.00 since yesterday."""
        await operations.load_zones(zones=[ZoneRecord(province, "省", "A", "一价区")])
        zone = await PriceZone.get(province_code=province)
        since = utc_now() - timedelta(days=2)
        for product, milliyuan in ((Product.GASOLINE_92, 8_000), (Product.GASOLINE_95, 9_000)):
            await Price.create(
                id=new_id(),
                zone=zone,
                product=product,
                milliyuan_per_litre=milliyuan,
                effective_from=since,
                source="s",
                source_url="https://e.example",
                created_at=since,
                updated_at=since,
            )
        return zone

    @pytest.fixture
    def sync(self, source: PriceSource, province: str) -> Any:
        async def run() -> list[syncing.Tally]:
            return await syncing.sync(source=source, province_code=province, limit_basis_points=LIMIT, clock=utc_now)

        return run

    async def prices(self, zone: PriceZone, now: datetime) -> dict[str, int]:
        found = (await current(zone_ids=[zone.id], now=now))[zone.id]
        return {each.product.value: each.milliyuan for each in found}

    async def test_a_document_is_in_force_at_the_next_midnight(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 8.1, "95": 9.1}})
        (tally,) = await sync()
        assert (tally.taken, tally.published, tally.held) == (Taken.NEW, 2, 0)
        midnight = sanity.effective_from(TODAY)
        assert await self.prices(zone, utc_now()) == {"92": 8_000, "95": 9_000}
        assert await self.prices(zone, midnight) == {"92": 8_100, "95": 9_100}
        assert await Event.all().count() == 0
        job = await Job.get(kind="announce_prices")
        assert job.due_at == midnight
        assert await operations.announce(effective_from=midnight, now=midnight) == 2

    async def test_the_same_document_again_changes_nothing(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 8.1}})
        await asyncio.gather(*(sync() for _ in range(4)))
        before = await Price.all().count(), await Job.all().count()
        (tally,) = await sync()
        assert tally.taken is Taken.KNOWN
        assert (await Price.all().count(), await Job.all().count()) == before
        assert await PriceDocument.all().count() == 1

    async def test_a_jump_is_held_and_the_rest_published(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        yesterday = (TODAY - timedelta(days=1)).isoformat()
        sandbox.control("prices", province_code=province, zones={"A": {"92": 24.0, "95": 9.1}}, adjusted_on=yesterday)
        (tally,) = await sync()
        assert (tally.published, tally.held) == (1, 1)
        assert await self.prices(zone, utc_now()) == {"92": 8_000, "95": 9_100}
        assert [each.payload["product"] for each in await Event.all()] == ["95"]
        (held,) = await syncing.held()
        assert (held.milliyuan_per_litre, held.previous_milliyuan) == (24_000, 8_000)

        await syncing.release(held_id=held.id, actor="li.na", clock=utc_now)
        assert (await self.prices(zone, utc_now()))["92"] == 24_000
        assert [each.payload["milliyuan"] for each in await Event.all().order_by("position")] == [9_100, 24_000]
        with pytest.raises(HeldPriceNotFound):
            await syncing.release(held_id=held.id, actor="li.na", clock=utc_now)
        assert await Event.all().count() == 2

    async def test_what_is_refused_is_never_published(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 24.0}})
        await sync()
        (held,) = await syncing.held()
        await syncing.refuse(held_id=held.id, actor="li.na", reason="a comma too far", now=utc_now())
        await sync()
        assert await syncing.held() == []
        assert await self.prices(zone, sanity.effective_from(TODAY)) == {"92": 8_000, "95": 9_000}
        assert await Job.all().count() == 0

    async def test_small_steps_of_one_day_are_one_large_one(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        for price in (8.7, 9.4):
            sandbox.control("prices", province_code=province, zones={"A": {"92": price}})
        assert [tally.held for tally in await sync()] == [0, 1]
        assert (await self.prices(zone, sanity.effective_from(TODAY)))["92"] == 8_700

    async def test_a_newer_document_supersedes_what_is_held(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        for price in (24.0, 8.1):
            sandbox.control("prices", province_code=province, zones={"A": {"92": price}})
        await sync()
        assert await syncing.held() == []
        assert (await HeldPrice.get()).state is HeldPriceState.SUPERSEDED
        assert (await self.prices(zone, sanity.effective_from(TODAY)))["92"] == 8_100

    async def test_every_price_that_jumps_is_held(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 8.1, "95": 9.1}})
        sandbox.faults(price_platform="jump")
        (tally,) = await sync()
        assert (tally.published, tally.held) == (0, 2)
        assert await Price.all().count() == 2

    async def test_a_version_that_drifts_is_refused(
        self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str
    ) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 8.1}})
        await sync()
        sandbox.faults(price_platform="drift")
        with pytest.raises(PriceDocumentChanged):
            await sync()
        assert (await self.prices(zone, sanity.effective_from(TODAY)))["92"] == 8_100

    async def test_a_day_far_away_is_refused(self, zone: PriceZone, sync: Any, sandbox: Sandbox, province: str) -> None:
        sandbox.control("prices", province_code=province, zones={"A": {"92": 8.1}}, adjusted_on="2006-04-21")
        with pytest.raises(PriceDocumentRefused):
            await sync()
        assert await PriceDocument.all().count() == 0
        assert await Price.all().count() == 2
