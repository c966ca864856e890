"""How the service is, and turning its switches."""

from __future__ import annotations

from domain.identity import staff
from domain.switches import operations
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import TurnSwitchPayload
from schema.types.status import ServiceStatus, TurnSwitchInput, TurnSwitchSuccess


def service_status(info: Info) -> ServiceStatus:
    services = info.context.services
    return ServiceStatus.of(services.switches.state, services.third_parties.health.degraded())


@payload
async def turn_switch(info: Info, input: Given[TurnSwitchInput]) -> TurnSwitchPayload:
    member = await staff.require(viewer=info.context.signed_in)
    row = await operations.turn(
        switch=input.switch,
        on=input.on,
        reason=input.reason,
        notice=input.notice,
        until=input.until,
        actor=member.actor,
        roles=member.roles,
        now=info.context.now,
    )
    return TurnSwitchSuccess.of(row)
