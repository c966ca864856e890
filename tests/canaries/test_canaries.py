"""Faults that are planted in the product, and who catches each of them.

CANARIES is the table: what is wrong, what happens meanwhile, and everybody who notices, with the name of the offence
in their words. Nobody else notices anything, and where the fault is not planted nobody notices at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from kernel.states import OrderState
from models.ledger import LedgerTransaction
from models.orders import RechargeOrder
from tests.canaries import faults, scenarios
from tests.canaries.faults import Plant
from tests.canaries.rules import (
    ARRIVALS,
    CHANNEL,
    DEFINITE,
    DEPOSIT,
    NUMBER,
    OWED,
    PAID_WORK,
    REFUND_WORK,
    STEPS,
    TOLD,
    TRANSIT,
    UNDER_WAY,
    WALLET,
)
from tests.canaries.scenarios import Scenario
from tests.canaries.stage import ERROR, QUEUE, RECKONING, staged
from tests.simulation.channels import NAME


@dataclass(frozen=True)
class Canary:
    """Faults that stand together, and what each who notices says; `{order}` and the like are the scenario's names."""

    plants: tuple[Plant, ...]
    scenario: Scenario
    caught_by: Mapping[str, str]


A_COPY = (faults.a_copy_is_a_new_payment,)
A_COPY_MARKED = (*A_COPY, faults.paid_is_set_without_comparing)
A_TOP_UP = (faults.each_callback_fills_the_wallet,)
A_NEW_NUMBER = (faults.a_refund_gets_a_new_number_for_each_try,)
A_NEW_ID = (faults.an_unanswered_submission_gets_a_new_id,)
LATE = (faults.a_late_payment_is_taken_as_any_other,)

CANARIES = {
    # A double credit.
    "a copy of a payment is taken for another payment": Canary(
        A_COPY, scenarios.told_twice, {ERROR: "is paid already"}
    ),
    "and nobody compares before it is marked as paid": Canary(
        A_COPY_MARKED, scenarios.told_twice, {QUEUE: "PostedAlready('{order}:paid:1')"}
    ),
    "and the posting has a key of its own": Canary(
        (*A_COPY_MARKED, faults.each_posting_has_a_key_of_its_own),
        scenarios.told_twice,
        {OWED: "{order}", CHANNEL: "{channel}", RECKONING: "{channel} holds 0, we book 50000"},
    ),
    "a payment into the wallet is credited whenever it is told": Canary(
        A_TOP_UP, scenarios.topped_up, {QUEUE: "PostedAlready('{top_up}:topped_up')"}
    ),
    "and that posting has a key of its own": Canary(
        (*A_TOP_UP, faults.each_posting_has_a_key_of_its_own),
        scenarios.topped_up,
        {WALLET: "{user}", CHANNEL: "{channel}", RECKONING: "{channel} holds 10000, we book 20000"},
    ),
    "an unanswered recharge is submitted again under a new id": Canary(
        A_NEW_ID, scenarios.submission_unanswered, {ERROR: "IntegrityError"}
    ),
    "and the database lets an order have two under way": Canary(
        (*A_NEW_ID, faults.an_order_may_have_two_recharges_under_way),
        scenarios.submission_unanswered,
        {
            UNDER_WAY: "{order}",
            DEFINITE: "{order}",
            QUEUE: "query_recharge {first_recharge}: TransitionRefused",
            RECKONING: "recharge {first_recharge} of {order} is SUBMITTED, there SUCCEEDED",
        },
    ),
    # An acknowledgement before the commit.
    "a callback is acknowledged before it is stored": Canary(
        (faults.callbacks_are_acknowledged_first,),
        scenarios.paid_too_late_and_the_server_dies,
        {RECKONING: "payment {payment} is CLOSED"},
    ),
    "work is ticked off before it is done": Canary(
        (faults.work_is_ticked_off_first,), scenarios.recharged, {PAID_WORK: "{order}", RECKONING: "RechargeAttempt"}
    ),
    # A refund that is retried under a new number.
    "a refund gets a new number for each try": Canary(
        A_NEW_NUMBER,
        scenarios.refund_unanswered,
        {NUMBER: "{refund}", RECKONING: "which is no refund of ours"},
    ),
    "and the channel pays back no more than it received": Canary(
        (*A_NEW_NUMBER, faults.the_channel_counts_what_it_pays_back),
        scenarios.refund_unanswered,
        {
            NUMBER: "{refund}",
            REFUND_WORK: "{refund}",
            QUEUE: "NOT_ENOUGH",
            RECKONING: "refund {refund} of {order} has an end",
        },
    ),
    # An event that is not committed with its change; test_events.py has the one that is published too early.
    "an event is committed before its change": Canary(
        (faults.events_are_committed_before_their_change,), scenarios.cancelled_while_dying, {TOLD: "{order}"}
    ),
    "an event is written after the commit of its change": Canary(
        (faults.events_follow_their_commit,), scenarios.cancelled_and_dead, {TOLD: "{order}"}
    ),
    "an arrival is not told": Canary((faults.arrivals_are_not_told,), scenarios.recharged, {ARRIVALS: "{user}"}),
    # A posting that is lost, or made elsewhere.
    "a success is not booked": Canary(
        (faults.a_success_is_not_booked,),
        scenarios.recharged,
        {TRANSIT: "{order}", DEPOSIT: "issuer_prepaid:card_issuer", RECKONING: "card_issuer took 49750, we book 0"},
    ),
    "a refund is not booked": Canary(
        (faults.a_refund_is_not_booked,),
        scenarios.refund_unanswered,
        {OWED: "{order}", CHANNEL: "{channel}", RECKONING: "{channel} holds 0, we book 50000"},
    ),
    "a refund is booked at another channel than it went by": Canary(
        (faults.refunds_are_booked_at_the_main_channel,),
        scenarios.refunded_by_the_second_route,
        {CHANNEL: "{channel}", RECKONING: "holds 0, we book -50000"},
    ),
    # A late success that reopens an order.
    "a late payment is taken as any other": Canary(
        LATE,
        scenarios.paid_too_late,
        {QUEUE: "TransitionRefused('CONFIRM_PAYMENT is refused in FAILED')", RECKONING: "payment {payment} is CLOSED"},
    ),
    "and the table of states allows it": Canary(
        (*LATE, faults.the_table_lets_a_failed_order_be_paid),
        scenarios.paid_too_late,
        {ERROR: "order_failure_explained", RECKONING: "payment {payment} is CLOSED"},
    ),
    "and the failure is forgotten": Canary(
        (*LATE, faults.the_failure_is_forgotten), scenarios.paid_too_late, {STEPS: "{order}"}
    ),
}


