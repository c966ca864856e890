"""The life of a recharge order as a table; no I/O.

Rows are numbered as in the table of order states in the design: what is not listed is refused. Row 17 is a payment that
came where none was expected: the order stays as it is, and the money is booked and owed back at once. Row 18 is an
issuer that definitely did not accept, so that another one is looked for; row 19 is a recharge by such an issuer after
all: the order stays as it is, and two people decide about what it cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kernel.states import FailureKind, OrderState, RefundState, ReviewState

UNPAID_KINDS = frozenset({FailureKind.UNPAID, FailureKind.CANCELLED})
PAID_KINDS = frozenset(FailureKind) - UNPAID_KINDS
# The failures that an order comes to only once it was sent to an issuer.
RECHARGED_KINDS = frozenset({FailureKind.ISSUER_REFUSED, FailureKind.REVERSED})
UNREVIEWED = frozenset({ReviewState.NONE, ReviewState.REQUIRED})
RELEASED = frozenset({ReviewState.NONE, ReviewState.APPROVED})
WAITING = frozenset({ReviewState.PENDING})


class Trigger(StrEnum):
    CREATE = "CREATE"
    START_PAYMENT = "START_PAYMENT"
    FAIL_OVER = "FAIL_OVER"
    CONFIRM_PAYMENT = "CONFIRM_PAYMENT"
    CLOSE_ATTEMPT = "CLOSE_ATTEMPT"
    EXPIRE = "EXPIRE"
    CANCEL = "CANCEL"
    LATE_PAYMENT = "LATE_PAYMENT"
    APPROVE_REVIEW = "APPROVE_REVIEW"
    REJECT_REVIEW = "REJECT_REVIEW"
    SUBMIT_RECHARGE = "SUBMIT_RECHARGE"
    CONFIRM_RECHARGE = "CONFIRM_RECHARGE"
    REFUSE_RECHARGE = "REFUSE_RECHARGE"
    COMPENSATE = "COMPENSATE"
    FIND_RECHARGED = "FIND_RECHARGED"
    REVERSE_RECHARGE = "REVERSE_RECHARGE"
    SURPLUS_PAYMENT = "SURPLUS_PAYMENT"
    REROUTE = "REROUTE"
    SURPLUS_RECHARGE = "SURPLUS_RECHARGE"


class RefundTrigger(StrEnum):
    START = "START_REFUND"
    CONFIRM = "CONFIRM_REFUND"
    FIND_ABNORMAL = "FIND_REFUND_ABNORMAL"


class TransitionRefused(Exception):
    """The order cannot take this step from where it stands."""

    def __init__(self, state: OrderState | RefundState | None, trigger: Trigger | RefundTrigger) -> None:
        self.state, self.trigger = state, trigger
        super().__init__(f"{trigger} is refused in {state}")


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything of an order that decides which steps it may take."""

    state: OrderState
    failure_kind: FailureKind | None = None
    review_state: ReviewState = ReviewState.NONE


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. `source` None is an order that does not exist yet.

    `kinds` and `reviews`, where given, are the kinds of failure and the states of the review that allow the step.
    """

    number: int
    source: OrderState | None
    trigger: Trigger
    target: OrderState
    failure_kind: FailureKind | None = None
    kinds: frozenset[FailureKind] | None = None
    reviews: frozenset[ReviewState] | None = None

    def allows(self, standing: Standing | None) -> bool:
        if standing is None or self.source is None:
            return standing is None and self.source is None
        return (
            standing.state is self.source
            and (self.kinds is None or standing.failure_kind in self.kinds)
            and (self.reviews is None or standing.review_state in self.reviews)
        )

    def after(self, standing: Standing) -> Standing:
        """Return where the step leads. Whoever pays for an order that needs a review makes the review pending."""
        review = REVIEW_AFTER.get((self.trigger, standing.review_state), standing.review_state)
        return Standing(self.target, self.failure_kind or standing.failure_kind, review)


PENDING_PAYMENT, PAYING, RECHARGING, SUCCEEDED, FAILED = OrderState

RULES = (
    Rule(1, None, Trigger.CREATE, PENDING_PAYMENT),
    Rule(2, PENDING_PAYMENT, Trigger.START_PAYMENT, PAYING, reviews=UNREVIEWED),
    Rule(3, PAYING, Trigger.FAIL_OVER, PAYING, reviews=UNREVIEWED),
    Rule(4, PAYING, Trigger.CONFIRM_PAYMENT, RECHARGING, reviews=UNREVIEWED),
    Rule(5, PAYING, Trigger.CLOSE_ATTEMPT, PENDING_PAYMENT),
    Rule(6, PENDING_PAYMENT, Trigger.EXPIRE, FAILED, FailureKind.UNPAID),
    Rule(6, PAYING, Trigger.EXPIRE, FAILED, FailureKind.UNPAID),
    Rule(6, PENDING_PAYMENT, Trigger.CANCEL, FAILED, FailureKind.CANCELLED),
    Rule(6, PAYING, Trigger.CANCEL, FAILED, FailureKind.CANCELLED),
    Rule(7, FAILED, Trigger.LATE_PAYMENT, FAILED, kinds=UNPAID_KINDS),
    Rule(8, RECHARGING, Trigger.APPROVE_REVIEW, RECHARGING, reviews=WAITING),
    Rule(9, RECHARGING, Trigger.REJECT_REVIEW, FAILED, FailureKind.REJECTED, reviews=WAITING),
    Rule(10, RECHARGING, Trigger.SUBMIT_RECHARGE, RECHARGING, reviews=RELEASED),
    Rule(11, RECHARGING, Trigger.CONFIRM_RECHARGE, SUCCEEDED, reviews=RELEASED),
    Rule(12, RECHARGING, Trigger.REFUSE_RECHARGE, FAILED, FailureKind.ISSUER_REFUSED, reviews=RELEASED),
    Rule(13, RECHARGING, Trigger.COMPENSATE, RECHARGING, reviews=RELEASED),
    Rule(14, FAILED, Trigger.FIND_RECHARGED, FAILED, kinds=frozenset({FailureKind.ISSUER_REFUSED})),
    Rule(15, SUCCEEDED, Trigger.REVERSE_RECHARGE, FAILED, FailureKind.REVERSED),
    Rule(17, PENDING_PAYMENT, Trigger.SURPLUS_PAYMENT, PENDING_PAYMENT),
    Rule(17, PAYING, Trigger.SURPLUS_PAYMENT, PAYING),
    Rule(17, RECHARGING, Trigger.SURPLUS_PAYMENT, RECHARGING),
    Rule(17, SUCCEEDED, Trigger.SURPLUS_PAYMENT, SUCCEEDED),
    Rule(17, FAILED, Trigger.SURPLUS_PAYMENT, FAILED, kinds=PAID_KINDS),
    Rule(18, RECHARGING, Trigger.REROUTE, RECHARGING, reviews=RELEASED),
    Rule(19, RECHARGING, Trigger.SURPLUS_RECHARGE, RECHARGING, reviews=RELEASED),
    Rule(19, SUCCEEDED, Trigger.SURPLUS_RECHARGE, SUCCEEDED, reviews=RELEASED),
    Rule(19, FAILED, Trigger.SURPLUS_RECHARGE, FAILED, kinds=RECHARGED_KINDS, reviews=RELEASED),
)
BY_STEP = {(rule.source, rule.trigger): rule for rule in RULES}

REVIEW_AFTER = {
    (Trigger.CONFIRM_PAYMENT, ReviewState.REQUIRED): ReviewState.PENDING,
    (Trigger.APPROVE_REVIEW, ReviewState.PENDING): ReviewState.APPROVED,
    (Trigger.REJECT_REVIEW, ReviewState.PENDING): ReviewState.REJECTED,
}

# Row 16: the states of one refund. An order may have several, one for each payment that is owed back.
REFUND_RULES = {
    (RefundState.NONE, RefundTrigger.START): RefundState.PROCESSING,
    (RefundState.PROCESSING, RefundTrigger.CONFIRM): RefundState.SUCCESS,
    (RefundState.PROCESSING, RefundTrigger.FIND_ABNORMAL): RefundState.ABNORMAL,
    (RefundState.ABNORMAL, RefundTrigger.CONFIRM): RefundState.SUCCESS,
}
REFUND_RULE_NUMBER = 16
# What an order's refunds are together: the first of these that any of them is.
REFUND_WEIGHT = (RefundState.ABNORMAL, RefundState.PROCESSING, RefundState.SUCCESS)


def next_step(standing: Standing | None, trigger: Trigger) -> Rule:
    """Return the row that allows the step; None stands for an order to be made. Raises TransitionRefused."""
    state = standing.state if standing else None
    rule = BY_STEP.get((state, trigger))
    if rule is None or not rule.allows(standing):
        raise TransitionRefused(state, trigger)
    return rule


def next_refund_state(state: RefundState, trigger: RefundTrigger) -> RefundState:
    """Return where one refund goes. Raises TransitionRefused."""
    target = REFUND_RULES.get((state, trigger))
    if target is None:
        raise TransitionRefused(state, trigger)
    return target


def refund_state_of(states: Iterable[RefundState]) -> RefundState:
    """Return what the refunds of one order are together; the worst of them stands for all."""
    found = frozenset(states)
    return next((state for state in REFUND_WEIGHT if state in found), RefundState.NONE)
