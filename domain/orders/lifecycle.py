"""The life of a recharge order as a table; no I/O.

Rows are numbered as in the table of order states in the design: what is not listed is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kernel.states import FailureKind, OrderState, RefundState

UNPAID_KINDS = frozenset({FailureKind.UNPAID, FailureKind.CANCELLED})


class Trigger(StrEnum):
    CREATE = "CREATE"
    START_PAYMENT = "START_PAYMENT"
    CONFIRM_PAYMENT = "CONFIRM_PAYMENT"
    CLOSE_ATTEMPT = "CLOSE_ATTEMPT"
    EXPIRE = "EXPIRE"
    CANCEL = "CANCEL"
    LATE_PAYMENT = "LATE_PAYMENT"
    SUBMIT_RECHARGE = "SUBMIT_RECHARGE"
    CONFIRM_RECHARGE = "CONFIRM_RECHARGE"
    REFUSE_RECHARGE = "REFUSE_RECHARGE"
    COMPENSATE = "COMPENSATE"


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
class Rule:
    """One row of the table. `source` None is an order that does not exist yet."""

    number: int
    source: OrderState | None
    trigger: Trigger
    target: OrderState
    failure_kind: FailureKind | None = None
    only_unpaid: bool = False


RULES = (
    Rule(1, None, Trigger.CREATE, OrderState.PENDING_PAYMENT),
    Rule(2, OrderState.PENDING_PAYMENT, Trigger.START_PAYMENT, OrderState.PAYING),
    Rule(4, OrderState.PAYING, Trigger.CONFIRM_PAYMENT, OrderState.RECHARGING),
    Rule(5, OrderState.PAYING, Trigger.CLOSE_ATTEMPT, OrderState.PENDING_PAYMENT),
    Rule(6, OrderState.PENDING_PAYMENT, Trigger.EXPIRE, OrderState.FAILED, FailureKind.UNPAID),
    Rule(6, OrderState.PAYING, Trigger.EXPIRE, OrderState.FAILED, FailureKind.UNPAID),
    Rule(6, OrderState.PENDING_PAYMENT, Trigger.CANCEL, OrderState.FAILED, FailureKind.CANCELLED),
    Rule(6, OrderState.PAYING, Trigger.CANCEL, OrderState.FAILED, FailureKind.CANCELLED),
    Rule(7, OrderState.FAILED, Trigger.LATE_PAYMENT, OrderState.FAILED, only_unpaid=True),
    Rule(10, OrderState.RECHARGING, Trigger.SUBMIT_RECHARGE, OrderState.RECHARGING),
    Rule(11, OrderState.RECHARGING, Trigger.CONFIRM_RECHARGE, OrderState.SUCCEEDED),
    Rule(12, OrderState.RECHARGING, Trigger.REFUSE_RECHARGE, OrderState.FAILED, FailureKind.ISSUER_REFUSED),
    Rule(13, OrderState.RECHARGING, Trigger.COMPENSATE, OrderState.RECHARGING),
)
BY_STEP = {(rule.source, rule.trigger): rule for rule in RULES}

# Row 16: the refund's own states, beside the order's. FAILED stays what it is.
REFUND_RULES = {
    (RefundState.NONE, RefundTrigger.START): RefundState.PROCESSING,
    (RefundState.PROCESSING, RefundTrigger.CONFIRM): RefundState.SUCCESS,
    (RefundState.PROCESSING, RefundTrigger.FIND_ABNORMAL): RefundState.ABNORMAL,
    (RefundState.ABNORMAL, RefundTrigger.CONFIRM): RefundState.SUCCESS,
}
REFUND_RULE_NUMBER = 16


def next_step(state: OrderState | None, trigger: Trigger, *, failure_kind: FailureKind | None = None) -> Rule:
    """Return the row that allows the step. Raises TransitionRefused."""
    rule = BY_STEP.get((state, trigger))
    if rule is None or (rule.only_unpaid and failure_kind not in UNPAID_KINDS):
        raise TransitionRefused(state, trigger)
    return rule


def next_refund_state(state: RefundState, trigger: RefundTrigger) -> RefundState:
    """Return where the refund goes. Raises TransitionRefused."""
    target = REFUND_RULES.get((state, trigger))
    if target is None:
        raise TransitionRefused(state, trigger)
    return target