@pytest.mark.parametrize(
    "scenario", {canary.scenario: None for canary in CANARIES.values()}, ids=lambda each: each.__name__
)
async def test_without_a_fault_nobody_finds_anything(database_url: str, scenario: Scenario) -> None:
    async with staged(database_url) as stage:
        await scenario(stage)
        assert await stage.findings() == {}


@pytest.mark.parametrize("fault", CANARIES)
async def test_a_fault_is_caught(database_url: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = CANARIES[fault]
    async with staged(database_url) as stage:
        for plant in canary.plants:
            await plant(stage, monkeypatch)
        names = await canary.scenario(stage)
        found = await stage.findings()
    assert found.keys() == canary.caught_by.keys()
    for who, words in canary.caught_by.items():
        assert words.format(**names) in "\n".join(found[who])


@pytest.mark.parametrize("planted", [False, True])
async def test_a_payment_of_another_amount(database_url: str, monkeypatch: pytest.MonkeyPatch, planted: bool) -> None:
    """The channel takes one fen for 500 yuan. A person is asked about it; with the fault the card is recharged."""
    async with staged(database_url) as stage:
        if planted:
            await faults.any_amount_will_do(stage, monkeypatch)
        order = await stage.order()
        prepay_id = await stage.start(order)
        stage.world.channels[0].by_prepay_id[prepay_id].amount_fen = 1
        stage.tell(NAME, stage.pay(prepay_id))
        found = await stage.findings()
        state = (await RechargeOrder.get(id=order.id)).state
        booked = await LedgerTransaction.all().count()
    if planted:
        assert (state, booked) == (OrderState.SUCCEEDED, 2)
        assert found.keys() == {RECKONING}
        assert "holds 1, we book 50000" in found[RECKONING][0]
    else:
        assert (state, booked) == (OrderState.PAYING, 0)
        assert found.keys() == {QUEUE, RECKONING}
        assert "PaymentMismatch" in found[QUEUE][0]
        assert str(order.id) in found[QUEUE][-1]
