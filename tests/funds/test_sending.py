"""What the bank is told: once, whoever is told twice, lost, killed or contradicted in between."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest
from tortoise import Tortoise

from domain.funds import payees, sending
from domain.funds.sending import BankContradiction
from domain.ledger.queries import balance
from domain.payments.banks import BankTransferFacts, BankTransferState, BankUnavailable
from gateways.assembly import third_parties
from kernel.clock import utc_now
from kernel.fund_states import FundStepKind, TransferState
from models.database import connected
from models.funds import FundPayee, FundStep, FundTransfer
from models.ledger import LedgerTransaction
from tests.factories import SEALER
from tests.funds.support import FakeBank, approved, assert_books_hold, fill, finance, trace
from tests.sandbox_fixtures import ROOT, Sandbox

# A worker that dies beside the call to the bank, before or behind it.
DYING = """
import asyncio, os, sys
from uuid import UUID
from domain.funds import sending
from gateways.assembly import third_parties
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import connected
from tests.factories import SEALER

async def main(transfer, before):
    settings = Settings()
    async with connected(settings.database), third_parties(settings) as parties:
        bank, send = parties.platforms.bank, parties.platforms.bank.send
        async def dying(order):
            if not before:
                await send(order)
            os._exit(9)
        bank.send = dying
        await sending.push(transfer_id=UUID(transfer), bank=bank, sealer=SEALER, now=utc_now())

asyncio.run(main(sys.argv[1], sys.argv[2] == "before"))
"""


async def push(row: FundTransfer, bank: FakeBank) -> bool:
    return await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())


async def state() -> TransferState:
    return (await FundTransfer.get()).state


@pytest.mark.usefixtures("database")
class TestPushing:
    async def test_a_lost_answer_is_unknown_and_asked_for(self) -> None:
        await fill()
        row, bank = await approved(), FakeBank(lost=1)
        with pytest.raises(BankUnavailable):
            await push(row, bank)
        assert await state() is TransferState.SENT
        assert (await balance("escrow:operating_held")).fen == 1_000_00
        assert await push(row, bank)
        assert await state() is TransferState.CONFIRMED
        assert bank.moved_fen == 1_000_00
        await assert_books_hold()

    async def test_what_the_bank_never_saw_is_sent_again(self) -> None:
        await fill()
        row, bank = await approved(), FakeBank(unseen=2)
        for _ in range(2):
            with pytest.raises(BankUnavailable):
                await push(row, bank)
        assert await push(row, bank)
        assert (bank.moved_fen, await state()) == (1_000_00, TransferState.CONFIRMED)
        assert await FundStep.filter(step=FundStepKind.SEND).count() == 1

    async def test_pending_waits(self) -> None:
        await fill()
        row, bank = await approved(), FakeBank(pending=True)
        assert not await push(row, bank)
        assert not await push(row, bank)
        assert await state() is TransferState.SENT
        bank.done[row.reference] = replace(bank.done[row.reference], state=BankTransferState.DONE)
        assert await push(row, bank)
        await assert_books_hold()

    async def test_a_refusal_gives_the_money_back(self) -> None:
        await fill()
        row, bank = await approved(), FakeBank(refuses=True)
        assert await push(row, bank)
        found = await FundTransfer.get()
        assert (found.state, found.failure) == (TransferState.FAILED, "closed")
        assert (await balance("escrow:operating")).fen == 100_000_00
        assert await push(row, bank)
        await assert_books_hold()

    async def test_several_at_once_move_the_money_once(self) -> None:
        await fill()
        row, bank = await approved(), FakeBank()
        assert all(await asyncio.gather(*(push(row, bank) for _ in range(4))))
        assert bank.moved_fen == 1_000_00
        assert await LedgerTransaction.filter(key=f"{row.reference}:withdrawn").count() == 1
        assert await state() is TransferState.CONFIRMED
        await assert_books_hold()

    async def test_another_amount_or_a_second_end_settles_nothing(self) -> None:
        await fill()
        row, bank = await approved(), FakeBank(pending=True)
        await push(row, bank)
        said = bank.done[row.reference]
        before = await trace()
        for facts in (
            replace(said, state=BankTransferState.DONE, amount_fen=1),
            BankTransferFacts("another", BankTransferState.DONE, 1_000_00, "B", ""),
        ):
            with pytest.raises(BankContradiction):
                await sending.settle(transfer_id=row.id, facts=facts, now=utc_now())
        assert await trace() == before
        done = replace(said, state=BankTransferState.DONE)
        assert await sending.settle(transfer_id=row.id, facts=done, now=utc_now())
        before = await trace()
        assert await sending.settle(transfer_id=row.id, facts=done, now=utc_now())
        refused = replace(said, state=BankTransferState.REFUSED)
        with pytest.raises(BankContradiction):
            await sending.settle(transfer_id=row.id, facts=refused, now=utc_now())
        assert await trace() == before

    async def test_a_payee_that_is_revoked_is_not_paid(self) -> None:
        await fill()
        row, bank, anybody = await approved(), FakeBank(), await finance()
        payee = await FundPayee.get()
        await payees.revoke(
            staff=anybody.staff, payee_id=payee.id, version=payee.version, reason="closed", now=utc_now()
        )
        assert await push(row, bank)
        assert (bank.calls, await state()) == (0, TransferState.VOID)
        assert (await balance("escrow:operating")).fen == 100_000_00
        await assert_books_hold()

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE fund_payee SET account_digest = 'another'",
            "UPDATE fund_payee SET version = version + 1",
            "UPDATE fund_transfer SET target_account = 'company_drawings'",
        ],
    )
    async def test_what_was_altered_behind_the_approval_is_void(self, statement: str) -> None:
        await fill()
        row, bank = await approved(), FakeBank()
        await Tortoise.get_connection("default").execute_query(statement)
        assert await push(row, bank)
        assert (bank.calls, await state()) == (0, TransferState.VOID)


@pytest.mark.parametrize("when", ["before", "behind"])
async def test_who_dies_beside_the_call_leaves_one_transfer(database_url: str, sandbox: Sandbox, when: str) -> None:
    settings = sandbox.settings(database_url=database_url)
    async with connected(database_url):
        await fill()
        row = await approved()
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "DATA_DIR": str(sandbox.data_dir),
        "SANDBOX_PORT": str(sandbox.port),
    }
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", DYING, str(row.id), when],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert died.returncode == 9, died.stderr.decode()[-2_000:]
    async with connected(database_url), third_parties(settings) as parties:
        bank = parties.platforms.bank
        assert bank is not None
        assert await state() is TransferState.SENT
        assert await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())
        assert await state() is TransferState.CONFIRMED
        (known,) = [each for each in sandbox.state()["bank_transfers"] if each["reference"] == row.reference]
        assert (known["times_sent"], known["amount_fen"]) == (1, 1_000_00)
        await assert_books_hold()
