"""Recharges by members: within their limits whatever comes at once, seen by who may, and lost with the membership."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.cards.queries import CardNotFound
from domain.identity.viewer import Viewer
from domain.orders import arrivals, drafts, for_organisations, queries
from domain.orders.queries import OrderNotFound
from domain.organisations import queries as organisations
from domain.organisations.rules import MemberLimitExceeded, MemberLimits
from kernel.clock import SHANGHAI, utc_now
from kernel.money import Money
from kernel.organisation_states import LimitPeriod
from kernel.states import MandateState, OrderState
from models.cards import FuelCard
from models.events import Event
from models.mandates import Mandate
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from tests.factories import LIMITS, PETROCHINA_NUMBER, POLICY, create_card, create_order, create_viewer
from tests.mandates.support import create_signed
from tests.mandates.support import pay as pay_by_mandate
from tests.mandates.support import work as do_work
from tests.orders.conftest import House, house
from tests.organisations.support import ACCOUNTANT, ADMIN, DRIVER, Firm, Person, create_firm

__all__ = ["house"]

MANY = replace(LIMITS, unpaid_orders_max=50, daily_max_fen=100_000_000)
EVENING = datetime(2026, 11, 30, 15, 59, tzinfo=UTC)  # 23:59 on the 30th in China
MORNING = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)  # 00:00 on the 1st of December


async def order(viewer: Viewer, firm: Firm, yuan: str = "100.00", **options: Any) -> RechargeOrder:
    return await create_order(viewer, firm.card, yuan=yuan, limits=MANY, **options)


async def refused(viewer: Viewer, firm: Firm, yuan: str, **options: Any) -> dict[str, Any]:
    """Return what a refusal says; nothing has come of it."""
    before = [await RechargeOrder.all().count(), await Event.all().count()]
    with pytest.raises(MemberLimitExceeded) as error:
        await order(viewer, firm, yuan, **options)
    assert [await RechargeOrder.all().count(), await Event.all().count()] == before
    return error.value.values


async def ids(viewer: Viewer) -> set[UUID]:
    return {row.id for row in await queries.of_viewer(viewer=viewer, state=None, first=50, after=None)}


async def of_firm(viewer: Viewer, firm: Firm) -> set[UUID] | None:
    rows = await queries.of_organisation(
        viewer=viewer, organisation_id=firm.organisation.id, state=None, first=50, after=None
    )
    return {row.id for row in rows} if rows is not None else None


class TestLimits:
    async def test_an_order_remembers_as_whom(self, firm: Firm) -> None:
        viewer, member = await firm.join()
        made = await order(viewer, firm)
        assert (made.user_id, made.organisation_id, made.member_id) == (viewer.user_id, firm.organisation.id, member.id)

    @pytest.mark.parametrize(
        ("limits", "period"),
        [
            (MemberLimits(daily_fen=50_000), LimitPeriod.DAY),
            (MemberLimits(monthly_fen=50_000), LimitPeriod.MONTH),
            (MemberLimits(daily_fen=50_000, monthly_fen=99_999), LimitPeriod.DAY),
        ],
    )
    async def test_what_comes_at_once_keeps_to_them(
        self, firm: Firm, limits: MemberLimits, period: LimitPeriod
    ) -> None:
        viewer, member = await firm.join(limits=limits)
        outcomes = await asyncio.gather(*(order(viewer, firm) for _ in range(12)), return_exceptions=True)
        refusals = [each for each in outcomes if isinstance(each, MemberLimitExceeded)]
        assert len(refusals) == 7, outcomes
        assert {(each.values["period"], each.values["left"].fen) for each in refusals} == {(period, 0)}
        assert await RechargeOrder.filter(member_id=member.id).count() == 5

    async def test_each_recharge_has_one(self, firm: Firm) -> None:
        viewer, _ = await firm.join(limits=MemberLimits(recharge_fen=20_000))
        told = await refused(viewer, firm, "200.01")
        assert (told["period"], told["limit"].fen, told["renews_at"]) == (LimitPeriod.RECHARGE, 20_000, None)
        await order(viewer, firm, "200.00")
        await order(viewer, firm, "200.00")

    async def test_a_day_and_a_month_end_at_midnight_in_china(self, firm: Firm) -> None:
        viewer, member = await firm.join(limits=MemberLimits(daily_fen=10_000))
        await order(viewer, firm, now=EVENING)
        assert (await refused(viewer, firm, "10.00", now=EVENING))["renews_at"] == MORNING
        await order(viewer, firm, now=MORNING)
        await firm.set_limits(member, MemberLimits(monthly_fen=15_000))
        told = await refused(viewer, firm, "50.01", now=MORNING)
        assert (told["left"].fen, told["renews_at"]) == (5_000, datetime(2026, 12, 31, 16, tzinfo=UTC))
        await order(viewer, firm, "50.00", now=MORNING)

    async def test_a_failure_gives_its_room_back(self, firm: Firm) -> None:
        viewer, _ = await firm.join(limits=MemberLimits(daily_fen=10_000, monthly_fen=10_000))
        made = await order(viewer, firm)
        await refused(viewer, firm, "10.00")
        await RechargeOrder.filter(id=made.id).update(state=OrderState.FAILED, failure_kind="UNPAID")
        await order(viewer, firm)

    async def test_coming_back_does_not_begin_anew(self, firm: Firm) -> None:
        viewer, member = await firm.join(limits=MemberLimits(daily_fen=10_000))
        await order(viewer, firm)
        await firm.remove(member)
        await firm.join(viewer=viewer, limits=MemberLimits(daily_fen=10_000))
        assert (await refused(viewer, firm, "10.00"))["left"].fen == 0

    async def test_they_are_each_members_own(self, firm: Firm) -> None:
        limits = MemberLimits(daily_fen=10_000)
        (one, _), (other, _) = await firm.join(limits=limits), await firm.join(limits=limits)
        await order(one, firm)
        await order(other, firm)
        own = await create_order(one, await _own_card(one), yuan="500.00", limits=MANY)
        assert (own.organisation_id, own.member_id) == (None, None)

    async def test_lower_ones_hold_from_the_next_order_on(self, firm: Firm) -> None:
        viewer, member = await firm.join()
        await order(viewer, firm, "500.00")
        await firm.set_limits(member, MemberLimits(daily_fen=10_000))
        assert (await refused(viewer, firm, "10.00"))["left"].fen == 0
        rooms = await organisations.room(viewer=viewer, member_id=member.id, now=utc_now())
        assert [(room.limit.fen, room.left.fen) for room in rooms or []] == [(10_000, 0)]

    async def test_the_same_key_gives_the_same_order_behind_the_limit(self, firm: Firm) -> None:
        viewer, _ = await firm.join(limits=MemberLimits(daily_fen=10_000))
        made = await order(viewer, firm, key="one-and-the-same")
        assert (await order(viewer, firm, key="one-and-the-same")).id == made.id

    async def test_drafts_keep_to_them(self, firm: Firm) -> None:
        viewer, _ = await firm.join(limits=MemberLimits(daily_fen=10_000))
        yuan = Decimal("60.00")
        wanted = [
            drafts.Draft(f"draft-key-{number}", firm.card.id, yuan, names_offer=False, offer_id=None, quoted=yuan)
            for number in range(2)
        ]
        one, other = await drafts.sync(viewer=viewer, drafts=wanted, policy=POLICY, now=utc_now())
        assert one.order is not None
        assert isinstance(other.error, MemberLimitExceeded)

    async def test_a_look_says_the_same_and_changes_nothing(self, firm: Firm) -> None:
        viewer, _ = await firm.join(limits=MemberLimits(daily_fen=10_000))
        common: dict[str, Any] = {"viewer": viewer, "card_id": firm.card.id, "now": utc_now()}
        await for_organisations.look(amount=Money(10_000), **common)
        with pytest.raises(MemberLimitExceeded):
            await for_organisations.look(amount=Money(10_001), **common)
        with pytest.raises(CardNotFound):
            await for_organisations.look(amount=Money(1), **{**common, "viewer": await create_viewer()})


class TestWhoSeesOrders:
    async def test_by_role(self, firm: Firm) -> None:
        (driver, _), (other, _) = await firm.join(DRIVER), await firm.join(DRIVER)
        accountant, _ = await firm.join(ACCOUNTANT)
        admin, _ = await firm.join(ADMIN)
        stranger = await create_viewer()
        made, theirs = await order(driver, firm), await order(other, firm)
        assert await of_firm(driver, firm) == {made.id}
        for viewer in (accountant, admin, firm.owner):
            assert await of_firm(viewer, firm) == {made.id, theirs.id}
            assert await queries.visible(viewer=viewer, order_id=made.id) is not None
            # Seeing is not having: only who has made it pays or cancels it.
            with pytest.raises(OrderNotFound):
                await queries.require_owned(viewer=viewer, order_id=made.id)
            assert made.id not in await ids(viewer)
        assert await queries.visible(viewer=driver, order_id=theirs.id) is None
        assert await of_firm(stranger, firm) is None
        assert await queries.visible(viewer=stranger, order_id=made.id) is None

    async def test_who_has_gone_sees_none_of_them(self, firm: Firm) -> None:
        viewer, member = await firm.join(ADMIN)
        own = await create_order(viewer, await _own_card(viewer), limits=MANY)
        made = await order(viewer, firm)
        assert await ids(viewer) == {own.id, made.id}
        await firm.remove(member)
        assert await ids(viewer) == {own.id}
        assert await of_firm(viewer, firm) is None
        for find in (queries.owned, queries.followed, queries.visible):
            assert await find(viewer=viewer, order_id=made.id) is None
            assert await find(viewer=viewer, order_id=own.id) is not None
        # The organisation keeps it.
        assert await of_firm(firm.owner, firm) == {made.id}

    async def test_the_statement_adds_up_what_has_arrived(self, firm: Firm) -> None:
        (driver, member), (gone, gone_member) = await firm.join(DRIVER), await firm.join(DRIVER)
        accountant, _ = await firm.join(ACCOUNTANT)
        for yuan in ("100.00", "200.00"):
            await order(driver, firm, yuan, now=EVENING)
        await order(gone, firm, "50.00", now=EVENING)
        await RechargeOrder.all().update(state=OrderState.SUCCEEDED)
        await order(driver, firm, "400.00", now=EVENING)
        await RechargeOrder.filter(amount_fen=20_000).update(price_fen=19_000)
        await order(driver, firm, "300.00", now=MORNING)
        await firm.remove(gone_member)
        common: dict[str, Any] = {"organisation_id": firm.organisation.id, "day": EVENING.astimezone(SHANGHAI).date()}
        found = await organisations.statement(viewer=accountant, **common)
        assert found is not None
        assert [(line.member_id, line.orders, line.amount_fen, line.price_fen) for line in found.lines] == [
            (member.id, 2, 30_000, 29_000),
            (gone_member.id, 1, 5_000, 5_000),
        ]
        for viewer in (driver, gone, await create_viewer()):
            assert await organisations.statement(viewer=viewer, **common) is None
        for year in (1, 9_999):
            impossible = {**common, "day": common["day"].replace(year=year)}
            assert await organisations.statement(viewer=accountant, **impossible) is None


async def _own_card(viewer: Viewer) -> FuelCard:
    return await create_card(viewer, PETROCHINA_NUMBER)


async def employ(house: House, firm: Firm, **options: Any) -> tuple[House, Person]:
    """Let the house's user be a driver of the organisation, whose card they recharge."""
    person = await firm.join(DRIVER, viewer=house.viewer, **options)
    return replace(house, card=firm.card), person


