"""An order's whole story: every table on one timeline, in order, with who did it and without secrets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from domain.identity.staff import Staff
from domain.operators import story as stories
from domain.operators.story import Entry, EntryKind, Story, tell
from domain.orders import cases, reviewing
from domain.orders.notices import to_row
from domain.orders.queries import OrderNotFound
from domain.payments.operations import record_notice
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import CaseOutcome, OrderState, RefundState, StaffRole
from models.ledger import LedgerEntry
from models.orders import RechargeOrder
from models.staff_actions import StaffAction
from tests.factories import SINOPEC_NUMBER, create_staff, sign
from tests.orders.conftest import House
from tests.subscriptions.happenings import await_review, open_case, recharge


async def told(order: RechargeOrder, *, staff: Staff | None = None) -> Story:
    return await tell(staff=staff or await create_staff(StaffRole.SUPPORT), order_id=order.id, now=utc_now())


def of_kind(story: Story, kind: EntryKind) -> list[Entry]:
    return [entry for entry in story.entries if entry.kind is kind]


async def test_a_recharge_is_told_from_the_order_to_the_books(house: House) -> None:
    order = await house.paid_order()
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    story = await told(order)
    assert story.complete
    assert [entry.at for entry in story.entries] == sorted(entry.at for entry in story.entries)
    steps = [entry.what for entry in of_kind(story, EntryKind.STEP)]
    assert (steps[0], steps[1], steps[-1]) == ("CREATE", "START_PAYMENT", "CONFIRM_RECHARGE")
    user = f"user:{order.user_id}"
    assert [(entry.what, entry.actor, entry.amount_fen) for entry in of_kind(story, EntryKind.PAYMENT)] == [
        ("OPEN", user, 50_000),
        ("PAID", "wechat_pay", 50_000),
    ]
    (submitted,), (answered,) = of_kind(story, EntryKind.RECHARGE), of_kind(story, EntryKind.ISSUER_ANSWER)
    assert (submitted.what, answered.what) == ("SUBMITTED", "SUCCEEDED")
    assert answered.facts["issuer_order_id"]
    lines = of_kind(story, EntryKind.LEDGER)
    assert sum(line.amount_fen or 0 for line in lines) == 0
    assert len(lines) == await LedgerEntry.all().count()
    assert {line.what for line in lines} == {"DEBIT", "CREDIT"}
    assert {"channel_clearing:wechat_pay:1900000209", "recharge_transit"} <= {str(line.account) for line in lines}
    events = [entry.what for entry in of_kind(story, EntryKind.EVENT)]
    assert events.count("order.changed") == len(steps)
    assert events.count("recharge.arrived") == 1
    whole = json.dumps([dict(entry.facts) for entry in story.entries], ensure_ascii=False)
    assert SINOPEC_NUMBER not in whole


async def test_callbacks_refunds_and_errors_are_told(house: House) -> None:
    house.sandbox.faults(issuer="refuse")
    order = await house.paid_order()
    await house.work_until_refund(order.id, RefundState.SUCCESS)
    attempt = await house.attempt(order)
    facts = await house.third_parties.channels.of(name="wechat_pay", sub_mchid=attempt.sub_mchid).query(
        attempt.out_trade_no
    )
    await record_notice(source="wechat_pay", notice_id="n-1", facts=to_row(facts), now=utc_now())
    story = await told(order)
    (callback,) = of_kind(story, EntryKind.CALLBACK)
    assert (callback.what, callback.actor, callback.amount_fen) == ("TradeFacts", "wechat_pay", 50_000)
    assert callback.facts["out_trade_no"] == attempt.out_trade_no
    assert [entry.what for entry in of_kind(story, EntryKind.REFUND)] == ["PROCESSING", "SUCCESS"]
    assert [entry.what for entry in of_kind(story, EntryKind.ERROR)] == ["RECHARGE_REFUSED"]


@pytest.mark.usefixtures("house")
class TestPeople:
    async def test_what_people_decide_is_told_with_their_names(self, house: House) -> None:
        first, second = await create_staff(), await create_staff()
        order = await house.order()
        await recharge(order)
        case = await open_case(first, order)
        story = await told(order)
        assert [(entry.what, entry.actor) for entry in of_kind(story, EntryKind.CASE)] == [
            ("OPEN", "system"),
            ("PROPOSED", first.actor),
        ]
        actions = [(entry.what, entry.actor) for entry in of_kind(story, EntryKind.STAFF_ACTION)]
        assert actions == [("proposeReversal", first.actor)]
        signature = await sign(first)
        with pytest.raises(cases.SecondPersonNeeded):
            await cases.approve(
                signature=signature, case_id=case.id, version=case.version, outcome=CaseOutcome.REVERSE, now=utc_now()
            )
        assert second.id != first.id

    async def test_a_review_is_told(self, house: House) -> None:
        risk, order = await create_staff(StaffRole.RISK), await house.order("2500.00")
        await await_review(order)
        with pytest.raises(reviewing.ReasonMissing):
            await reviewing.decide(staff=risk, order_id=order.id, approve=True, reason=" ", now=utc_now())
        (review,) = of_kind(await told(order), EntryKind.REVIEW)
        assert (review.what, review.actor, review.facts["reason"]) == ("PENDING", "system", "LARGE_AMOUNT")


async def test_each_look_is_written_down_and_told_the_next_time(house: House) -> None:
    order, staff = await house.order(), await create_staff(StaffRole.AUDITOR)
    first = await told(order, staff=staff)
    assert of_kind(first, EntryKind.STAFF_ACTION) == []
    (look,) = of_kind(await told(order), EntryKind.STAFF_ACTION)
    assert (look.what, look.actor, look.facts["roles"]) == ("orderStory", staff.actor, "AUDITOR")
    row = await StaffAction.all().order_by("position").first()
    assert row is not None
    assert row.after == {"entries": len(first.entries)}


async def test_a_long_story_is_cut_off_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    order = await house.order()
    monkeypatch.setattr(stories, "STORY_ENTRIES_MAX", 1)
    story = await told(order)
    assert (len(story.entries), story.complete, story.entries[0].what) == (1, False, "CREATE")


@pytest.mark.usefixtures("database")
async def test_an_order_that_is_not_there_has_no_story_and_nobody_looked() -> None:
    staff = await create_staff()
    for key in (None, new_id()):
        with pytest.raises(OrderNotFound):
            await tell(staff=staff, order_id=key, now=utc_now())
    assert not await StaffAction.exists()


async def test_nothing_is_shown_that_could_not_be_written_down(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    order = await house.order()

    async def refuse(**_given: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(stories, "looked", refuse)
    with pytest.raises(OSError, match="full"):
        await told(order)
    assert order.created_at < utc_now() + timedelta(seconds=1)
