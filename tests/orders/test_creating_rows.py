"""Making an order: what is written of it, and by which rules, whether it is made at once or in turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
import structlog
from tortoise.models import Model

from domain.cards import facts as card_facts
from domain.cards.queries import CardNotFound
from domain.identity.idempotency import IdempotencyConflict
from domain.orders import creating, creation_facts, operations
from domain.orders import facts as order_facts
from domain.orders.creating import Created, Making, PriceChanged, Wanted
from domain.risk.rules import AmountTooLarge
from kernel.clock import start_of_business_day, utc_now
from kernel.money import Money
from kernel.states import OrderState, RefundState, ReviewReason, ReviewState
from models.events import Event, EventStream
from models.jobs import Job
from models.lean_transactions import may_write_alone
from models.orders import IdempotencyKey, OrderTransition, RechargeOrder
from tests.factories import LIMITS, POLICY, create_card, create_order, create_viewer

Rows = dict[type[Model], dict[str, Any]]


def expected_order(made: RechargeOrder, card_id: UUID, now: datetime) -> Rows:
    """Return the row of the order itself, and its first step."""
    user = made.user_id
    return {
        RechargeOrder: {
            "id": made.id,
            "user_id": user,
            "card_id": card_id,
            "offer_id": None,
            "organisation_id": None,
            "member_id": None,
            "amount_fen": 60_000,
            "price_fen": 60_000,
            "state": OrderState.PENDING_PAYMENT,
            "version": 1,
            "failure_kind": None,
            "refund_state": RefundState.NONE,
            "review_state": ReviewState.NONE,
            "review_reason": None,
            "pay_deadline_at": now + POLICY.pay_within,
            "created_at": now,
            "updated_at": now,
        },
        OrderTransition: {
            "order_id": made.id,
            "user_id": user,
            "version": 1,
            "rule": 1,
            "trigger": "CREATE",
            "from_state": None,
            "to_state": OrderState.PENDING_PAYMENT,
            "actor": f"user:{user}",
            "reason": "",
            "request_id": "the-request",
            "occurred_at": now,
        },
    }


def expected_beside(made: RechargeOrder, input_hash: str, now: datetime) -> Rows:
    """Return the rows beside the order: its key, its event, and the job that lets it expire."""
    user, text = made.user_id, str(made.id)
    return {
        IdempotencyKey: {
            "user_id": user,
            "operation": "createRecharge",
            "key": "key-of-the-order",
            "input_hash": input_hash,
            "result_id": made.id,
            "created_at": now,
        },
        EventStream: {"name": f"order:{text}", "position": 1, "purged": 0},
        Event: {
            "stream": f"order:{text}",
            "position": 1,
            "type": "order.changed",
            "payload": {
                "order_id": text,
                "user_id": str(user),
                "state": "PENDING_PAYMENT",
                "refund_state": "NONE",
                "version": 1,
            },
            "occurred_at": now,
            "published_at": None,
        },
        Job: {
            "kind": "expire_order",
            "key": text,
            "payload": {"order_id": text},
            "due_at": now + POLICY.pay_within,
            "attempts": 0,
            "failures": 0,
            "claims": 0,
            "lease_until": None,
            "lease_owner": None,
            "last_error": None,
            "created_at": now,
            "done_at": None,
            "parked_at": None,
        },
    }


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_written_is_the_same(database: str, at_once: bool) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    now = utc_now()
    wanted = Wanted(operations.CREATE, "key-of-the-order", card.id, Decimal("600.00"))
    making = Making(viewer, wanted, None, Money(60_000), POLICY, now)
    with structlog.contextvars.bound_contextvars(request_id="the-request"):
        if at_once and may_write_alone():
            made = await creating.at_once(making)
        else:
            made = await creating.in_turn(making)
    assert isinstance(made, Created)
    if made.card is not None:
        facts = (await order_facts.by_ids([made.order.id]))[made.order.id]
        known = (await card_facts.by_ids([card.id]))[card.id]
        assert order_facts.of_new(made.order, made.card) == facts._replace(card_id=cast(UUID, known))
    expected = {**expected_order(made.order, card.id, now), **expected_beside(made.order, wanted.input_hash, now)}
    for model, values in expected.items():
        (row,) = await model.all().values()
        assert {name: value for name, value in row.items() if name != "id" or name in values} == values


class TestRules:
    """What was refused before an order was made is refused still, and in the same order."""

    async def test_a_known_key_is_answered_whatever_the_input_is_worth_by_now(self, database: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        order = await create_order(viewer, card, key="a-key-of-mine")
        small = replace(LIMITS, amount_max_fen=100, daily_max_fen=100)
        assert (await create_order(viewer, card, key="a-key-of-mine", limits=small)).id == order.id
        with pytest.raises(IdempotencyConflict):
            await create_order(viewer, card, yuan="500.01", key="a-key-of-mine", limits=small)
        with pytest.raises(AmountTooLarge):
            await create_order(viewer, card, key="another-of-mine", limits=small)

    async def test_a_strangers_card_is_none(self, database: str) -> None:
        viewer, stranger = await create_viewer(), await create_viewer()
        card = await create_card(stranger)
        with pytest.raises(CardNotFound):
            await create_order(viewer, card)
        wanted = Wanted(operations.CREATE, "key-of-the-order", None, Decimal("50.00"))
        with pytest.raises(CardNotFound):
            await operations.create(viewer=viewer, wanted=wanted, policy=POLICY, now=utc_now())
        assert await RechargeOrder.all().count() == 0

    async def test_the_quoted_price_is_kept(self, database: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        with pytest.raises(PriceChanged):
            await create_order(viewer, card, quoted=Money(1))
        assert (await create_order(viewer, card, quoted=Money(50_000))).price_fen == 50_000

    async def test_facts_are_of_the_day_the_window_and_the_number(self, database: str) -> None:
        viewer, twin = await create_viewer(), await create_viewer()
        card, same = await create_card(viewer), await create_card(twin)
        now = utc_now()
        day = start_of_business_day(now)
        orders = [await create_order(viewer, card, yuan="100.00") for _ in range(4)]
        await create_order(twin, same, yuan="700.00")
        await RechargeOrder.filter(id=orders[0].id).update(created_at=day - timedelta(microseconds=1))
        await RechargeOrder.filter(id=orders[1].id).update(created_at=day, state=OrderState.PAYING)
        await RechargeOrder.filter(id=orders[2].id).update(state=OrderState.FAILED, failure_kind="CANCELLED")
        await RechargeOrder.filter(id=orders[3].id).update(review_state="REQUIRED", review_reason="LARGE_AMOUNT")
        question = creation_facts.Question(viewer.user_id, card.id, operations.CREATE, "some-other-key", day, day)
        none = creation_facts.Question(
            twin.user_id, None, operations.CREATE, "some-other-key", day, now + timedelta(days=1)
        )
        found, other = await creation_facts.read([question, none])
        assert (found.risk.spent_today_fen, found.risk.unpaid_orders) == (20_000, 3)
        assert found.risk.unreviewed_fen == 70_000
        assert found.card == creation_facts.BoundCard(viewer.user_id, (await card_facts.by_ids([card.id]))[card.id])
        assert (other.card, other.risk.spent_today_fen, other.risk.unreviewed_fen) == (None, 70_000, 0)

    async def test_many_small_ones_are_reviewed(self, database: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        limits = replace(LIMITS, review_above_fen=30_000)
        made = [await create_order(viewer, card, yuan="200.00", limits=limits) for _ in range(2)]
        assert [each.review_reason for each in made] == [None, ReviewReason.SPLIT_ORDERS]
