"""Second proofs of who asks."""

from __future__ import annotations

from domain.identity.ports import SmsSender
from domain.step_up import operations
from domain.step_up.policy import StepUpPolicy
from kernel.errors import ServiceNotConfigured
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import ConfirmStepUpPayload, StartStepUpPayload
from schema.types.relay import key_of
from schema.types.step_up import ConfirmStepUpInput, ConfirmStepUpSuccess, StartStepUpInput, StartStepUpSuccess


@payload
async def start_step_up(info: Info, input: Given[StartStepUpInput]) -> StartStepUpPayload:
    context, services = info.context, info.context.services
    started = await operations.start(
        viewer=context.signed_in,
        content=input.content(services.policy.limits),
        address=context.address,
        sender=_sender(info),
        face=services.third_parties.face,
        sealer=services.sealer,
        policy=StepUpPolicy.of(services.settings),
        now=context.now,
    )
    return StartStepUpSuccess.of(started)


@payload
async def confirm_step_up(info: Info, input: Given[ConfirmStepUpInput]) -> ConfirmStepUpPayload:
    context, services = info.context, info.context.services
    grant = await operations.confirm(
        viewer=context.signed_in,
        challenge_id=key_of(input.challenge_id, "StepUp"),
        code=input.code,
        face_token=input.face_token,
        face=services.third_parties.face,
        sealer=services.sealer,
        policy=StepUpPolicy.of(services.settings),
        now=context.now,
    )
    return ConfirmStepUpSuccess.of(grant)


def _sender(info: Info) -> SmsSender:
    sender = info.context.services.third_parties.platforms.sms
    if sender is None:
        raise ServiceNotConfigured
    return sender
