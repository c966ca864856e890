"""Cards."""

from __future__ import annotations

from datetime import timedelta

from domain.cards import checking, operations
from resolvers.payloads import payload
from schema.types.cards import BindCardInput, Card, CheckCardInput, CheckCardSuccess
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import BindCardPayload, BindCardSuccess, CheckCardPayload
from schema.types.relay import key_of


@payload
async def bind_card(info: Info, input: Given[BindCardInput]) -> BindCardPayload:
    context, services = info.context, info.context.services
    row = await operations.bind(
        viewer=context.signed_in,
        number=input.number,
        sealer=services.sealer,
        cards_max=services.settings.cards_per_user_max,
        now=context.now,
    )
    return BindCardSuccess(card=Card.of(row))


@payload
async def check_card(info: Info, input: Given[CheckCardInput]) -> CheckCardPayload:
    context, services = info.context, info.context.services
    checked = await checking.check(
        viewer=context.signed_in,
        card_id=key_of(input.card_id, "Card"),
        issuers=services.third_parties.issuers,
        rules=services.policy.routing,
        sealer=services.sealer,
        interval=timedelta(seconds=services.settings.card_check_interval_s),
        now=context.now,
    )
    return CheckCardSuccess.of(checked)
