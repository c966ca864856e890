"""The commands for prices that wait for a person, and the work that brings them in."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.pricing import operations, syncing
from domain.pricing.records import ZoneRecord
from gateways.assembly import third_parties
from jobs.platforms import PlatformWork
from kernel.clock import business_day, utc_now
from kernel.ids import new_id
from kernel.states import HeldPriceState
from models.events import Event
from models.jobs import Job
from models.pricing import HeldPrice, PriceDocument
from tests.sandbox_fixtures import ROOT, Sandbox


async def jobs(database: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command on the test's database, as a person would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jobs",
        *arguments,
        cwd=ROOT,
        env={**kept, "DATABASE_URL": database},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
async def held(database: str, sandbox: Sandbox) -> HeldPrice:
    """A price that has come from the platform by the work of the worker, and has none before it."""
    province = f"{310_000 + uuid4().int % 600_000}"
    await operations.load_zones(zones=[ZoneRecord(province, "省", "A", "一价区")])
    yesterday = (business_day(utc_now()) - timedelta(days=1)).isoformat()
    sandbox.control("prices", province_code=province, zones={"A": {"92": 7.85}}, adjusted_on=yesterday)
    settings = sandbox.settings(price_platform_provinces=("999999", province), price_sync_interval_s=60)
    async with third_parties(settings) as parties:
        now = utc_now()
        due_at = await PlatformWork(settings, parties.platforms).sync_prices(Job(id=new_id()), now)
    assert due_at == now + timedelta(minutes=1)
    (held,) = await syncing.held()
    return held


async def test_they_are_listed_and_released(database: str, held: HeldPrice) -> None:
    code, out, _ = await jobs(database, "held-prices")
    assert code == 0
    assert str(held.id) in out
    assert "7.850" in out
    assert "new" in out
    code, out, _ = await jobs(database, "release-price", str(held.id), "--by", "li.na")
    assert (code, out.startswith("released:")) == (0, True)
    assert [event.payload["milliyuan"] for event in await Event.all()] == [7_850]
    row = await HeldPrice.get()
    assert (row.state, row.decided_by) == (HeldPriceState.RELEASED, "li.na")
    code, _, err = await jobs(database, "release-price", str(held.id), "--by", "li.na")
    assert code == 2
    assert "There is no held price" in err
    assert await Event.all().count() == 1


async def test_they_are_refused(database: str, held: HeldPrice) -> None:
    code, _, _ = await jobs(database, "refuse-price", str(held.id), "--by", "li.na", "--reason", "a typing mistake")
    assert code == 0
    assert (await HeldPrice.get()).reason == "a typing mistake"
    assert await Event.all().count() == 0
    assert (await jobs(database, "held-prices"))[1] == "no price is held\n"


@pytest.mark.usefixtures("database")
async def test_a_platform_that_is_wrong_does_not_end_the_work(sandbox: Sandbox) -> None:
    settings = sandbox.settings(price_platform_provinces=("310000",))
    async with third_parties(settings) as parties:
        work = PlatformWork(settings, parties.platforms)
        for mode in ("garbage", "error_500", "forged"):
            sandbox.faults(price_platform=mode)
            now = utc_now()
            assert await work.sync_prices(Job(id=new_id()), now) > now
    assert await PriceDocument.all().count() == 0
