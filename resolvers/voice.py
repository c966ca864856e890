"""Conversations by voice."""

from __future__ import annotations

from domain.stations.geo import Location
from domain.voice.operations import House, Said, turn
from domain.voice.payers import MandatePayer, WalletPayer
from domain.voice.policy import VoicePolicy
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import VoiceTurnPayload
from schema.types.spoken import locale_of
from schema.types.voice import VoiceTurnInput, VoiceTurnSuccess


@payload
async def voice_turn(info: Info, input: Given[VoiceTurnInput]) -> VoiceTurnPayload:
    context = info.context
    near = input.location
    said = Said(
        session=input.session,
        transcript=input.transcript,
        locale=locale_of(info, input.locale),
        location=Location(near.latitude, near.longitude) if near else None,
        confirm_token=input.confirm_token,
    )
    return VoiceTurnSuccess.of(await turn(viewer=context.viewer, said=said, house=_house(info), now=context.now))


def _house(info: Info) -> House:
    services = info.context.services
    parties = services.third_parties
    return House(
        index=services.stations,
        payer=WalletPayer(parties.channels, parties.face, services.policy),
        orders=services.policy,
        mandate=MandatePayer(parties.channels, parties.face, services.policy),
        voice=VoicePolicy.of(services.settings),
        budgets=services.budgets,
    )
