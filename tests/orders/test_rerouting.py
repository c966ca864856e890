"""Several issuers: who gets an order next, what is never sent twice, and words that come late."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.cards import standings
from domain.cards.ports import IssuerOrderState, RechargeFacts
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import audit, cases, recharging
from kernel.clock import utc_now
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
from models.events import Event
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import Refund
from models.reviews import ErrorEntry, ManualCase
from tests.factories import create_staff, sign
from tests.ledger.audit import assert_books_are_true
from tests.orders.conftest import House, open_house, steps
from tests.sandbox_fixtures import Sandbox
from tests.silence import PATIENCE_S

THREE = ("ofpay", "juhe", "fulu")
COSTS_FEN = {"ofpay": 49_800, "juhe": 49_850, "fulu": 49_900}
S = IssuerOrderState


@pytest.fixture
async def several(database: str, sandbox: Sandbox) -> AsyncIterator[House]:
    """A house with three aggregators; their prices rise in this order."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(open_house(sandbox, issuers=THREE))


async def attempts(order: RechargeOrder) -> list[RechargeAttempt]:
    return await RechargeAttempt.filter(order_id=order.id).order_by("number")


async def tell(attempt: RechargeAttempt, state: IssuerOrderState) -> None:
    """Apply a word of the attempt's issuer."""
    cost_fen = COSTS_FEN[attempt.issuer] if state in {S.SUCCEEDED, S.REVERSED} else None
    facts = RechargeFacts(attempt.id, state, f"X{attempt.number}", 50_000, cost_fen, "said")
    await recharging.settle_recharge(facts=facts, actor=attempt.issuer, now=utc_now())


async def arrivals() -> int:
    return await Event.filter(type="recharge.arrived").count()


async def assert_true() -> None:
    await assert_books_are_true()
    assert await audit.findings() == []


async def sent(house: House, order: RechargeOrder, *, count: int = 1) -> list[RechargeAttempt]:
    """Return the attempts once the order was sent to so many issuers."""
    give_up_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_s:
        await house.work_until(order.id, lambda _: True)
        found = await attempts(order)
        if len(found) >= count:
            return found
    raise AssertionError("it was not sent")


async def rerouted(house: House) -> tuple[RechargeOrder, RechargeAttempt, RechargeAttempt]:
    """Return an order that the first issuer did not accept and that the second one is stuck with."""
    house.sandbox.faults(ofpay="low_deposit", juhe="stuck")
    order = await house.paid_order()
    first, second = await sent(house, order, count=2)
    return await RechargeOrder.get(id=order.id), first, second


