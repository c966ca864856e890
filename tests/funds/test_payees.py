"""Accounts that may be paid: two people let them in, one stops them, and nobody reads their numbers."""

from __future__ import annotations

import asyncio

import pytest
from tortoise import Tortoise

from domain.funds import payees
from domain.funds.lifecycle import StepNotPossible
from domain.funds.payees import PayeeKnown, PayeeNotFound
from domain.funds.rules import PayeeInvalid
from domain.funds.story import ApprovalStale
from domain.orders.cases import SecondPersonNeeded
from kernel.clock import utc_now
from kernel.fund_states import PayeeKind, PayeeState, TransferState
from kernel.ids import new_id
from models.funds import FundPayee, FundTransfer
from tests.funds.support import (
    ACCOUNT_NUMBER,
    Signer,
    assert_books_hold,
    create_payee,
    fill,
    finance,
    propose,
    propose_payee,
    trace,
)

pytestmark = pytest.mark.usefixtures("database")


async def approve(row: FundPayee, who: Signer, *, version: int | None = None) -> FundPayee:
    return await payees.approve(
        signature=await who.sign(), payee_id=row.id, version=version or row.version, reason="seen", now=utc_now()
    )


async def test_two_people_let_an_account_in() -> None:
    maker, checker = await finance(), await finance()
    row = await propose_payee(maker.staff)
    before = await trace()
    with pytest.raises(SecondPersonNeeded):
        await approve(row, maker)
    with pytest.raises(ApprovalStale):
        await approve(row, checker, version=2)
    with pytest.raises(PayeeNotFound):
        await approve(FundPayee(id=new_id(), version=1), checker)
    assert await trace() == before
    row = await approve(row, checker)
    assert (row.state, row.approved_by) == (PayeeState.ACTIVE, checker.staff.id)
    with pytest.raises(StepNotPossible):
        await approve(row, await finance())
    await assert_books_hold()


async def test_a_number_is_sealed_and_never_shown() -> None:
    maker = await finance()
    row = await propose_payee(maker.staff)
    assert row.account_masked == "**** 0123"
    (raw,) = await Tortoise.get_connection("default").execute_query_dict("SELECT * FROM fund_payee")
    assert ACCOUNT_NUMBER not in repr(raw)
    assert ACCOUNT_NUMBER not in repr(
        await Tortoise.get_connection("default").execute_query_dict("SELECT * FROM event")
    )


async def test_an_account_is_registered_once_while_it_lives() -> None:
    maker, checker = await finance(), await finance()
    found = await asyncio.gather(
        propose_payee(maker.staff), propose_payee(checker.staff, kind=PayeeKind.COMPANY), return_exceptions=True
    )
    assert {type(each) for each in found} == {FundPayee, PayeeKnown}
    row = await FundPayee.get()
    await payees.reject(
        signature=await (checker if row.proposed_by == maker.staff.id else maker).sign(),
        payee_id=row.id, version=1, reason="another one", now=utc_now(),
    )  # fmt: skip
    await propose_payee(maker.staff)


async def test_what_is_no_account_is_refused() -> None:
    maker = await finance()
    before = await trace()
    for changes in ({"party": "a:b"}, {"number": "1"}, {"bank_code": ""}, {"name": ""}):
        with pytest.raises(PayeeInvalid):
            await propose_payee(maker.staff, **changes)
    assert await trace() == before


async def test_revoking_voids_what_was_not_sent() -> None:
    await fill()
    maker, payee = await finance(), await create_payee()
    await propose(maker.staff, payee)
    await propose(maker.staff, payee)
    await payees.revoke(staff=maker.staff, payee_id=payee.id, version=payee.version, reason="closed", now=utc_now())
    assert {row.state for row in await FundTransfer.all()} == {TransferState.VOID}
    await assert_books_hold()


async def test_a_revocation_and_a_proposal_at_once() -> None:
    await fill()
    maker, payee = await finance(), await create_payee()
    revoke = payees.revoke(staff=maker.staff, payee_id=payee.id, version=payee.version, reason="closed", now=utc_now())
    await asyncio.gather(revoke, propose(maker.staff, payee), return_exceptions=True)
    assert not await FundTransfer.exclude(state=TransferState.VOID).exists()
    await assert_books_hold()
