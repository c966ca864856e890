"""The viewer's wallet."""

from __future__ import annotations

from domain.payments import top_ups
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import TopUpWalletPayload
from schema.types.wallet import TopUpWalletInput, TopUpWalletSuccess


@payload
async def top_up_wallet(info: Info, input: Given[TopUpWalletInput]) -> TopUpWalletPayload:
    context, services = info.context, info.context.services
    started = await top_ups.start(
        viewer=context.signed_in,
        yuan=input.amount,
        idempotency_key=input.idempotency_key,
        channels=services.third_parties.channels,
        limits=services.policy.limits,
        pay_within=services.policy.pay_within,
        query_after=services.policy.payment_query_after,
        now=context.now,
    )
    return TopUpWalletSuccess.of(started)
