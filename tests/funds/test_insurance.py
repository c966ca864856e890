"""Policies and claims: what is covered, by whom it is granted and booked, and how often."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.funds import insurance
from domain.funds.insurance import (
    BankReferenceInvalid,
    ClaimAmountInvalid,
    ClaimKnown,
    ClaimNotFound,
    IncidentNotCovered,
    IncidentNotFound,
    PolicyInvalid,
    PolicyKnown,
    PolicyNotFound,
)
from domain.funds.lifecycle import StepNotPossible
from domain.funds.story import ApprovalStale
from domain.identity.staff import Staff
from domain.ledger.queries import balance
from domain.orders.cases import SecondPersonNeeded
from kernel.clock import utc_now
from kernel.fund_states import ClaimState, IncidentKind
from kernel.ids import new_id
from kernel.states import ErrorKind
from models.funds import InsuranceClaim, InsurancePolicy
from models.reviews import ErrorEntry
from tests.funds.support import Signer, assert_books_hold, finance, trace

pytestmark = pytest.mark.usefixtures("database")
LOST_FEN = 100_000_00


async def policy(staff: Staff, **changes: Any) -> InsurancePolicy:
    today = utc_now().date()
    given: dict[str, Any] = {
        "insurer": "中国人保",
        "number": new_id().hex,
        "cover": Decimal("100000"),
        "deductible": Decimal("5000"),
        "premium": Decimal("1200.50"),
        "starts_on": today - timedelta(days=30),
        "ends_on": today + timedelta(days=335),
        **changes,
    }
    return await insurance.register_policy(staff=staff, reason="the year", now=utc_now(), **given)


async def incident() -> tuple[IncidentKind, Any]:
    row = await ErrorEntry.create(
        id=new_id(), key=new_id().hex, kind=ErrorKind.RECHARGE_REVERSED, user_id=new_id(), amount_fen=LOST_FEN,
        detail="lost", occurred_at=utc_now(),
    )  # fmt: skip
    return IncidentKind.ERROR_ENTRY, row.id


async def file(staff: Staff, covered: InsurancePolicy, yuan: str = "95000", what: Any = None) -> InsuranceClaim:
    return await insurance.file_claim(
        staff=staff, policy_id=covered.id, incident=what or await incident(), yuan=Decimal(yuan), reason="r",
        now=utc_now(),
    )  # fmt: skip


async def accept(staff: Staff, row: InsuranceClaim, yuan: str = "90000") -> InsuranceClaim:
    return await insurance.accept_claim(
        staff=staff, claim_id=row.id, version=row.version, yuan=Decimal(yuan), reason="their letter", now=utc_now()
    )


async def paid(who: Signer, row: InsuranceClaim, reference: str = "PICC0001") -> InsuranceClaim:
    return await insurance.pay_claim(
        signature=await who.sign(), claim_id=row.id, version=row.version, bank_reference=reference, reason="seen",
        now=utc_now(),
    )  # fmt: skip


async def test_from_the_loss_to_the_money() -> None:
    filer, granter, payer = await finance(), await finance(), await finance()
    row = await file(filer.staff, await policy(filer.staff))
    row = await accept(granter.staff, row)
    row = await paid(payer, row)
    assert (row.state, row.accepted_fen) == (ClaimState.PAID, 90_000_00)
    assert ((await balance("escrow:operating")).fen, (await balance("loss")).fen) == (90_000_00, -90_000_00)
    await assert_books_hold()


async def test_two_others_have_seen_it_before_it_is_booked() -> None:
    filer, granter = await finance(), await finance()
    row = await file(filer.staff, await policy(filer.staff))
    with pytest.raises(StepNotPossible):
        await paid(await finance(), row)
    row = await accept(granter.staff, row)
    before = await trace()
    for own in (filer, granter):
        with pytest.raises(SecondPersonNeeded):
            await paid(own, row)
    assert await trace() == before


async def test_a_correction_is_read_anew() -> None:
    filer, granter, payer = await finance(), await finance(), await finance()
    read = await accept(granter.staff, await file(filer.staff, await policy(filer.staff)))
    await accept(granter.staff, await InsuranceClaim.get(), "1000")
    read.version = 2
    before = await trace()
    with pytest.raises(ApprovalStale):
        await paid(payer, read)
    assert await trace() == before


async def test_an_arrival_is_booked_once() -> None:
    filer, granter, payer = await finance(), await finance(), await finance()
    covered = await policy(filer.staff)
    one = await accept(granter.staff, await file(filer.staff, covered), "1000")
    two = await accept(granter.staff, await file(filer.staff, covered), "1000")
    await paid(payer, one)
    before = await trace()
    for reference in ("PICC0001", "x", "with space", "a:b:c"):
        with pytest.raises(BankReferenceInvalid):
            await paid(payer, two, reference)
    assert await trace() == before
    others = [await finance(), await finance()]
    found = await asyncio.gather(
        *(paid(who, two, f"REF{n}") for n, who in enumerate(others, 1000)), return_exceptions=True
    )
    assert {type(each) for each in found} == {InsuranceClaim, ApprovalStale}
    await assert_books_hold()


async def test_no_more_than_is_covered() -> None:
    filer, granter = await finance(), await finance()
    covered = await policy(filer.staff)
    before = await trace()
    for yuan in ("0", "-1", "95000.01", "0.001", "NaN"):
        with pytest.raises(ClaimAmountInvalid):
            await file(filer.staff, covered, yuan)
    assert await trace() == before
    await accept(granter.staff, await file(filer.staff, covered), "90000")
    second = await file(filer.staff, covered)
    with pytest.raises(ClaimAmountInvalid, match=r"10,000\.00"):
        await accept(granter.staff, second, "10000.01")
    await accept(granter.staff, second, "10000")


async def test_what_is_not_there_or_not_covered() -> None:
    filer = await finance()
    covered, what = await policy(filer.staff), await incident()
    old = await policy(filer.staff, starts_on=date(2020, 1, 1), ends_on=date(2020, 12, 31))
    await file(filer.staff, covered, what=what)
    before = await trace()
    with pytest.raises(ClaimKnown):
        await file(filer.staff, covered, what=what)
    with pytest.raises(IncidentNotCovered):
        await file(filer.staff, old, what=what)
    for kind in IncidentKind:
        with pytest.raises(IncidentNotFound):
            await file(filer.staff, covered, what=(kind, new_id()))
    with pytest.raises(PolicyNotFound):
        await file(filer.staff, InsurancePolicy(id=new_id()))
    with pytest.raises(ClaimNotFound):
        await accept(filer.staff, InsuranceClaim(id=new_id(), version=1))
    assert await trace() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"insurer": " "},
        {"number": ""},
        {"cover": Decimal(0)},
        {"cover": Decimal("NaN")},
        {"deductible": Decimal("100000")},
        {"premium": Decimal("-1")},
        {"premium": Decimal("0.001")},
        {"ends_on": date(2000, 1, 1)},
    ],
)
async def test_a_policy_that_is_none(changes: dict[str, Any]) -> None:
    filer = await finance()
    with pytest.raises(PolicyInvalid):
        await policy(filer.staff, **changes)
    assert not await InsurancePolicy.exists()


async def test_a_policy_is_registered_once() -> None:
    filer = await finance()
    await policy(filer.staff, number="PICC-1")
    with pytest.raises(PolicyKnown):
        await policy(filer.staff, number="PICC-1")


@pytest.mark.parametrize("end", ["reject_claim", "withdraw_claim"])
async def test_a_claim_that_comes_to_nothing_may_be_filed_again(end: str) -> None:
    filer = await finance()
    covered, what = await policy(filer.staff), await incident()
    row = await file(filer.staff, covered, what=what)
    await getattr(insurance, end)(staff=filer.staff, claim_id=row.id, version=1, reason="no", now=utc_now())
    assert (await file(filer.staff, covered, what=what)).state is ClaimState.FILED
    assert await balance("escrow:operating") == await balance("loss")
    await assert_books_hold()
