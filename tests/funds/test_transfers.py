"""A withdrawal from its proposal to its end, and everybody who may not bring it on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.access.second_factor import SecondFactorRefused
from domain.funds import operations, payees, sending
from domain.funds.lifecycle import StepNotPossible
from domain.funds.moving import EscrowInsufficient, TransferNotFound
from domain.funds.operations import MovementUnderWay, ReserveTooLow
from domain.funds.payees import PayeeNotFound, PayeeNotUsable
from domain.funds.rules import TransferAmountInvalid
from domain.funds.story import ApprovalStale
from domain.identity.idempotency import IdempotencyConflict, IdempotencyKeyInvalid
from domain.ledger.queries import balance
from domain.orders.cases import SecondPersonNeeded
from domain.orders.reviewing import ReasonMissing
from domain.work.operations import Kind
from kernel.clock import utc_now
from kernel.fund_states import FundStepKind, TransferState
from kernel.ids import new_id
from kernel.states import StaffRole
from models.funds import FundPayee, FundStep, FundTransfer
from models.jobs import Job
from tests.factories import SEALER
from tests.funds.support import (
    LARGE_YUAN,
    POLICY,
    FakeBank,
    Signer,
    approved,
    assert_books_hold,
    check,
    create_payee,
    direct,
    director,
    fill,
    finance,
    propose,
    trace,
)

pytestmark = pytest.mark.usefixtures("database")
OPERATING, HELD = "escrow:operating", "escrow:operating_held"


async def fen(account: str) -> int:
    return (await balance(account)).fen


async def amend(
    row: FundTransfer, maker: Signer, *, yuan: str = "900.00", payee: FundPayee | None = None
) -> FundTransfer:
    return await operations.amend_withdrawal(
        staff=maker.staff,
        transfer_id=row.id,
        version=row.version,
        payee_id=payee.id if payee else row.payee_id,
        yuan=Decimal(yuan),
        reason="less",
        policy=POLICY,
        now=utc_now(),
    )


class TestTheWay:
    async def test_from_proposal_to_the_bank(self) -> None:
        await fill()
        maker, checker, payee, bank = await finance(), await finance(), await create_payee(), FakeBank()
        row = await propose(maker.staff, payee)
        assert (row.state, await fen(OPERATING), await fen(HELD)) == (TransferState.PROPOSED, 99_000_00, 1_000_00)
        row = await check(row, checker)
        assert await Job.filter(kind=Kind.SEND_TRANSFER).count() == 1
        assert await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())
        row = await FundTransfer.get()
        assert (row.state, row.bank_reference) == (TransferState.CONFIRMED, f"B{row.reference}")
        assert (await fen(OPERATING), await fen(HELD), await fen("issuer_prepaid:sinopec")) == (99_000_00, 0, 1_000_00)
        (order,) = bank.orders.values()
        assert (order.payee_account[:4], order.payee_bank_code) == ("6222", "102100099996")
        steps = await FundStep.filter(subject_id=row.id).order_by("version")
        assert [step.step for step in steps] == [
            FundStepKind.PROPOSE, FundStepKind.CHECK, FundStepKind.SEND, FundStepKind.CONFIRM,
        ]  # fmt: skip
        assert [step.staff_id for step in steps] == [maker.staff.id, checker.staff.id, None, None]
        assert [bool(step.second_factor_step) for step in steps] == [False, True, False, False]
        await assert_books_hold()

    async def test_a_large_one_takes_the_director_as_well(self) -> None:
        await fill(300_000_00)
        maker, checker, boss = await finance(), await finance(), await director()
        row = await check(await propose(maker.staff, await create_payee(), yuan=LARGE_YUAN), checker)
        assert row.needs_director
        assert not await Job.filter(kind=Kind.SEND_TRANSFER).exists()
        assert await sending.push(transfer_id=row.id, bank=FakeBank(), sealer=SEALER, now=utc_now())
        assert (await FundTransfer.get()).state is TransferState.CHECKED
        row = await direct(row, boss)
        bank = FakeBank()
        assert await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())
        assert bank.moved_fen == 200_000_00
        await assert_books_hold()

    async def test_two_cannot_spend_the_same_money(self) -> None:
        await fill(1_500_00)
        maker, payee = await finance(), await create_payee()
        found = await asyncio.gather(propose(maker.staff, payee), propose(maker.staff, payee), return_exceptions=True)
        kinds = {type(each) for each in found}
        assert kinds == {FundTransfer, EscrowInsufficient}
        assert await FundTransfer.all().count() == 1
        await assert_books_hold()

    async def test_a_key_makes_one(self) -> None:
        await fill()
        maker, payee = await finance(), await create_payee()
        first, second = await asyncio.gather(
            propose(maker.staff, payee, key="the-key-1"), propose(maker.staff, payee, key="the-key-1")
        )
        assert first.id == second.id
        before = await trace()
        with pytest.raises(IdempotencyConflict):
            await propose(maker.staff, payee, yuan="2.00", key="the-key-1")
        with pytest.raises(IdempotencyKeyInvalid):
            await propose(maker.staff, payee, key="short")
        assert await trace() == before

    async def test_what_is_taken_back_rejected_or_too_old_frees_its_money(self) -> None:
        await fill()
        maker, checker, payee = await finance(), await finance(), await create_payee()
        row = await propose(maker.staff, payee)
        await operations.withdraw(staff=maker.staff, transfer_id=row.id, version=1, reason="a mistake", now=utc_now())
        row = await propose(maker.staff, payee)
        await operations.reject(
            signature=await checker.sign(), transfer_id=row.id, version=1, reason="why?", now=utc_now()
        )
        row = await propose(maker.staff, payee)
        assert not await operations.expire(transfer_id=row.id, now=utc_now())
        late = utc_now() + POLICY.transfer_lifetime + timedelta(seconds=1)
        assert await operations.expire(transfer_id=row.id, now=late)
        assert {each.state for each in await FundTransfer.all()} == {
            TransferState.VOID, TransferState.REJECTED, TransferState.EXPIRED,
        }  # fmt: skip
        assert (await fen(OPERATING), await fen(HELD)) == (100_000_00, 0)
        await assert_books_hold()

    async def test_what_waits_for_the_bank_does_not_expire(self) -> None:
        await fill()
        row = await approved()
        assert not await operations.expire(transfer_id=row.id, now=utc_now() + timedelta(days=30))


class TestRefusals:
    async def test_nobody_approves_their_own_in_any_role(self) -> None:
        await fill(300_000_00)
        every, payee = await Signer.of(*StaffRole), await create_payee()
        row = await propose(every.staff, payee, yuan=LARGE_YUAN)
        before = await trace()
        for attempt in (check, direct):
            with pytest.raises(SecondPersonNeeded):
                await attempt(row, every)
        with pytest.raises(SecondPersonNeeded):
            await operations.reject(
                signature=await every.sign(), transfer_id=row.id, version=1, reason="no", now=utc_now()
            )
        assert await trace() == before
        checker = await Signer.of(*StaffRole)
        row, before = await check(row, checker), await trace()
        before = await trace()
        with pytest.raises(SecondPersonNeeded):
            await direct(row, checker)
        assert await trace() == before

    async def test_an_approval_is_of_what_was_read(self) -> None:
        await fill(300_000_00)
        maker, checker, boss = await finance(), await finance(), await director()
        row = await check(await propose(maker.staff, await create_payee(), yuan=LARGE_YUAN), checker)
        stale = row.version
        row = await amend(row, maker, yuan="250000.00")
        assert (row.state, row.checked_by) == (TransferState.PROPOSED, None)
        before = await trace()
        with pytest.raises(ApprovalStale):
            await direct(row, boss, version=stale)
        with pytest.raises(StepNotPossible):
            await direct(row, boss)
        with pytest.raises(ApprovalStale):
            await check(row, checker, version=1)
        assert await trace() == before
        assert await fen(HELD) == 250_000_00
        await direct(await check(row, checker), boss)
        await assert_books_hold()

    async def test_a_code_signs_once(self) -> None:
        await fill()
        maker, checker, payee = await finance(), await finance(), await create_payee()
        one, two = await propose(maker.staff, payee), await propose(maker.staff, payee)
        signature = await checker.sign()
        await operations.check(signature=signature, transfer_id=one.id, version=1, reason="ok", now=utc_now())
        before = await trace()
        with pytest.raises(SecondFactorRefused):
            await operations.check(signature=signature, transfer_id=two.id, version=1, reason="ok", now=utc_now())
        assert await trace() == before

    async def test_a_code_that_was_refused_with_its_wish_is_still_good(self) -> None:
        await fill()
        maker, checker, payee = await finance(), await finance(), await create_payee()
        row, signature = await propose(maker.staff, payee), await checker.sign()
        with pytest.raises(ApprovalStale):
            await operations.check(signature=signature, transfer_id=row.id, version=9, reason="ok", now=utc_now())
        await operations.check(signature=signature, transfer_id=row.id, version=1, reason="ok", now=utc_now())

    async def test_two_checkers_at_once(self) -> None:
        await fill()
        maker, payee = await finance(), await create_payee()
        row, checkers = await propose(maker.staff, payee), [await finance(), await finance()]
        found = await asyncio.gather(*(check(row, each) for each in checkers), return_exceptions=True)
        assert {type(each) for each in found} == {FundTransfer, ApprovalStale}
        assert await Job.filter(kind=Kind.SEND_TRANSFER).count() == 1
        assert await FundStep.filter(step=FundStepKind.CHECK).count() == 1
        await assert_books_hold()

    async def test_wishes_that_cannot_be(self) -> None:
        await fill()
        maker, checker, payee = await finance(), await finance(), await create_payee()
        unapproved = await payees.propose(
            staff=maker.staff, kind=payee.kind, party="x", name="名", bank_code="102100099996",
            account_number="12345678", reason="r", sealer=SEALER, now=utc_now(),
        )  # fmt: skip
        before = await trace()
        for yuan in ("0", "-1", "0.001", "NaN", "Infinity", "100000000.01"):
            with pytest.raises(TransferAmountInvalid):
                await propose(maker.staff, payee, yuan=yuan)
        with pytest.raises(EscrowInsufficient, match=r"100,000\.00"):
            await propose(maker.staff, payee, yuan="100000.01")
        with pytest.raises(PayeeNotUsable):
            await propose(maker.staff, unapproved)
        with pytest.raises(PayeeNotFound):
            await propose(maker.staff, FundPayee(id=new_id()))
        with pytest.raises(TransferNotFound):
            await check(FundTransfer(id=new_id(), version=1), checker)
        with pytest.raises(ReasonMissing):
            await operations.check(
                signature=await checker.sign(), transfer_id=new_id(), version=1, reason=" ", now=utc_now()
            )
        assert await trace() == before

    async def test_only_the_maker_amends_and_takes_back(self) -> None:
        await fill()
        maker, other, payee = await finance(), await finance(), await create_payee()
        row = await propose(maker.staff, payee)
        before = await trace()
        with pytest.raises(SecondPersonNeeded):
            await amend(row, other)
        with pytest.raises(SecondPersonNeeded):
            await operations.withdraw(staff=other.staff, transfer_id=row.id, version=1, reason="r", now=utc_now())
        assert await trace() == before

    async def test_another_payee_voids_the_approval(self) -> None:
        await fill()
        maker, checker, payee, another = await finance(), await finance(), await create_payee(), await create_payee()
        row = await check(await propose(maker.staff, payee), checker)
        row = await amend(row, maker, payee=another)
        bank = FakeBank()
        assert await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())
        assert (bank.calls, (await FundTransfer.get()).state) == (0, TransferState.PROPOSED)
        await assert_books_hold()


class TestReserve:
    async def test_out_of_it_takes_two_more_people_and_leaves_its_share(self) -> None:
        await fill(1_000_00, 99_000_00)
        maker, checker, boss, bank = await finance(), await finance(), await director(), FakeBank()

        async def release(yuan: str) -> FundTransfer:
            return await operations.propose_release(
                staff=maker.staff, yuan=Decimal(yuan), reason="a busy day", key=new_id().hex, policy=POLICY,
                now=utc_now(),
            )  # fmt: skip

        before = await trace()
        with pytest.raises(ReserveTooLow, match=r"4,000\.00"):
            await release("4000.01")
        assert await trace() == before
        row = await release("4000.00")
        with pytest.raises(MovementUnderWay):
            await release("1.00")
        row = await check(row, checker)
        assert await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())
        assert bank.calls == 0
        row = await direct(row, boss)
        assert await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())
        assert (await fen(OPERATING), await fen("escrow:reserve")) == (5_000_00, 95_000_00)
        (order,) = bank.orders.values()
        assert (order.source, order.target, order.payee_account) == ("reserve", "operating", "")
        await assert_books_hold()
