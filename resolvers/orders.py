"""Orders."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.account import payment_passwords
from domain.orders import drafts, face_checks, operations, paying, queries
from domain.orders.creating import Wanted
from domain.orders.operations import CREATE
from resolvers.account import keeper_of
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.orders import (
    CancelRechargeInput,
    CancelRechargeSuccess,
    CreateRechargeInput,
    CreateRechargeSuccess,
    DraftOrderInput,
    Order,
    PayRechargeInput,
    PayRechargeSuccess,
    StartFaceCheckInput,
    StartFaceCheckSuccess,
    SyncDraftOrdersInput,
    SyncDraftOrdersSuccess,
    SyncedDraft,
)
from schema.types.payloads import (
    CancelRechargePayload,
    CreateRechargePayload,
    PayRechargePayload,
    StartFaceCheckPayload,
    SyncDraftOrdersPayload,
)
from schema.types.refusals import refusals
from schema.types.relay import key_of


async def order(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The order's id.")]
) -> Order | None:
    viewer, key = info.context.signed_in, key_of(id, "Order")
    with refusals(info):
        row = await queries.visible(viewer=viewer, order_id=key) if key else None
    return Order.of(row) if row else None


@payload
async def create_recharge(info: Info, input: Given[CreateRechargeInput]) -> CreateRechargePayload:
    context = info.context
    wanted = Wanted(
        operation=CREATE,
        key=input.idempotency_key,
        card_id=key_of(input.card_id, "Card"),
        yuan=input.amount,
        names_offer=input.offer_id is not None,
        offer_id=key_of(input.offer_id or "", "Offer"),
    )
    created = await operations.create_for_show(
        viewer=context.signed_in, wanted=wanted, policy=context.services.policy, now=context.now
    )
    return CreateRechargeSuccess.of(created)


@payload
async def pay_recharge(info: Info, input: Given[PayRechargeInput]) -> PayRechargePayload:
    context, services = info.context, info.context.services
    started = await paying.start_payment(
        viewer=context.signed_in,
        order_id=key_of(input.order_id, "Order"),
        idempotency_key=input.idempotency_key,
        method=input.method,
        alternatives=input.alternatives,
        alipay_code=input.alipay_auth_code,
        face_token=input.face_token,
        payment_password=payment_passwords.Given(input.payment_password, keeper_of(info)),
        channels=services.third_parties.channels,
        face=services.third_parties.face,
        policy=services.policy,
        now=context.now,
    )
    return PayRechargeSuccess.of(started)


@payload
async def cancel_recharge(info: Info, input: Given[CancelRechargeInput]) -> CancelRechargePayload:
    context, services = info.context, info.context.services
    row = await operations.cancel(
        viewer=context.signed_in,
        order_id=key_of(input.order_id, "Order"),
        channels=services.third_parties.channels,
        policy=services.policy,
        now=context.now,
    )
    return CancelRechargeSuccess.of(row)


@payload
async def start_face_check(info: Info, input: Given[StartFaceCheckInput]) -> StartFaceCheckPayload:
    context, services = info.context, info.context.services
    started = await face_checks.begin(
        viewer=context.signed_in,
        order_id=key_of(input.order_id, "Order"),
        face=services.third_parties.face,
        lifetime=services.policy.face_token_lifetime,
        now=context.now,
    )
    return StartFaceCheckSuccess.of(started)


@payload
async def sync_draft_orders(info: Info, input: Given[SyncDraftOrdersInput]) -> SyncDraftOrdersPayload:
    context = info.context
    synced = await drafts.sync(
        viewer=context.signed_in,
        drafts=[_draft(each) for each in input.drafts],
        policy=context.services.policy,
        now=context.now,
    )
    return SyncDraftOrdersSuccess(results=[SyncedDraft.of(each, context.locale) for each in synced])


def _draft(input: DraftOrderInput) -> drafts.Draft:
    return drafts.Draft(
        client_id=input.client_id,
        card_id=key_of(input.card_id, "Card"),
        yuan=input.amount,
        names_offer=input.offer_id is not None,
        offer_id=key_of(input.offer_id or "", "Offer"),
        quoted=input.quoted_price,
    )