class TestSentOn:
    @pytest.mark.parametrize("fault", ["low_deposit", "maintenance"])
    async def test_a_definite_no_goes_to_the_next_issuer(self, several: House, fault: str) -> None:
        several.sandbox.faults(ofpay=fault)
        order = await several.paid_order()
        await several.work_until_state(order.id, OrderState.SUCCEEDED)
        first, second = await attempts(order)
        assert (first.issuer, first.state, first.cost_fen) == ("ofpay", RechargeState.NOT_ACCEPTED, None)
        assert (second.issuer, second.state, second.cost_fen) == ("juhe", RechargeState.SUCCEEDED, COSTS_FEN["juhe"])
        assert first.id != second.id
        assert await steps(order.id) == [1, 2, 4, 10, 18, 10, 11]
        assert await balance(postings.issuer_prepaid("ofpay")) == Money(0)
        assert await balance(postings.issuer_prepaid("juhe")) == Money(-COSTS_FEN["juhe"])
        assert await arrivals() == 1

    async def test_the_next_order_goes_by_the_issuer_that_failed(self, several: House) -> None:
        several.sandbox.faults(ofpay="maintenance", times=1)
        order = await several.paid_order()
        await several.work_until_state(order.id, OrderState.SUCCEEDED)
        again = await several.paid_order()
        await several.work_until_state(again.id, OrderState.SUCCEEDED)
        assert [attempt.issuer for attempt in await attempts(again)] == ["juhe"]

    async def test_where_nobody_accepts_the_money_goes_back(self, several: House) -> None:
        several.sandbox.faults(ofpay="low_deposit", juhe="maintenance", fulu="low_deposit")
        order = await several.paid_order()
        done = await several.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.state, done.failure_kind) == (OrderState.FAILED, FailureKind.ISSUER_REFUSED)
        assert [(each.issuer, each.state) for each in await attempts(order)] == [
            (name, RechargeState.NOT_ACCEPTED) for name in THREE
        ]
        assert await steps(order.id) == [1, 2, 4, 10, 18, 10, 18, 10, 18, 12, 16, 16]
        assert (await ErrorEntry.get(order_id=order.id)).kind is ErrorKind.RECHARGE_REFUSED
        assert await arrivals() == 0

    async def test_a_card_that_is_refused_is_refused_everywhere(self, several: House) -> None:
        several.sandbox.faults(ofpay="refuse_at_once")
        order = await several.paid_order()
        await several.work_until_refund(order.id, RefundState.SUCCESS)
        assert [attempt.issuer for attempt in await attempts(order)] == ["ofpay"]

    @pytest.mark.parametrize("fault", ["accept_then_timeout", "error_500_after", "unknown_code", "error_500"])
    async def test_what_is_unknown_at_one_issuer_is_never_sent_to_another(self, several: House, fault: str) -> None:
        several.sandbox.faults(ofpay=fault, times=1)
        order = await several.paid_order()
        await several.work_until_state(order.id, OrderState.SUCCEEDED)
        (attempt,) = await attempts(order)
        assert (attempt.issuer, attempt.cost_fen) == ("ofpay", COSTS_FEN["ofpay"])
        assert await balance(postings.issuer_prepaid("ofpay")) == Money(-COSTS_FEN["ofpay"])

    async def test_a_no_behind_an_answer_that_is_missing_does_not_count_at_once(self, several: House) -> None:
        """The first request may still be on its way; only when none can be, another issuer is looked for."""
        several.sandbox.faults(ofpay="error_500", times=1)
        order = await several.paid_order()
        await sent(several, order)
        several.sandbox.faults(ofpay="low_deposit")
        for _ in range(3):
            await several.work_until_state(order.id, OrderState.RECHARGING)
        (attempt,) = await attempts(order)
        assert attempt.state is RechargeState.SUBMITTED
        assert attempt.sends > 1
        await RechargeAttempt.filter(id=attempt.id).update(submitted_at=utc_now() - recharging.DOUBT)
        await several.work_until_state(order.id, OrderState.SUCCEEDED)
        assert [each.issuer for each in await attempts(order)] == ["ofpay", "juhe"]

    @pytest.mark.parametrize("fault", ["silent", "ok"])
    async def test_a_callback_is_not_needed(self, several: House, fault: str) -> None:
        several.sandbox.faults(ofpay=fault)
        order = await several.paid_order()
        await several.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await arrivals() == 1

    async def test_an_issuer_that_went_away_leaves_its_attempts_to_a_person(self, several: House) -> None:
        several.sandbox.faults(ofpay="stuck")
        order = await several.paid_order()
        (attempt,) = await sent(several, order)
        await RechargeAttempt.filter(id=attempt.id).update(issuer="gone")
        await several.work_until(order.id, lambda _: True)
        job = await Job.get(kind="query_recharge", key=str(attempt.id))
        assert job.parked_at is not None
        assert "UnknownIssuer" in (job.last_error or "")
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.RECHARGING


