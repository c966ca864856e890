"""Orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import strawberry

from domain.orders import operations, paying, queries
from domain.risk.rules import Limits
from kernel.settings import Settings
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.orders import (
    CancelRechargeInput,
    CancelRechargeSuccess,
    CreateRechargeInput,
    CreateRechargeSuccess,
    Order,
    PayRechargeInput,
    PayRechargeSuccess,
)
from schema.types.payloads import CancelRechargePayload, CreateRechargePayload, PayRechargePayload
from schema.types.relay import key_of


async def order(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The order's id.")]
) -> Order | None:
    viewer, key = info.context.signed_in, key_of(id, "Order")
    row = await queries.owned(viewer=viewer, order_id=key) if key else None
    return Order.of(row) if row else None


@payload
async def create_recharge(info: Info, input: Given[CreateRechargeInput]) -> CreateRechargePayload:
    context, settings = info.context, info.context.services.settings
    row = await operations.create(
        viewer=context.signed_in,
        card_id=key_of(input.card_id, "Card"),
        yuan=input.amount,
        idempotency_key=input.idempotency_key,
        limits=limits_of(settings),
        pay_within=timedelta(seconds=settings.payment_deadline_s),
        now=context.now,
    )
    return CreateRechargeSuccess.of(row)


@payload
async def pay_recharge(info: Info, input: Given[PayRechargeInput]) -> PayRechargePayload:
    context, services = info.context, info.context.services
    started = await paying.start_payment(
        viewer=context.signed_in,
        order_id=key_of(input.order_id, "Order"),
        idempotency_key=input.idempotency_key,
        channel=services.third_parties.channel,
        query_after=timedelta(seconds=services.settings.payment_query_delay_s),
        now=context.now,
    )
    return PayRechargeSuccess.of(started)


@payload
async def cancel_recharge(info: Info, input: Given[CancelRechargeInput]) -> CancelRechargePayload:
    context = info.context
    row = await operations.cancel(
        viewer=context.signed_in,
        order_id=key_of(input.order_id, "Order"),
        channel=context.services.third_parties.channel,
        now=context.now,
    )
    return CancelRechargeSuccess.of(row)


def limits_of(settings: Settings) -> Limits:
    return Limits(
        amount_min_fen=settings.recharge_amount_min_fen,
        amount_max_fen=settings.recharge_amount_max_fen,
        daily_max_fen=settings.recharge_daily_max_fen,
        unpaid_orders_max=settings.unpaid_orders_per_user_max,
    )
