"""Mandates to pay without a password."""

from __future__ import annotations

from domain.mandates import operations
from domain.mandates.operations import Wanted
from domain.mandates.policy import MandatePolicy
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.mandates import (
    CreateMandateInput,
    CreateMandateSuccess,
    LowerMandateCapsInput,
    LowerMandateCapsSuccess,
    RevokeMandateInput,
    RevokeMandateSuccess,
)
from schema.types.payloads import CreateMandatePayload, LowerMandateCapsPayload, RevokeMandatePayload
from schema.types.relay import key_of


@payload
async def create_mandate(info: Info, input: Given[CreateMandateInput]) -> CreateMandatePayload:
    context, services = info.context, info.context.services
    wanted = Wanted(
        key=input.idempotency_key,
        transaction_max=input.transaction_max,
        daily_max=input.daily_max,
        card_ids=[key_of(card_id, "Card") for card_id in input.card_ids],
        expires_at=input.expires_at,
        grant=input.step_up_grant,
    )
    begun = await operations.create(
        viewer=context.signed_in,
        wanted=wanted,
        contracts=services.third_parties.contracts,
        sealer=services.sealer,
        policy=MandatePolicy.of(services.settings),
        now=context.now,
    )
    return CreateMandateSuccess.of(begun)


@payload
async def lower_mandate_caps(info: Info, input: Given[LowerMandateCapsInput]) -> LowerMandateCapsPayload:
    row = await operations.lower_caps(
        viewer=info.context.signed_in,
        mandate_id=key_of(input.mandate_id, "Mandate"),
        transaction_max=input.transaction_max,
        daily_max=input.daily_max,
        now=info.context.now,
    )
    return LowerMandateCapsSuccess.of(row)


@payload
async def revoke_mandate(info: Info, input: Given[RevokeMandateInput]) -> RevokeMandatePayload:
    mandate_id = key_of(input.mandate_id, "Mandate")
    revoked = await operations.revoke(viewer=info.context.signed_in, mandate_id=mandate_id, now=info.context.now)
    return RevokeMandateSuccess.of(revoked)