class TestLateWords:
    async def test_a_success_while_another_issuer_has_it(self, several: House) -> None:
        order, first, second = await rerouted(several)
        for _ in range(3):
            await tell(first, S.SUCCEEDED)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.RECHARGING
        assert await balance(postings.suspense("ofpay")) == Money(COSTS_FEN["ofpay"])
        case = await ManualCase.get(order_id=order.id)
        assert (case.kind, case.attempt_id, case.amount_fen) == (CaseKind.CLAW_BACK, first.id, COSTS_FEN["ofpay"])
        assert (await ErrorEntry.get(order_id=order.id)).kind is ErrorKind.SURPLUS_RECHARGE
        await assert_true()
        await tell(second, S.SUCCEEDED)
        assert await steps(order.id) == [1, 2, 4, 10, 18, 10, 19, 11]
        assert await LedgerTransaction.filter(order_id=order.id, key__endswith=":succeeded").count() == 1
        assert await arrivals() == 1
        await assert_true()

    async def test_a_success_when_the_other_one_has_succeeded_is_a_double_recharge(self, several: House) -> None:
        order, first, second = await rerouted(several)
        await tell(second, S.SUCCEEDED)
        booked = await LedgerTransaction.filter(order_id=order.id).count()
        await tell(first, S.SUCCEEDED)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        assert await LedgerTransaction.filter(order_id=order.id).count() == booked + 1
        assert await balance(postings.suspense("ofpay")) == Money(COSTS_FEN["ofpay"])
        assert (await ManualCase.get(order_id=order.id)).kind is CaseKind.CLAW_BACK
        assert (await attempts(order))[0].state is RechargeState.SURPLUS
        assert await arrivals() == 1
        assert await Refund.all().count() == 0
        await assert_true()

    async def test_both_succeed_after_the_refund(self, several: House) -> None:
        order, first, second = await rerouted(several)
        await tell(second, S.REFUSED)
        await several.work_until_refund(order.id, RefundState.SUCCESS)
        await tell(first, S.SUCCEEDED)
        await tell(second, S.SUCCEEDED)
        assert await ManualCase.filter(order_id=order.id, kind=CaseKind.CLAW_BACK).count() == 2
        assert await steps(order.id) == [1, 2, 4, 10, 18, 10, 12, 16, 16, 19, 14]
        assert (await RechargeOrder.get(id=order.id)).failure_kind is FailureKind.ISSUER_REFUSED
        await assert_true()

    async def test_two_people_write_the_double_recharge_off(self, several: House) -> None:
        order, first, second = await rerouted(several)
        await tell(second, S.SUCCEEDED)
        await tell(first, S.SUCCEEDED)
        case = await ManualCase.get(order_id=order.id)
        await decide(case, CaseOutcome.WRITE_OFF)
        assert await balance(postings.suspense("ofpay")) == Money(0)
        assert await balance(postings.LOSS) == Money(COSTS_FEN["ofpay"])
        await assert_true()

    async def test_the_double_recharge_is_taken_back_and_the_order_stands(self, several: House) -> None:
        order, first, second = await rerouted(several)
        await tell(second, S.SUCCEEDED)
        await tell(first, S.SUCCEEDED)
        await tell(first, S.REVERSED)
        case = await ManualCase.get(order_id=order.id, kind=CaseKind.REVERSAL)
        assert (case.attempt_id, case.amount_fen) == (first.id, COSTS_FEN["ofpay"])
        await decide(case, CaseOutcome.REVERSE)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        assert await ManualCase.filter(state__not=CaseState.RESOLVED).count() == 0
        assert await balance(postings.suspense("ofpay")) == Money(0)
        assert await balance(postings.issuer_prepaid("ofpay")) == Money(0)
        assert await balance(postings.issuer_prepaid("juhe")) == Money(-COSTS_FEN["juhe"])
        assert [each.state for each in await attempts(order)] == [RechargeState.REVERSED, RechargeState.SUCCEEDED]
        await assert_true()

    async def test_reversals_of_both_are_two_cases(self, several: House) -> None:
        order, first, second = await rerouted(several)
        await tell(second, S.SUCCEEDED)
        await tell(first, S.SUCCEEDED)
        for attempt in (first, second):
            await tell(attempt, S.REVERSED)
        about = {case.attempt_id for case in await ManualCase.filter(kind=CaseKind.REVERSAL)}
        assert about == {first.id, second.id}
        mine = await cases.open_reversal(staff=await create_staff(), order_id=order.id, reason="letter", now=utc_now())
        assert mine.attempt_id == second.id
        await approve(mine, CaseOutcome.REVERSE)
        done = await several.work_until_refund(order.id, RefundState.SUCCESS)
        assert done.failure_kind is FailureKind.REVERSED
        await decide(await ManualCase.get(attempt_id=first.id, kind=CaseKind.REVERSAL), CaseOutcome.REVERSE)
        assert await balance(postings.suspense("ofpay")) == Money(0)
        await assert_true()

    @pytest.mark.parametrize("state", [S.REFUSED, S.NOT_ACCEPTED, S.PROCESSING, S.NOT_FOUND])
    async def test_other_words_about_what_was_not_accepted_change_nothing(
        self, several: House, state: IssuerOrderState
    ) -> None:
        order, first, second = await rerouted(several)
        await tell(second, S.SUCCEEDED)
        version = (await RechargeOrder.get(id=order.id)).version
        await tell(first, state)
        assert (await RechargeOrder.get(id=order.id)).version == version
        assert (await attempts(order))[0].state is RechargeState.NOT_ACCEPTED
        assert await ManualCase.all().count() == 0
        await assert_true()

    async def test_what_it_has_under_way_after_all_is_asked_after(self, several: House) -> None:
        """No callback may come, and nobody else asks about an attempt that was given up."""
        _, first, _ = await rerouted(several)
        await tell(first, S.PROCESSING)
        assert await Job.filter(kind="follow_recharge", key=f"{first.id}:under_way").count() == 1

    async def test_what_was_not_accepted_is_looked_at_once_more(self, several: House) -> None:
        several.sandbox.faults(ofpay="stuck")
        (attempt,) = await sent(several, await several.paid_order())
        await RechargeAttempt.filter(id=attempt.id).update(sends=1)
        await tell(attempt, S.NOT_ACCEPTED)
        job = await Job.get(kind="follow_recharge", key=f"{attempt.id}:not_accepted")
        assert job.due_at - job.created_at == recharging.DOUBT

    async def test_a_reversal_before_its_success_was_heard(self, several: House) -> None:
        order, first, _ = await rerouted(several)
        await tell(first, S.REVERSED)
        await tell(first, S.SUCCEEDED)
        assert (await attempts(order))[0].state is RechargeState.REVERSED
        assert await ManualCase.all().count() == 0
        await assert_true()


