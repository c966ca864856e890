"""Cards."""

from __future__ import annotations

from domain.cards import operations
from resolvers.payloads import payload
from schema.types.cards import BindCardInput, Card
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import BindCardPayload, BindCardSuccess


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
