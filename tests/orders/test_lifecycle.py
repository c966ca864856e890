"""Every standing and trigger, the refused pairs included, against the design's table written out by hand."""

from __future__ import annotations

import itertools

import pytest

from domain.orders.lifecycle import (
    REFUND_RULE_NUMBER,
    REFUND_RULES,
    RULES,
    RefundTrigger,
    Standing,
    TransitionRefused,
    Trigger,
    next_refund_state,
    next_step,
    refund_state_of,
)
from kernel.states import FailureKind, OrderState, RefundState, ReviewState

P, Y, R, S, F = (
    OrderState.PENDING_PAYMENT,
    OrderState.PAYING,
    OrderState.RECHARGING,
    OrderState.SUCCEEDED,
    OrderState.FAILED,
)
UNPAID, CANCELLED, REJECTED, REFUSED, REVERSED = FailureKind
NONE, REQUIRED, PENDING, APPROVED, REJECTED_REVIEW = ReviewState

# (from, trigger) → (row of the design's table, to, kind of failure, reviews that allow it, kinds that allow it)
ANY_REVIEW, ANY_KIND = frozenset(ReviewState), frozenset(FailureKind)
BEFORE_PAYING, RELEASED, WAITING = frozenset({NONE, REQUIRED}), frozenset({NONE, APPROVED}), frozenset({PENDING})
ALLOWED = {
    (P, Trigger.START_PAYMENT): (2, Y, None, BEFORE_PAYING, ANY_KIND),
    (Y, Trigger.FAIL_OVER): (3, Y, None, BEFORE_PAYING, ANY_KIND),
    (Y, Trigger.CONFIRM_PAYMENT): (4, R, None, BEFORE_PAYING, ANY_KIND),
    (Y, Trigger.CLOSE_ATTEMPT): (5, P, None, ANY_REVIEW, ANY_KIND),
    (P, Trigger.EXPIRE): (6, F, UNPAID, ANY_REVIEW, ANY_KIND),
    (Y, Trigger.EXPIRE): (6, F, UNPAID, ANY_REVIEW, ANY_KIND),
    (P, Trigger.CANCEL): (6, F, CANCELLED, ANY_REVIEW, ANY_KIND),
    (Y, Trigger.CANCEL): (6, F, CANCELLED, ANY_REVIEW, ANY_KIND),
    (F, Trigger.LATE_PAYMENT): (7, F, None, ANY_REVIEW, frozenset({UNPAID, CANCELLED})),
    (R, Trigger.APPROVE_REVIEW): (8, R, None, WAITING, ANY_KIND),
    (R, Trigger.REJECT_REVIEW): (9, F, REJECTED, WAITING, ANY_KIND),
    (R, Trigger.SUBMIT_RECHARGE): (10, R, None, RELEASED, ANY_KIND),
    (R, Trigger.CONFIRM_RECHARGE): (11, S, None, RELEASED, ANY_KIND),
    (R, Trigger.REFUSE_RECHARGE): (12, F, REFUSED, RELEASED, ANY_KIND),
    (R, Trigger.COMPENSATE): (13, R, None, RELEASED, ANY_KIND),
    (F, Trigger.FIND_RECHARGED): (14, F, None, ANY_REVIEW, frozenset({REFUSED})),
    (S, Trigger.REVERSE_RECHARGE): (15, F, REVERSED, ANY_REVIEW, ANY_KIND),
    (P, Trigger.SURPLUS_PAYMENT): (17, P, None, ANY_REVIEW, ANY_KIND),
    (Y, Trigger.SURPLUS_PAYMENT): (17, Y, None, ANY_REVIEW, ANY_KIND),
    (R, Trigger.SURPLUS_PAYMENT): (17, R, None, ANY_REVIEW, ANY_KIND),
    (S, Trigger.SURPLUS_PAYMENT): (17, S, None, ANY_REVIEW, ANY_KIND),
    (F, Trigger.SURPLUS_PAYMENT): (17, F, None, ANY_REVIEW, frozenset({REJECTED, REFUSED, REVERSED})),
    (R, Trigger.REROUTE): (18, R, None, RELEASED, ANY_KIND),
    (R, Trigger.SURPLUS_RECHARGE): (19, R, None, RELEASED, ANY_KIND),
    (S, Trigger.SURPLUS_RECHARGE): (19, S, None, RELEASED, ANY_KIND),
    (F, Trigger.SURPLUS_RECHARGE): (19, F, None, RELEASED, frozenset({REFUSED, REVERSED})),
}
STANDINGS = [
    Standing(state, kind, review)
    for state in OrderState
    for kind in (FailureKind if state is F else (None,))
    for review in ReviewState
]


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(OrderState, Trigger)))
def test_every_pair_is_allowed_or_refused_as_the_table_says(state: OrderState, trigger: Trigger) -> None:
    for standing in STANDINGS:
        if standing.state is state:
            _assert_as_the_table_says(standing, trigger)


