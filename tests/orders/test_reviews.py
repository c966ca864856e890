"""Large orders: a face before they are paid, somebody else's look before they are recharged (rows 2, 4, 8, 9)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from domain.identity.staff import Staff
from domain.orders import audit, face_checks, reviewing
from domain.orders.face_checks import (
    FaceCheckFailed,
    FaceCheckNotNeeded,
    FaceNotFinished,
    FaceTokenInvalid,
    FaceTokenMissing,
)
from domain.orders.queries import OrderNotFound
from domain.orders.reviewing import ReasonMissing, ReviewNotPending, ReviewOwnOrder
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import (
    FaceCheckState,
    FailureKind,
    OrderState,
    RefundState,
    ReviewReason,
    ReviewState,
)
from models.jobs import Job
from models.orders import OrderTransition, RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt
from models.reviews import FaceCheck, Review
from tests.factories import LIMITS, create_card, create_order, create_staff, create_viewer
from tests.orders.conftest import House, steps

LIFETIME = timedelta(minutes=10)


async def begin(house: House, order: RechargeOrder) -> str:
    started = await face_checks.begin(
        viewer=house.viewer, order_id=order.id, face=house.third_parties.face, lifetime=LIFETIME, now=utc_now()
    )
    return started.token


async def passed(house: House, order: RechargeOrder) -> str:
    token = await begin(house, order)
    house.sandbox.verify_face(token)
    return token


async def paid_large_order(house: House, yuan: str = "2000.01") -> RechargeOrder:
    """Return an order that is paid and waits for its review."""
    order = await house.order(yuan)
    house.pay(await house.start_payment(order, face_token=await passed(house, order)))
    return await house.work_until_state(order.id, OrderState.RECHARGING)


async def decide(staff: Staff, order: RechargeOrder, *, approve: bool, reason: str = "看过") -> RechargeOrder:
    return await reviewing.decide(staff=staff, order_id=order.id, approve=approve, reason=reason, now=utc_now())


class TestWhatIsReviewed:
    async def test_the_limit_itself_needs_nobody(self, house: House) -> None:
        order = await house.order("2000.00")
        assert order.review_state is ReviewState.NONE
        assert order.review_reason is None

    async def test_over_the_limit_it_takes_a_review(self, house: House) -> None:
        order = await house.order("2000.01")
        assert order.review_state is ReviewState.REQUIRED
        assert order.review_reason is ReviewReason.LARGE_AMOUNT

    async def test_an_amount_in_pieces_is_found_out(self, house: House) -> None:
        first = await house.order("1500.00")
        second = await house.order("600.00")
        assert (first.review_state, second.review_reason) == (ReviewState.NONE, ReviewReason.SPLIT_ORDERS)
        # What takes a review itself is not counted again.
        assert (await house.order("500.00")).review_state is ReviewState.NONE

    async def test_what_failed_or_is_long_ago_does_not_count(self, house: House) -> None:
        await house.cancel(await house.order("1500.00"))
        later = utc_now() + LIMITS.split_window + timedelta(seconds=1)
        await house.order("1500.00")
        assert (await house.order("1500.00", now=later)).review_state is ReviewState.NONE

    async def test_two_accounts_cannot_fill_one_card_in_pieces(self, house: House) -> None:
        await house.order("1500.00")
        accomplice = await create_viewer()
        theirs = await create_card(accomplice)
        order = await create_order(accomplice, theirs, yuan="600.00")
        assert order.review_reason is ReviewReason.SPLIT_ORDERS
        other = await create_card(accomplice, "1000111100000000777")
        assert (await create_order(accomplice, other, yuan="600.00")).review_state is ReviewState.NONE


class TestFace:
    async def test_without_a_passed_check_nothing_is_paid(self, house: House) -> None:
        order = await house.order("2000.01")
        with pytest.raises(FaceTokenMissing):
            await house.start_payment(order)
        token = await begin(house, order)
        with pytest.raises(FaceNotFinished):
            await house.start_payment(order, face_token=token)
        house.sandbox.verify_face(token, "failed")
        for _ in range(2):
            with pytest.raises(FaceCheckFailed):
                await house.start_payment(order, face_token=token)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PENDING_PAYMENT
        assert await PaymentAttempt.all().count() == 0

    async def test_a_token_works_once(self, house: House) -> None:
        order = await house.order("2000.01")
        token = await passed(house, order)
        await house.start_payment(order, "pay-key-1", face_token=token)
        assert (await FaceCheck.get()).state is FaceCheckState.USED
        # The payment goes on under its key; another one would take another face.
        await house.start_payment(order, "pay-key-1", face_token=token)
        await house.start_payment(order, "pay-key-1")
        attempt = await house.attempt(order)
        await house.close(attempt)
        with pytest.raises(FaceTokenInvalid):
            await house.start_payment(order, face_token=token)
        assert await steps(order.id) == [1, 2, 5]
        await house.start_payment(order, face_token=await passed(house, order))
        assert await steps(order.id) == [1, 2, 5, 2]

    async def test_payments_that_start_at_once_use_it_once(self, house: House) -> None:
        order = await house.order("2000.01")
        token = await passed(house, order)
        started = await asyncio.gather(*(house.start_payment(order, face_token=token) for _ in range(5)))
        assert len({each.parameters.package for each in started if each.parameters}) == 1
        assert await PaymentAttempt.all().count() == 1

    async def test_it_belongs_to_one_order_of_one_person(self, house: House) -> None:
        order, other = await house.order("2000.01"), await house.order("2000.01")
        token = await passed(house, other)
        for wrong in (token, "", "x", "x" * 5_000):
            with pytest.raises((FaceTokenInvalid, FaceTokenMissing)):
                await house.start_payment(order, face_token=wrong)
        stranger = await create_viewer()
        with pytest.raises(OrderNotFound):
            await face_checks.begin(
                viewer=stranger, order_id=order.id, face=house.third_parties.face, lifetime=LIFETIME, now=utc_now()
            )
        assert await PaymentAttempt.all().count() == 0

    async def test_what_the_service_says_of_another_subject_is_not_ours(self, house: House) -> None:
        order = await house.order("2000.01")
        foreign = await house.third_parties.face.begin(subject="somebody:pay:something")
        house.sandbox.verify_face(foreign.token)
        await begin(house, order)
        await FaceCheck.all().update(token=foreign.token)
        with pytest.raises(FaceCheckFailed):
            await house.start_payment(order, face_token=foreign.token)

    async def test_it_expires(self, house: House) -> None:
        order = await house.order("2000.01")
        token = await passed(house, order)
        await FaceCheck.all().update(expires_at=utc_now())
        with pytest.raises(FaceTokenInvalid):
            await house.start_payment(order, face_token=token)

    async def test_only_orders_that_need_one_begin_one(self, house: House) -> None:
        with pytest.raises(FaceCheckNotNeeded):
            await begin(house, await house.order("100.00"))
        cancelled = await house.order("2000.01")
        await house.cancel(cancelled)
        with pytest.raises(FaceCheckNotNeeded):
            await begin(house, cancelled)
        assert await FaceCheck.all().count() == 0


class TestReview:
    async def test_a_paid_order_waits_and_is_recharged_once_somebody_else_approves(self, house: House) -> None:
        order = await paid_large_order(house)
        assert order.review_state is ReviewState.PENDING
        assert await Job.filter(kind="submit_recharge").count() == 0
        done = await decide(await create_staff(), order, approve=True)
        assert done.review_state is ReviewState.APPROVED
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await steps(order.id) == [1, 2, 4, 8, 10, 11]
        step = await OrderTransition.get(order_id=order.id, rule=8)
        assert step.actor.startswith("staff:")
        assert step.reason == "看过"

    async def test_a_rejected_order_is_refunded_and_never_submitted(self, house: House) -> None:
        order = await paid_large_order(house)
        await decide(await create_staff(), order, approve=False)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.state, done.failure_kind) == (OrderState.FAILED, FailureKind.REJECTED)
        assert await steps(order.id) == [1, 2, 4, 9, 16, 16]
        assert await RechargeAttempt.all().count() == 0

    async def test_its_deadline_rejects_it(self, house: House) -> None:
        order = await paid_large_order(house)
        review = await Review.get()
        await reviewing.expire_review(order_id=order.id, now=review.deadline_at - timedelta(seconds=1))
        assert (await Review.get()).state is ReviewState.PENDING
        for _ in range(2):
            await house.worker.run_due(now=review.deadline_at + timedelta(seconds=1))
            await house.worker.settle()
            await reviewing.expire_review(order_id=order.id, now=review.deadline_at)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.failure_kind, (await Review.get()).decided_by) == (FailureKind.REJECTED, None)

    async def test_nobody_decides_about_an_order_of_their_own(self, house: House) -> None:
        order = await paid_large_order(house)
        myself = await create_staff(customer=house.viewer)
        for approve in (True, False):
            with pytest.raises(ReviewOwnOrder):
                await decide(myself, order, approve=approve)
        assert (await Review.get()).state is ReviewState.PENDING
        assert await steps(order.id) == [1, 2, 4]

    async def test_decisions_that_come_at_once_make_one(self, house: House) -> None:
        order = await paid_large_order(house)
        one, other = await create_staff(), await create_staff()
        outcomes = await asyncio.gather(
            *(decide(one, order, approve=True) for _ in range(3)),
            *(decide(other, order, approve=False) for _ in range(3)),
            return_exceptions=True,
        )
        assert sum(isinstance(each, ReviewNotPending) for each in outcomes) == 3
        assert await OrderTransition.filter(order_id=order.id, rule__in=[8, 9]).count() == 1
        assert await audit.findings() == []

    async def test_only_what_waits_is_decided_and_always_for_a_reason(self, house: House) -> None:
        staff = await create_staff()
        with pytest.raises(ReviewNotPending):
            await decide(staff, await house.order("100.00"), approve=True)
        with pytest.raises(OrderNotFound):
            await reviewing.decide(staff=staff, order_id=new_id(), approve=True, reason="x", now=utc_now())
        order = await paid_large_order(house)
        with pytest.raises(ReasonMissing):
            await decide(staff, order, approve=True, reason=" ")
        assert await steps(order.id) == [1, 2, 4]

    async def test_the_audit_finds_a_recharge_that_nobody_approved(self, house: House) -> None:
        order = await paid_large_order(house)
        assert await audit.findings() == []
        await RechargeOrder.filter(id=order.id).update(review_state=ReviewState.APPROVED)
        assert {finding.rule for finding in await audit.findings()} >= {
            "a reviewed order says what its review says",
            "a paid order has work that ends it",
        }