class TestClock:
    async def test_compensation_counts_from_the_first_submission(self, several: House) -> None:
        order, first, second = await rerouted(several)
        await RechargeAttempt.filter(id=first.id).update(submitted_at=utc_now() - timedelta(minutes=15))
        await recharging.query_recharge(
            attempt_id=second.id,
            issuers=several.third_parties.issuers,
            sealer=None,  # type: ignore[arg-type]  # nothing is sent
            actor="t",
            compensate_after=timedelta(minutes=15),
            now=utc_now(),
        )
        assert (await steps(order.id))[-1] == 13


class TestStandings:
    async def test_a_low_deposit_goes_behind(self, several: House) -> None:
        await standings.note_deposit(name="ofpay", deposit_fen=100, now=utc_now())
        order = await several.paid_order()
        await several.work_until_state(order.id, OrderState.SUCCEEDED)
        assert [attempt.issuer for attempt in await attempts(order)] == ["juhe"]

    async def test_a_deposit_is_looked_at(self, several: House) -> None:
        issuer = several.third_parties.issuers.of("fulu")
        seen = await standings.look(issuer=issuer, now=utc_now())
        assert (await standings.standings())["fulu"].deposit_fen == seen
        several.sandbox.faults(fulu="down")
        assert await standings.look(issuer=issuer, now=utc_now()) is None
        after = (await standings.standings())["fulu"]
        assert after.deposit_fen == seen
        assert after.unavailable_at is not None


async def decide(case: ManualCase, outcome: CaseOutcome) -> None:
    """Have two people decide."""
    await cases.propose(staff=await create_staff(), case_id=case.id, outcome=outcome, reason="looked at", now=utc_now())
    await approve(case, outcome)


async def approve(case: ManualCase, outcome: CaseOutcome) -> None:
    signature, known = await sign(await create_staff()), await ManualCase.get(id=case.id)
    await cases.approve(signature=signature, case_id=case.id, version=known.version, outcome=outcome, now=utc_now())


async def test_another_amount_is_a_contradiction_of_any_issuer(several: House) -> None:
    _, first, _ = await rerouted(several)
    facts = RechargeFacts(first.id, S.SUCCEEDED, "X", 50_000, COSTS_FEN["ofpay"], "")
    with pytest.raises(recharging.RechargeContradiction):
        await recharging.settle_recharge(facts=replace(facts, amount_fen=1), actor="ofpay", now=utc_now())
    assert await ManualCase.all().count() == 0
