"""What each order may be by now, worked out from its story and from the table of order states alone.

The model takes one row of the story after the other and never looks back, so an order that is opened again, a row that
was changed and a version that was skipped are all seen at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from domain.events.streams import order_stream
from domain.orders.lifecycle import (
    REFUND_RULE_NUMBER,
    RefundTrigger,
    Standing,
    Trigger,
    next_refund_state,
    next_step,
    refund_state_of,
)
from domain.orders.transitions import standing_of
from kernel.states import FailureKind, OrderState, RefundState, ReviewState
from models.events import Event
from models.orders import OrderTransition, RechargeOrder
from models.payments import Refund

# The end of an order, said without the table: what may still follow it, and nothing else ever does.
AFTER_THE_END: dict[OrderState, set[tuple[OrderState, FailureKind | None]]] = {
    OrderState.SUCCEEDED: {(OrderState.SUCCEEDED, None), (OrderState.FAILED, FailureKind.REVERSED)},
    OrderState.FAILED: {(OrderState.FAILED, kind) for kind in FailureKind},
}


@dataclass
class Life:
    """One order as the model knows it. `refunds` are the states of its refunds by number."""

    review_at_first: ReviewState
    version: int = 0
    standing: Standing | None = None
    refunds: dict[str, RefundState] = field(default_factory=dict)

    @property
    def refund_state(self) -> RefundState:
        return refund_state_of(self.refunds.values())

    def take(self, step: OrderTransition) -> None:
        """Take the next row of the story. Raises AssertionError or TransitionRefused where it cannot be the next."""
        assert step.version == self.version + 1, f"version {step.version} follows {self.version}"
        before = self.standing.state if self.standing else None
        assert step.from_state is before, f"a step from {step.from_state} where the order was {before}"
        if step.rule == REFUND_RULE_NUMBER:
            self._take_refund(step)
        else:
            self._take_rule(step)
        assert self.standing is not None
        assert step.to_state is self.standing.state, f"{step.trigger} leads to {step.to_state}"
        self.version = step.version

    def _take_rule(self, step: OrderTransition) -> None:
        before = self.standing
        rule = next_step(before, Trigger(step.trigger))
        assert step.rule == rule.number, f"{step.trigger} is row {rule.number}, not {step.rule}"
        if before is None:
            self.standing = Standing(rule.target, review_state=self.review_at_first)
            return
        after = self.standing = rule.after(before)
        ending = (after.state, after.failure_kind)
        allowed = before.state not in AFTER_THE_END or ending in AFTER_THE_END[before.state]
        assert allowed, f"an order that was {before.state} is {ending} now"
        kept = before.failure_kind is None or before.failure_kind is after.failure_kind
        assert kept, f"an order that was {before.failure_kind} has become {after.failure_kind}"

    def _take_refund(self, step: OrderTransition) -> None:
        number = step.reason
        before = self.refunds.get(number, RefundState.NONE)
        self.refunds[number] = next_refund_state(before, RefundTrigger(step.trigger))


@dataclass
class Lives:
    """Every order of a database, followed from its first row. `rules` counts the rows of the table that were taken."""

    lives: dict[UUID, Life] = field(default_factory=dict)
    rules: Counter[int] = field(default_factory=Counter)

    async def follow(self) -> None:
        """Read what is new and hold every order against the model. Raises AssertionError or TransitionRefused."""
        for order in await RechargeOrder.all():
            life = self.lives.setdefault(order.id, Life(_review_at_first(order)))
            if order.version != life.version:
                await self._read(order, life)
            assert order.version == life.version, f"order {order.id} has version {order.version} of {life.version}"
            assert standing_of(order) == life.standing, f"order {order.id} stands elsewhere than its story ends"
            assert order.refund_state is life.refund_state, f"the refunds of order {order.id} are {life.refund_state}"

    async def _read(self, order: RechargeOrder, life: Life) -> None:
        known = life.version
        steps = await OrderTransition.filter(order_id=order.id, version__gt=known).order_by("version")
        events = await Event.filter(stream=order_stream(order.id), position__gt=known).order_by("position")
        for step, event in zip(steps, events, strict=True):
            life.take(step)
            self.rules[step.rule] += 1
            told = [event.position, *(event.payload[name] for name in ("version", "state", "refund_state"))]
            assert told == [step.version, step.version, step.to_state, life.refund_state], f"{order.id} is told {told}"
        for refund in await Refund.filter(order_id=order.id):
            there = life.refunds.get(refund.out_refund_no)
            assert refund.state is there, f"refund {refund.out_refund_no} is {refund.state}, by its story {there}"


def _review_at_first(order: RechargeOrder) -> ReviewState:
    """Whether an order needs a review is decided when it is made; the table says what becomes of it from there."""
    return ReviewState.REQUIRED if order.review_reason else ReviewState.NONE
