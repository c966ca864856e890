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
    Trigger,
    next_refund_state,
    next_step,
)
from kernel.ids import new_id
from models.orders import OrderTransition, RechargeOrder

REASON_LENGTH_MAX = 256


class OrderChanged(RuntimeError):
    """The order moved since it was read; whoever holds its lock never sees this."""


async def lock(order_id: UUID) -> RechargeOrder:
    """Read the order and hold its row until the transaction ends."""
    return await RechargeOrder.select_for_update().get(id=order_id)


async def record_creation(order: RechargeOrder, *, actor: str, now: datetime) -> None:
    rule = next_step(None, Trigger.CREATE)
    await _record(order, rule.number, rule.trigger, None, actor=actor, reason="", now=now)


async def advance(order: RechargeOrder, trigger: Trigger, *, actor: str, now: datetime, reason: str = "") -> Rule:
    """Move a locked order by one row of the table. Raises TransitionRefused."""
    rule = next_step(order.state, trigger, failure_kind=order.failure_kind)
    source = order.state
    await _set(order, now, state=rule.target, failure_kind=rule.failure_kind or order.failure_kind)
    await _record(order, rule.number, trigger, source, actor=actor, reason=reason, now=now)
    return rule


async def advance_refund(
    order: RechargeOrder, trigger: RefundTrigger, *, actor: str, now: datetime, reason: str = ""
) -> None:
    """Move the refund of a locked order (row 16). Raises TransitionRefused."""
    await _set(order, now, refund_state=next_refund_state(order.refund_state, trigger))
    await _record(order, REFUND_RULE_NUMBER, trigger, order.state, actor=actor, reason=reason, now=now)


async def _set(order: RechargeOrder, now: datetime, **changes: Any) -> None:
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
    source: Any,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    await OrderTransition.create(
        id=new_id(),
        order_id=order.id,
        version=order.version,
        rule=rule,
        trigger=trigger.value,
        from_state=source,
        to_state=order.state,
        actor=actor,
        reason=reason[:REASON_LENGTH_MAX],
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64],
        occurred_at=now,
    )
    position = await append(
        stream=order_stream(order.id),
        type=EventType.ORDER_CHANGED,
        payload={
            "order_id": str(order.id),
            "state": order.state.value,
            "refund_state": order.refund_state.value,
            "version": order.version,
        },
        now=now,
    )
    # Whoever resumes from an order's version resumes from the event that made it.
    if position != order.version:
        raise OrderChanged(order.id)