class TestPaying:
    async def test_a_member_pays_and_it_arrives(self, house: House) -> None:
        firm = await create_firm()
        at_work, (viewer, member) = await employ(house, firm)
        paid = await at_work.paid_order("300.00")
        done = await at_work.work_until_state(paid.id, OrderState.SUCCEEDED)
        assert done.member_id == member.id
        (arrival,) = await arrivals.recent(viewer=viewer, limit=10)
        assert arrival.order.id == paid.id
        page = await arrivals.page(viewer=viewer, after=None, limit=10)
        assert len(page.arrivals) == 1
        await firm.remove(member)
        assert await arrivals.recent(viewer=viewer, limit=10) == []
        assert (await arrivals.page(viewer=viewer, after=None, limit=10)).arrivals == []

    async def test_who_was_removed_cannot_pay_and_nothing_is_asked_for(self, house: House) -> None:
        firm = await create_firm()
        at_work, (_, member) = await employ(house, firm)
        made = await at_work.order("300.00")
        await firm.remove(member)
        with pytest.raises(OrderNotFound):
            await at_work.start_payment(made)
        with pytest.raises(OrderNotFound):
            await at_work.cancel(made)
        with pytest.raises(CardNotFound):
            await at_work.order("300.00")
        assert await PaymentAttempt.all().count() == 0
        assert (await RechargeOrder.get(id=made.id)).state is OrderState.PENDING_PAYMENT

    async def test_who_may_not_recharge_any_more_cannot_pay(self, house: House) -> None:
        firm = await create_firm()
        at_work, (_, member) = await employ(house, firm)
        made = await at_work.order("300.00")
        await firm.change_role(member, ACCOUNTANT)
        with pytest.raises(OrderNotFound):
            await at_work.start_payment(made)
        assert await PaymentAttempt.all().count() == 0
        # They see it still, and may give it up.
        assert (await at_work.cancel(made)).state is OrderState.FAILED

    async def test_a_removal_beside_an_order_comes_before_it_or_behind_it(self, house: House) -> None:
        firm = await create_firm()
        at_work, (viewer, member) = await employ(house, firm)
        made, _ = await asyncio.gather(order(viewer, firm), firm.remove(member), return_exceptions=True)
        assert isinstance(made, RechargeOrder | CardNotFound)
        assert await RechargeOrder.all().count() == isinstance(made, RechargeOrder)
        with pytest.raises(CardNotFound):
            await at_work.order()

    async def test_cancelling_gives_the_room_back(self, house: House) -> None:
        firm = await create_firm()
        at_work, _ = await employ(house, firm, limits=MemberLimits(daily_fen=30_000))
        made = await at_work.order("300.00")
        with pytest.raises(MemberLimitExceeded):
            await at_work.order("10.00")
        await at_work.cancel(made)
        await at_work.order("300.00")

    async def test_what_the_issuer_refuses_gives_the_room_back(self, house: House) -> None:
        firm = await create_firm()
        at_work, _ = await employ(house, firm, limits=MemberLimits(daily_fen=30_000))
        house.sandbox.faults(issuer="refuse")
        paid = await at_work.paid_order("300.00")
        await at_work.work_until_state(paid.id, OrderState.FAILED)
        await at_work.order("300.00")

    async def test_a_mandate_pays_within_the_limits(self, house: House) -> None:
        firm = await create_firm()
        at_work, (_, member) = await employ(house, firm, limits=MemberLimits(daily_fen=50_000))
        mandate = await create_signed(at_work, card_ids=[firm.card.id])
        made = await at_work.order("300.00")
        assert (await pay_by_mandate(at_work, made)).order.state is OrderState.PAYING
        await do_work(at_work, "settle_deduction")
        with pytest.raises(MemberLimitExceeded) as refusal:
            await at_work.order("200.01")
        assert refusal.value.values["left"].fen == 20_000
        second = await at_work.order("200.00")
        await firm.remove(member)
        with pytest.raises(OrderNotFound):
            await pay_by_mandate(at_work, second)
        assert await PaymentAttempt.filter(mandate_id=mandate.id).count() == 1
        assert (await Mandate.get(id=mandate.id)).state is MandateState.ACTIVE

    async def test_an_order_that_was_made_yesterday_counts_for_yesterday(self, house: House) -> None:
        firm = await create_firm()
        at_work, (viewer, _) = await employ(house, firm, limits=MemberLimits(daily_fen=10_000))
        await order(viewer, firm, now=utc_now() - timedelta(days=1))
        await at_work.order("100.00")