def _assert_as_the_table_says(standing: Standing, trigger: Trigger) -> None:
    number, target, failure, reviews, kinds = ALLOWED.get((standing.state, trigger), (0, F, None, (), ()))
    allowed = standing.review_state in reviews and (standing.state is not F or standing.failure_kind in kinds)
    if not allowed:
        with pytest.raises(TransitionRefused):
            next_step(standing, trigger)
        return
    rule = next_step(standing, trigger)
    after = rule.after(standing)
    assert (rule.number, after.state) == (number, target)
    assert after.failure_kind is (failure or standing.failure_kind)
    assert (after.failure_kind is not None) == (after.state is F)


@pytest.mark.parametrize("trigger", Trigger)
def test_only_creation_makes_an_order(trigger: Trigger) -> None:
    if trigger is Trigger.CREATE:
        rule = next_step(None, trigger)
        assert (rule.number, rule.target) == (1, P)
    else:
        with pytest.raises(TransitionRefused):
            next_step(None, trigger)


def test_the_table_has_the_designs_rows_and_no_others() -> None:
    assert {(rule.source, rule.trigger) for rule in RULES} == {(None, Trigger.CREATE), *ALLOWED}
    assert len(RULES) == len(ALLOWED) + 1
    assert {rule.number for rule in RULES} | {REFUND_RULE_NUMBER} == set(range(1, 20))


def test_a_review_moves_only_by_paying_and_by_deciding() -> None:
    moved = {
        (rule.trigger, standing.review_state, rule.after(standing).review_state)
        for standing, rule in itertools.product(STANDINGS, RULES)
        if rule.allows(standing) and rule.after(standing).review_state is not standing.review_state
    }
    assert moved == {
        (Trigger.CONFIRM_PAYMENT, REQUIRED, PENDING),
        (Trigger.APPROVE_REVIEW, PENDING, APPROVED),
        (Trigger.REJECT_REVIEW, PENDING, REJECTED_REVIEW),
    }


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(RefundState, RefundTrigger)))
def test_refunds_move_one_way(state: RefundState, trigger: RefundTrigger) -> None:
    expected = {
        (RefundState.NONE, RefundTrigger.START): RefundState.PROCESSING,
        (RefundState.PROCESSING, RefundTrigger.CONFIRM): RefundState.SUCCESS,
        (RefundState.PROCESSING, RefundTrigger.FIND_ABNORMAL): RefundState.ABNORMAL,
        (RefundState.ABNORMAL, RefundTrigger.CONFIRM): RefundState.SUCCESS,
    }
    assert expected == REFUND_RULES
    target = expected.get((state, trigger))
    if target is None:
        with pytest.raises(TransitionRefused):
            next_refund_state(state, trigger)
    else:
        assert next_refund_state(state, trigger) is target


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ([], RefundState.NONE),
        ([RefundState.SUCCESS, RefundState.SUCCESS], RefundState.SUCCESS),
        ([RefundState.SUCCESS, RefundState.PROCESSING], RefundState.PROCESSING),
        ([RefundState.PROCESSING, RefundState.ABNORMAL, RefundState.SUCCESS], RefundState.ABNORMAL),
    ],
)
def test_the_worst_of_several_refunds_stands_for_all(states: list[RefundState], together: RefundState) -> None:
    assert refund_state_of(states) is together
