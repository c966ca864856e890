"""What somebody does to the database by hand: it refuses, and where its guards are taken away the audit tells.

EDITS is the table: what is done, which table's guards keep it from happening, if any, and which rules find it. What is
done to the rows of the ledger is in tests/ledger/test_audit.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import pytest
from tortoise.exceptions import IntegrityError
from tortoise.expressions import F

from kernel.ids import new_id
from kernel.states import OrderState, RechargeState
from models.database import transactional
from models.events import Event
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from models.orders import OrderTransition, RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund
from tests.canaries import scenarios
from tests.canaries.rules import (
    BESIDE,
    CHAIN,
    CHANNEL,
    DEFINITE,
    DEPOSIT,
    ENTERED,
    NUMBER,
    ONCE,
    OWED,
    PAID_FOR,
    STANDS,
    STEPS,
    STORY,
    TOLD,
    TRANSIT,
)
from tests.canaries.scenarios import Scenario
from tests.canaries.stage import staged
from tests.ledger.booking import lift_guards


@transactional
async def enter_a_payment_again() -> None:
    """A payment is booked a second time, balanced and with all that makes it whole."""
    paid = await LedgerTransaction.get(key__endswith=":paid:1")
    entries = await LedgerEntry.filter(transaction_id=paid.id).order_by("line_number")
    paid = paid.clone(pk=new_id())
    paid.update_from_dict({"key": f"{paid.key}:again", "position": paid.position + 1_000})
    await paid.save(force_create=True)
    for entry in entries:
        moved = LedgerAccount.filter(id=entry.account_id)
        await moved.update(balance_fen=F("balance_fen") + entry.amount_fen, version=F("version") + 1)
        again = entry.clone(pk=new_id())
        version = (await moved.get()).version
        again.update_from_dict({"transaction_id": paid.id, "account_version": version})
        await again.save(force_create=True)


async def rewrite_a_step() -> None:
    await OrderTransition.filter(version=3).update(to_state=OrderState.FAILED)


async def remove_a_step() -> None:
    await OrderTransition.filter(version=3).delete()


async def remove_an_event() -> None:
    await Event.filter(stream__startswith="order:", position=3).delete()


async def let_an_order_fail() -> None:
    await RechargeOrder.all().update(state=OrderState.FAILED, failure_kind="REVERSED")


async def forget_a_payment() -> None:
    await PaymentAttempt.all().update(state="CLOSED", transaction_id=None)


async def forget_a_recharge() -> None:
    await RechargeAttempt.all().update(state=RechargeState.REFUSED)


async def change_what_a_recharge_cost() -> None:
    await RechargeAttempt.all().update(cost_fen=F("cost_fen") - 1)


async def recharge_beside_the_order() -> None:
    await RechargeAttempt.all().update(state=RechargeState.SURPLUS)


async def send_it_to_another_issuer() -> None:
    attempt = await RechargeAttempt.get()
    another = attempt.clone(pk=new_id())
    another.update_from_dict({"number": 2, "issuer": "other_issuer", "issuer_order_id": None})
    another.state = RechargeState.NOT_ACCEPTED
    await another.save(force_create=True)


async def renumber_a_refund() -> None:
    await Refund.all().update(out_refund_no="R1")


@dataclass(frozen=True)
class Edit:
    """`guard` is the table that refuses the edit; None is what the database cannot know to be wrong."""

    make: Callable[[], Awaitable[None]]
    scenario: Scenario
    guard: str | None
    found_by: Collection[str]


EDITS = {
    edit.make.__name__: edit
    for edit in (
        Edit(rewrite_a_step, scenarios.recharged, "order_transition", {CHAIN, STEPS}),
        Edit(remove_a_step, scenarios.recharged, "order_transition", {STORY, CHAIN, TOLD}),
        Edit(enter_a_payment_again, scenarios.recharged, None, {TRANSIT, CHANNEL, ENTERED}),
        Edit(remove_an_event, scenarios.recharged, None, {TOLD}),
        Edit(let_an_order_fail, scenarios.recharged, None, {STANDS, OWED, ONCE}),
        Edit(forget_a_payment, scenarios.recharged, None, {OWED, CHANNEL, PAID_FOR}),
        Edit(forget_a_recharge, scenarios.recharged, None, {ONCE, DEPOSIT}),
        Edit(recharge_beside_the_order, scenarios.recharged, None, {ONCE, BESIDE}),
        Edit(send_it_to_another_issuer, scenarios.recharged, None, {DEFINITE}),
        Edit(change_what_a_recharge_cost, scenarios.recharged, None, {DEPOSIT}),
        Edit(renumber_a_refund, scenarios.paid_too_late, None, {NUMBER}),
    )
}


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_by_hand(database_url: str, name: str) -> None:
    edit = EDITS[name]
    async with staged(database_url) as stage:
        await edit.scenario(stage)
        await stage.settle()
        assert await stage.world.findings() == []
        if edit.guard:
            with pytest.raises(IntegrityError, match="append-only"):
                await edit.make()
            assert await stage.world.findings() == []
            await lift_guards(edit.guard)
        await edit.make()
        assert {finding.rule for finding in await stage.world.findings()} == edit.found_by
