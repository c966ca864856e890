"""The database itself refuses what the rules forbid, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

from kernel.states import FailureKind, OrderState, ReviewReason, ReviewState
from models.events import Event
from models.orders import OrderTransition, RechargeOrder
from tests.factories import create_card, create_order, create_viewer

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    "change",
    [
        {"amount_fen": 0},
        {"amount_fen": -1},
        {"version": 0},
        {"state": OrderState.FAILED},
        {"failure_kind": FailureKind.UNPAID},
        {"price_fen": 0},
        {"review_state": ReviewState.PENDING},
        {"review_reason": ReviewReason.SPLIT_ORDERS},
    ],
)
async def test_an_order_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer))
    with pytest.raises(IntegrityError):
        await RechargeOrder.filter(id=order.id).update(**change)
    assert (await RechargeOrder.get(id=order.id)).version == 1


async def test_transitions_are_append_only() -> None:
    viewer = await create_viewer()
    await create_order(viewer, await create_card(viewer))
    with pytest.raises(IntegrityError, match="append-only"):
        await OrderTransition.all().update(reason="rewritten")
    with pytest.raises(IntegrityError, match="append-only"):
        await OrderTransition.all().delete()
    assert [step.reason for step in await OrderTransition.all()] == [""]


async def test_moments_compare_as_moments_whatever_their_offset() -> None:
    moment = datetime(2026, 4, 21, 16, 0, tzinfo=UTC)
    await Event.create(stream="s", position=1, type="t", payload={}, occurred_at=moment)
    shanghai = moment.astimezone(timezone(timedelta(hours=8)))
    assert await Event.filter(occurred_at=shanghai).count() == 1
    assert await Event.filter(occurred_at__gt=shanghai).count() == 0
    assert await Event.filter(occurred_at__gte=shanghai).count() == 1
    with pytest.raises(ValueError, match="naive"):
        await Event.filter(occurred_at=moment.replace(tzinfo=None)).count()
