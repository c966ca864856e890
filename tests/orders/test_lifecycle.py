"""Every state and trigger, the refused pairs included, against the table written out by hand."""

from __future__ import annotations

import itertools

import pytest

from domain.orders.lifecycle import (
    REFUND_RULES,
    RULES,
    RefundTrigger,
    TransitionRefused,
    Trigger,
    next_refund_state,
    next_step,
)
from kernel.states import FailureKind, OrderState, RefundState

P, Y, R, S, F = (
    OrderState.PENDING_PAYMENT,
    OrderState.PAYING,
    OrderState.RECHARGING,
    OrderState.SUCCEEDED,
    OrderState.FAILED,
)
# (from, trigger) → (row of the design's table, to)
ALLOWED = {
    (None, Trigger.CREATE): (1, P),
    (P, Trigger.START_PAYMENT): (2, Y),
    (Y, Trigger.CONFIRM_PAYMENT): (4, R),
    (Y, Trigger.CLOSE_ATTEMPT): (5, P),
    (P, Trigger.EXPIRE): (6, F),
    (Y, Trigger.EXPIRE): (6, F),
    (P, Trigger.CANCEL): (6, F),
    (Y, Trigger.CANCEL): (6, F),
    (F, Trigger.LATE_PAYMENT): (7, F),
    (R, Trigger.SUBMIT_RECHARGE): (10, R),
    (R, Trigger.CONFIRM_RECHARGE): (11, S),
    (R, Trigger.REFUSE_RECHARGE): (12, F),
    (R, Trigger.COMPENSATE): (13, R),
}


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product([None, *OrderState], Trigger)))
def test_every_pair_is_allowed_or_refused_as_the_table_says(state: OrderState | None, trigger: Trigger) -> None:
    expected = ALLOWED.get((state, trigger))
    kind = FailureKind.UNPAID if state is F else None
    if expected is None:
        with pytest.raises(TransitionRefused):
            next_step(state, trigger, failure_kind=kind)
    else:
        rule = next_step(state, trigger, failure_kind=kind)
        assert (rule.number, rule.target) == expected


def test_the_table_has_no_row_beside_these() -> None:
    assert {(rule.source, rule.trigger) for rule in RULES} == set(ALLOWED)
    assert len(RULES) == len(ALLOWED)


@pytest.mark.parametrize("kind", [FailureKind.ISSUER_REFUSED, None])
def test_a_late_payment_belongs_to_an_order_that_failed_unpaid(kind: FailureKind | None) -> None:
    with pytest.raises(TransitionRefused):
        next_step(F, Trigger.LATE_PAYMENT, failure_kind=kind)


def test_exactly_the_steps_into_failed_say_why() -> None:
    for rule in RULES:
        if rule.target is F and rule.source is not F:
            assert rule.failure_kind is not None
        else:
            assert rule.failure_kind is None


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
