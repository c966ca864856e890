"""The work and the commands of funds, end to end with the sandbox's bank, and what the database refuses by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError, OperationalError

from domain.funds import sweeping
from domain.ledger.queries import balance
from domain.orders.ports import ThirdParties
from domain.payments.ports import merchant_name
from domain.work.operations import Kind
from gateways.assembly import third_parties
from jobs import funds
from jobs.funds import FundWork
from jobs.worker import NeedsPerson, Worker
from kernel.clock import business_day, utc_now
from kernel.fund_states import TransferState
from kernel.settings import Settings
from models.database import connected
from models.funds import FundPayee, FundSettlement, FundSweep, FundTransfer
from models.jobs import Job
from tests.factories import SEALER
from tests.funds.support import POLICY, approved, assert_books_hold, create_payee, fill, finance, propose
from tests.sandbox_fixtures import Sandbox


@dataclass
class House:
    settings: Settings
    parties: ThirdParties
    sandbox: Sandbox

    @property
    def work(self) -> FundWork:
        return FundWork(self.settings, self.parties, SEALER)

    async def run(self) -> None:
        """Do what is due now or later, once."""
        worker = Worker(self.work.by_kind(), self.settings)
        waiting = Job.filter(done_at__isnull=True, parked_at__isnull=True, kind__not=Kind.EXPIRE_TRANSFER)
        await waiting.update(due_at=utc_now())
        await worker.run_due()
        await worker.settle()


@pytest.fixture
async def house(database_url: str, sandbox: Sandbox) -> AsyncIterator[House]:
    settings = sandbox.settings(database_url=database_url, transfer_query_first_s=60.0, transfer_queries_max=3)
    async with connected(database_url), third_parties(settings) as parties:
        yield House(settings, parties, sandbox)


async def state() -> TransferState:
    return (await FundTransfer.get()).state


async def test_what_was_approved_is_sent_by_the_worker(house: House) -> None:
    await fill()
    row = await approved()
    await house.run()
    assert await state() is TransferState.CONFIRMED
    known = house.sandbox.state()["bank_transfers"]
    (sent,) = [each for each in known if each["reference"] == row.reference]
    assert (sent["amount_fen"], sent["source"], sent["target"]) == (1_000_00, "operating", "payee")
    await assert_books_hold()


async def test_what_is_pending_is_asked_for_and_then_left_to_a_person(house: House) -> None:
    await fill()
    row = await approved()
    house.sandbox.faults(bank="pending")
    for _ in range(3):
        await house.run()
    assert await state() is TransferState.SENT
    (job,) = await Job.filter(kind=Kind.SEND_TRANSFER)
    assert job.parked_at is not None
    house.sandbox.control("bank-transfer", reference=row.reference, state="DONE")
    await Job.filter(id=job.id).update(parked_at=None, attempts=0)
    await house.run()
    assert await state() is TransferState.CONFIRMED
    await assert_books_hold()


async def test_a_refusal_frees_the_money(house: House) -> None:
    await fill()
    await approved()
    house.sandbox.faults(bank="refuse")
    await house.run()
    assert await state() is TransferState.FAILED
    assert (await balance("escrow:operating")).fen == 100_000_00
    await assert_books_hold()


async def test_without_a_bank_it_waits_for_a_person(house: House) -> None:
    await fill()
    await approved()
    platforms = replace(house.parties.platforms, bank=None)
    alone = FundWork(house.settings, replace(house.parties, platforms=platforms), SEALER)
    with pytest.raises(NeedsPerson, match="YOUKA_BANK_URL"):
        await alone.send_transfer(await Job.get(kind=Kind.SEND_TRANSFER), utc_now())
    assert await state() is TransferState.CHECKED
    await alone.sweep(Job(), utc_now().replace(hour=10))
    assert not await FundSweep.exists()


async def test_what_nobody_has_checked_expires(house: House) -> None:
    await fill()
    await propose((await finance()).staff, await create_payee())
    (job,) = await Job.filter(kind=Kind.EXPIRE_TRANSFER)
    assert job.due_at == (await FundTransfer.get()).expires_at
    await house.work.expire_transfer(job, job.due_at)
    assert await state() is TransferState.EXPIRED


async def test_the_sweep_is_done_from_its_hour_on_and_once(house: House) -> None:
    await fill()
    work = house.work
    # 06:59 and 07:00 in Asia/Shanghai.
    early = utc_now().replace(hour=22, minute=59, second=0, microsecond=0)
    due_at = await work.sweep(Job(), early)
    assert due_at == early + timedelta(minutes=1)
    assert not await FundSweep.exists()
    for _ in range(2):
        assert await work.sweep(Job(), due_at) == due_at + timedelta(days=1)
    assert (await FundSweep.get()).business_day == business_day(due_at)
    await house.run()
    assert (await balance("escrow:reserve")).fen == 95_000_00
    await assert_books_hold()


async def test_a_settlement_waits_for_its_bill_and_then_for_a_person(house: House) -> None:
    name = merchant_name(house.parties.channels.merchants[0])
    job = Job(kind=Kind.SETTLE, payload={"source": name, "day": "2026-05-20"}, attempts=0)
    later = await house.work.settle(job, utc_now())
    assert later is not None
    job.attempts = house.settings.settlement_attempts_max
    with pytest.raises(NeedsPerson, match="NotCleared"):
        await house.work.settle(job, utc_now())
    job.payload["source"] = "nobody:1"
    with pytest.raises(NeedsPerson, match="no channel"):
        await house.work.settle(job, utc_now())
    assert await house.work.schedule_settlements(Job(), utc_now()) > utc_now()
    assert not await FundSettlement.exists()


@pytest.mark.usefixtures("database")
class TestCommands:
    async def test_the_sweep_and_the_position(self, capsys: pytest.CaptureFixture[str]) -> None:
        await fill()
        assert await funds.show(as_json=False) == funds.BROKEN
        assert "0.00%" in capsys.readouterr().out
        assert await funds.sweep(as_json=False) == funds.KEPT
        assert "¥95,000.00 goes into the reserve; no history" in capsys.readouterr().out
        assert await funds.sweep(as_json=True) == funds.KEPT
        assert json.loads(capsys.readouterr().out)["amount_fen"] == 95_000_00
        assert await funds.show(as_json=True) == funds.KEPT
        document = json.loads(capsys.readouterr().out)
        assert (document["operating"], document["on_its_way_to_the_reserve"]) == (5_000_00, 95_000_00)
        assert document["keeps_the_reserve"] is True


@pytest.mark.usefixtures("database")
class TestTheDatabase:
    @pytest.mark.parametrize(
        ("statement", "rule"),
        [
            ("UPDATE fund_transfer SET checked_by = proposed_by", "transfer_takes_two"),
            ("UPDATE fund_transfer SET state = 'SENT', checked_by = NULL", "transfer_checked"),
            ("UPDATE fund_transfer SET state = 'SENT', needs_director = {true}", "transfer_directed"),
            ("UPDATE fund_transfer SET directed_by = checked_by", "transfer_director_is_another"),
            ("UPDATE fund_transfer SET amount_fen = 0", "transfer_amount_positive"),
            ("UPDATE fund_transfer SET payee_id = NULL", "transfer_to_a_payee"),
            ("UPDATE fund_payee SET approved_by = proposed_by", "payee_takes_two"),
            ("UPDATE fund_payee SET approved_by = NULL", "payee_active_is_approved"),
            ("UPDATE fund_step SET reason = 'another'", "append-only"),
            ("DELETE FROM fund_step", "append-only"),
            ("UPDATE fund_sweep SET amount_fen = 0", "append-only"),
            ("DELETE FROM fund_sweep", "append-only"),
        ],
    )
    async def test_what_no_statement_can_do(self, statement: str, rule: str) -> None:
        await fill()
        row = await approved()
        await sweeping.sweep(policy=POLICY, now=utc_now())
        connection = Tortoise.get_connection("default")
        true = "1" if connection.capabilities.dialect == "sqlite" else "true"
        with pytest.raises((IntegrityError, OperationalError), match=rule):
            await connection.execute_query(statement.format(true=true))
        assert (await FundTransfer.get(id=row.id)).version == row.version
        assert (await FundPayee.get()).approved_by is not None
