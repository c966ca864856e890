"""What two people decide: reversals (row 15), and recharges that came after a refusal (row 14)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.access.second_factor import SecondFactorRefused
from domain.cards.ports import IssuerOrderState, RechargeFacts
from domain.identity.staff import Staff
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import audit, cases, recharging
from domain.orders.cases import CaseClosed, CaseNotFound, OrderNotReversible, OutcomeNotPossible, SecondPersonNeeded
from domain.orders.reviewing import ReasonMissing
from domain.payments.wallet import WalletInsufficient
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import (
    CaseKind,
    CaseOutcome,
    CaseState,
    ErrorKind,
    FailureKind,
    OrderState,
    RechargeState,
    RefundState,
)
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import Refund
from models.reviews import ErrorEntry, ManualCase
from tests.factories import create_staff, sign
from tests.orders.conftest import House, steps
from tests.orders.test_wallet import top_up, wallet

ISSUER = "card_issuer"


async def facts_of(house: House, order: RechargeOrder, state: IssuerOrderState) -> RechargeFacts:
    """Return what the issuer would say if the recharge ended so."""
    attempt = await RechargeAttempt.get(order_id=order.id)
    told = await house.third_parties.issuer.query(attempt.id)
    return replace(told, state=state, cost_fen=49_750)


async def tell(facts: RechargeFacts) -> None:
    await recharging.settle_recharge(facts=facts, actor="card_issuer", now=utc_now())


async def arrived(house: House) -> RechargeOrder:
    order = await house.paid_order()
    return await house.work_until_state(order.id, OrderState.SUCCEEDED)


async def recharged_after_refund(house: House) -> tuple[RechargeOrder, ManualCase]:
    house.sandbox.faults(issuer="refuse")
    order = await house.paid_order()
    await house.work_until_refund(order.id, RefundState.SUCCESS)
    house.sandbox.clear_faults()
    await tell(await facts_of(house, order, IssuerOrderState.SUCCEEDED))
    return order, await ManualCase.get(order_id=order.id)


async def propose(staff: Staff, case: ManualCase, outcome: CaseOutcome, reason: str = "函件") -> ManualCase:
    return await cases.propose(staff=staff, case_id=case.id, outcome=outcome, reason=reason, now=utc_now())


async def approve(staff: Staff, case: ManualCase, outcome: CaseOutcome) -> ManualCase:
    known = await ManualCase.get_or_none(id=case.id)
    version = known.version if known else 1
    return await cases.approve(
        signature=await sign(staff), case_id=case.id, version=version, outcome=outcome, now=utc_now()
    )


async def reverse(house: House, order: RechargeOrder, staff: Staff) -> ManualCase:
    return await cases.open_reversal(staff=staff, order_id=order.id, reason="发卡方函件", now=utc_now())


class TestReversal:
    async def test_two_people_reverse_and_the_customer_is_refunded(self, house: House) -> None:
        order = await arrived(house)
        maker, checker = await create_staff(), await create_staff()
        case = await reverse(house, order, maker)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        await approve(checker, case, CaseOutcome.REVERSE)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.state, done.failure_kind) == (OrderState.FAILED, FailureKind.REVERSED)
        assert await steps(order.id) == [1, 2, 4, 10, 11, 15, 16, 16]
        assert await balance(postings.issuer_prepaid(ISSUER)) == Money(0)
        assert await balance(postings.COMMISSION) == Money(0)
        assert (await ErrorEntry.get(order_id=order.id)).kind is ErrorKind.RECHARGE_REVERSED

    async def test_the_issuers_word_alone_opens_a_case_and_moves_nothing(self, house: House) -> None:
        order = await arrived(house)
        for state in (IssuerOrderState.REFUSED, IssuerOrderState.REVERSED, IssuerOrderState.REFUSED):
            await tell(await facts_of(house, order, state))
        case = await ManualCase.get()
        assert (case.kind, case.state, case.amount_fen) == (CaseKind.REVERSAL, CaseState.OPEN, 50_000)
        assert await steps(order.id) == [1, 2, 4, 10, 11]
        assert await LedgerTransaction.filter(order_id=order.id).count() == 2
        assert (await reverse(house, order, await create_staff())).id == case.id

    async def test_the_recharge_may_stand(self, house: House) -> None:
        order = await arrived(house)
        await tell(await facts_of(house, order, IssuerOrderState.REFUSED))
        case = await ManualCase.get()
        await propose(await create_staff(), case, CaseOutcome.DISMISS)
        await approve(await create_staff(), case, CaseOutcome.DISMISS)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        assert await Refund.all().count() == 0

    async def test_a_reversal_that_follows_what_was_dismissed_is_looked_at_again(self, house: House) -> None:
        order = await arrived(house)
        await tell(await facts_of(house, order, IssuerOrderState.REFUSED))
        refused = await ManualCase.get()
        await propose(await create_staff(), refused, CaseOutcome.DISMISS)
        await approve(await create_staff(), refused, CaseOutcome.DISMISS)
        for state in (IssuerOrderState.REFUSED, IssuerOrderState.REVERSED, IssuerOrderState.REVERSED):
            await tell(await facts_of(house, order, state))
        case = await ManualCase.get(state=CaseState.OPEN)
        assert case.id != refused.id
        assert (await reverse(house, order, await create_staff())).id == case.id
        await approve(await create_staff(), case, CaseOutcome.REVERSE)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert done.failure_kind is FailureKind.REVERSED

    async def test_a_dismissal_is_not_approved_when_the_reversal_comes_meanwhile(self, house: House) -> None:
        order = await arrived(house)
        await tell(await facts_of(house, order, IssuerOrderState.REFUSED))
        case = await ManualCase.get()
        await propose(await create_staff(), case, CaseOutcome.DISMISS)
        await tell(await facts_of(house, order, IssuerOrderState.REVERSED))
        with pytest.raises(CaseClosed):
            await approve(await create_staff(), case, CaseOutcome.DISMISS)
        assert (await ManualCase.get()).state is CaseState.OPEN

    async def test_nobody_does_it_alone_or_for_themselves(self, house: House) -> None:
        order = await arrived(house)
        maker, customer = await create_staff(), await create_staff(customer=house.viewer)
        with pytest.raises(SecondPersonNeeded):
            await reverse(house, order, customer)
        case = await reverse(house, order, maker)
        for nobody in (maker, customer):
            with pytest.raises(SecondPersonNeeded):
                await approve(nobody, case, CaseOutcome.REVERSE)
        assert (await ManualCase.get()).state is CaseState.PROPOSED
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        assert await LedgerTransaction.filter(order_id=order.id).count() == 2

    async def test_approving_twice_or_at_once_reverses_once(self, house: House) -> None:
        order = await arrived(house)
        case = await reverse(house, order, await create_staff())
        checker, other = await create_staff(), await create_staff()
        outcomes = await asyncio.gather(
            *(approve(staff, case, CaseOutcome.REVERSE) for staff in (checker, other) for _ in range(3)),
            return_exceptions=True,
        )
        assert sum(isinstance(each, CaseClosed) for each in outcomes) == 3
        assert sum(isinstance(each, ManualCase) for each in outcomes) == 3
        assert await Refund.all().count() == 1
        assert await audit.findings() == []

    async def test_a_proposal_that_was_replaced_is_not_approved_unseen(self, house: House) -> None:
        order = await arrived(house)
        case = await reverse(house, order, await create_staff())
        await propose(await create_staff(), case, CaseOutcome.DISMISS)
        with pytest.raises(CaseClosed):
            await approve(await create_staff(), case, CaseOutcome.REVERSE)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED

    async def test_another_proposal_of_the_same_is_another_one(self, house: House) -> None:
        order = await arrived(house)
        case, checker = await reverse(house, order, await create_staff()), await create_staff()
        read = case.version
        await propose(await create_staff(), case, CaseOutcome.REVERSE, "for another reason")
        signature = await sign(checker)
        for version in (read, None):
            with pytest.raises(CaseClosed):
                await cases.approve(
                    signature=signature, case_id=case.id, version=version, outcome=CaseOutcome.REVERSE, now=utc_now()
                )
        await approve(checker, case, CaseOutcome.REVERSE)

    async def test_a_code_signs_one_case(self, house: House) -> None:
        first, second = [await reverse(house, await arrived(house), await create_staff()) for _ in range(2)]
        signature = await sign(await create_staff())
        given: dict[str, Any] = {"signature": signature, "outcome": CaseOutcome.REVERSE, "now": utc_now()}
        await cases.approve(case_id=first.id, version=first.version, **given)
        with pytest.raises(SecondFactorRefused):
            await cases.approve(case_id=second.id, version=second.version, **given)
        assert (await ManualCase.get(id=second.id)).state is CaseState.PROPOSED

    async def test_only_what_has_succeeded_is_reversed_and_always_for_a_reason(self, house: House) -> None:
        staff = await create_staff()
        order = await house.order()
        with pytest.raises(OrderNotReversible):
            await reverse(house, order, staff)
        done = await arrived(house)
        with pytest.raises(ReasonMissing):
            await cases.open_reversal(staff=staff, order_id=done.id, reason="  ", now=utc_now())
        assert await ManualCase.all().count() == 0
        with pytest.raises(CaseNotFound):
            await approve(staff, ManualCase(id=new_id()), CaseOutcome.REVERSE)

    async def test_a_recharge_that_is_taken_back_before_we_heard_of_it_is_refused(self, house: House) -> None:
        house.sandbox.faults(issuer="stuck")
        order = await house.paid_order()
        await house.work_until(order.id, lambda waiting: waiting.version >= 4)
        await tell(await facts_of(house, order, IssuerOrderState.REVERSED))
        house.sandbox.clear_faults()
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.state, done.failure_kind) == (OrderState.FAILED, FailureKind.ISSUER_REFUSED)

    @pytest.mark.parametrize("first", [IssuerOrderState.REVERSED, IssuerOrderState.REFUSED])
    async def test_a_success_that_is_told_after_its_reversal_claws_nothing_back(
        self, house: House, first: IssuerOrderState
    ) -> None:
        house.sandbox.faults(issuer="stuck")
        order = await house.paid_order()
        await house.work_until(order.id, lambda waiting: waiting.version >= 4)
        for state in (first, IssuerOrderState.REVERSED, IssuerOrderState.SUCCEEDED, IssuerOrderState.REFUSED):
            await tell(await facts_of(house, order, state))
        await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert await steps(order.id) == [1, 2, 4, 10, 12, 16, 16]
        assert await ManualCase.all().count() == 0
        assert await balance(postings.issuer_prepaid(ISSUER)) == Money(0)
        assert await balance(postings.suspense(ISSUER)) == Money(0)


class TestClawBack:
    async def test_a_success_after_the_refund_reopens_nothing_and_opens_a_case(self, house: House) -> None:
        order, case = await recharged_after_refund(house)
        await tell(await facts_of(house, order, IssuerOrderState.SUCCEEDED))
        done = await RechargeOrder.get(id=order.id)
        assert (done.state, done.refund_state) == (OrderState.FAILED, RefundState.SUCCESS)
        assert await steps(order.id) == [1, 2, 4, 10, 12, 16, 16, 14]
        assert (case.kind, case.amount_fen) == (CaseKind.CLAW_BACK, 49_750)
        assert await balance(postings.suspense(ISSUER)) == Money(49_750)
        kinds = {entry.kind for entry in await ErrorEntry.filter(order_id=order.id)}
        assert kinds == {ErrorKind.RECHARGE_REFUSED, ErrorKind.RECHARGED_AFTER_FAILURE}
        assert await audit.findings() == []

    @pytest.mark.parametrize("first", [IssuerOrderState.SUCCEEDED, IssuerOrderState.REFUSED])
    async def test_callbacks_that_cross_end_right_in_either_order(self, house: House, first: IssuerOrderState) -> None:
        house.sandbox.faults(issuer="stuck")
        order = await house.paid_order()
        await house.work_until(order.id, lambda waiting: waiting.version >= 4)
        success = await facts_of(house, order, IssuerOrderState.SUCCEEDED)
        refusal = await facts_of(house, order, IssuerOrderState.REFUSED)
        words = [success, refusal] if first is IssuerOrderState.SUCCEEDED else [refusal, success]
        await asyncio.gather(*(tell(word) for word in words * 3))
        case = await ManualCase.get()
        done = await RechargeOrder.get(id=order.id)
        ends = {CaseKind.REVERSAL: OrderState.SUCCEEDED, CaseKind.CLAW_BACK: OrderState.FAILED}
        assert ends[case.kind] is done.state
        assert await audit.findings() == []

    async def test_the_cost_is_written_off_by_two(self, house: House) -> None:
        _, case = await recharged_after_refund(house)
        await propose(await create_staff(), case, CaseOutcome.WRITE_OFF)
        await approve(await create_staff(), case, CaseOutcome.WRITE_OFF)
        assert await balance(postings.suspense(ISSUER)) == Money(0)
        assert await balance(postings.LOSS) == Money(49_750)

    async def test_the_cost_is_taken_from_the_wallet_only_where_it_is_there(self, house: House) -> None:
        _, case = await recharged_after_refund(house)
        await propose(await create_staff(), case, CaseOutcome.FROM_WALLET)
        checker = await create_staff()
        with pytest.raises(WalletInsufficient):
            await approve(checker, case, CaseOutcome.FROM_WALLET)
        assert (await ManualCase.get()).state is CaseState.PROPOSED
        await top_up(house)
        await approve(checker, case, CaseOutcome.FROM_WALLET)
        assert await wallet(house) == (50_250, 0)
        assert await balance(postings.suspense(ISSUER)) == Money(0)

    @pytest.mark.parametrize("ended", [None, CaseOutcome.WRITE_OFF, CaseOutcome.FROM_WALLET])
    async def test_it_is_undone_where_the_issuer_takes_it_back(self, house: House, ended: CaseOutcome | None) -> None:
        await top_up(house)
        order, claw_back = await recharged_after_refund(house)
        if ended:
            await propose(await create_staff(), claw_back, ended)
            await approve(await create_staff(), claw_back, ended)
        for _ in range(2):
            await tell(await facts_of(house, order, IssuerOrderState.REVERSED))
        reversal = await ManualCase.get(kind=CaseKind.REVERSAL)
        assert reversal.amount_fen == 49_750
        await propose(await create_staff(), reversal, CaseOutcome.REVERSE)
        checker = await create_staff()
        for _ in range(2):
            await approve(checker, reversal, CaseOutcome.REVERSE)
        for account in (postings.issuer_prepaid(ISSUER), postings.suspense(ISSUER), postings.LOSS):
            assert await balance(account) == Money(0), account
        assert await wallet(house) == (100_000, 0)
        assert await ManualCase.filter(state__not=CaseState.RESOLVED).count() == 0
        assert (await RechargeAttempt.get(order_id=order.id)).state is RechargeState.REVERSED
        assert await steps(order.id) == [1, 2, 4, 10, 12, 16, 16, 14]
        assert await audit.findings() == []

    @pytest.mark.parametrize("outcome", [CaseOutcome.REVERSE, CaseOutcome.DISMISS])
    async def test_it_cannot_end_like_a_reversal(self, house: House, outcome: CaseOutcome) -> None:
        _, case = await recharged_after_refund(house)
        with pytest.raises(OutcomeNotPossible):
            await propose(await create_staff(), case, outcome)
        assert (await ManualCase.get()).state is CaseState.OPEN


async def test_a_proposal_needs_a_reason(house: House) -> None:
    _, case = await recharged_after_refund(house)
    staff = await create_staff()
    for reason in ("", " \n"):
        with pytest.raises(ReasonMissing):
            await propose(staff, case, CaseOutcome.WRITE_OFF, reason)
    assert (await ManualCase.get()).state is CaseState.OPEN
