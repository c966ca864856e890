"""The one place that moves an order: compare-and-set, its row, and its event."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from domain.events.operations import append
from domain.events.streams import EventType, order_stream
from domain.orders.lifecycle import (
    REFUND_RULE_NUMBER,
    RefundTrigger,
    Rule,
    Standing,
    Trigger,
    next_refund_state,
    next_step,
    refund_state_of,
)
from kernel.ids import new_id
from kernel.states import OrderState, RefundState
from models.changes import of_users
from models.orders import OrderTransition, RechargeOrder
from models.payments import Refund

REASON_LENGTH_MAX = 256
REQUEST_ID_LENGTH_MAX = 64
# How every order begins.
CREATION, CREATED_VERSION = next_step(None, Trigger.CREATE), 1


class OrderChanged(RuntimeError):
    """The order moved since it was read; whoever holds its lock never sees this."""


async def lock(order_id: UUID) -> RechargeOrder:
    """Read the order and hold its row until the transaction ends."""
    return await RechargeOrder.select_for_update().get(id=order_id)


def standing_of(order: RechargeOrder) -> Standing:
    return Standing(order.state, order.failure_kind, order.review_state)


def creation_of(order: RechargeOrder, order_id: str, *, actor: str) -> dict[str, Any]:
    """Return what differs of a new order's first step and first event (see CREATION), as `writing` calls it.

    `order_id` is the order's id as text.
    """
    return {"actor": actor, "request_id": _request_id(), "event": _event_of(order, order_id)}


async def advance(order: RechargeOrder, trigger: Trigger, *, actor: str, now: datetime, reason: str = "") -> Rule:
    """Move a locked order by one row of the table. Raises TransitionRefused."""
    standing = standing_of(order)
    rule = next_step(standing, trigger)
    after = rule.after(standing)
    await _set(order, now, state=after.state, failure_kind=after.failure_kind, review_state=after.review_state)
    await _record(order, rule.number, trigger, standing.state, actor=actor, reason=reason, now=now)
    return rule


async def advance_refund(
    order: RechargeOrder, refund: Refund, trigger: RefundTrigger, *, actor: str, now: datetime, **changes: Any
) -> None:
    """Move one refund of a locked order (row 16), and the order's sum of them. Raises TransitionRefused.

    A refund that is new is in the table already, in the state NONE's successor.
    """
    source = RefundState.NONE if trigger is RefundTrigger.START else refund.state
    target = next_refund_state(source, trigger)
    await Refund.filter(id=refund.id).update(state=target, **changes)
    refund.update_from_dict({"state": target, **changes})
    states = [each.state for each in await Refund.filter(order_id=order.id).only("id", "state")]
    await _set(order, now, refund_state=refund_state_of(states))
    await _record(order, REFUND_RULE_NUMBER, trigger, order.state, actor=actor, reason=refund.out_refund_no, now=now)


async def _set(order: RechargeOrder, now: datetime, **changes: Any) -> None:
    with of_users(order.user_id):
        changed = await RechargeOrder.filter(id=order.id, version=order.version).update(
            **changes, version=order.version + 1, updated_at=now
        )
    if changed != 1:
        raise OrderChanged(order.id)
    order.update_from_dict({**changes, "version": order.version + 1, "updated_at": now})


async def _record(
    order: RechargeOrder,
    rule: int,
    trigger: Trigger | RefundTrigger,
    source: OrderState | None,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    await OrderTransition.create(
        id=new_id(),
        order_id=order.id,
        user_id=order.user_id,
        version=order.version,
        rule=rule,
        trigger=trigger.value,
        from_state=source,
        to_state=order.state,
        actor=actor,
        reason=reason[:REASON_LENGTH_MAX],
        request_id=_request_id(),
        occurred_at=now,
    )
    position = await append(
        stream=order_stream(order.id),
        type=EventType.ORDER_CHANGED,
        payload=_event_of(order, str(order.id)),
        now=now,
    )
    # Whoever resumes from an order's version resumes from the event that made it.
    if position != order.version:
        raise OrderChanged(order.id)


def _event_of(order: RechargeOrder, order_id: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "user_id": str(order.user_id),
        "state": order.state.value,
        "refund_state": order.refund_state.value,
        "version": order.version,
    }


def _request_id() -> str:
    """Return the request that causes what is written, cut to what fits."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:REQUEST_ID_LENGTH_MAX]
