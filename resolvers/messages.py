"""The viewer's phone, and the messages that they accept."""

from __future__ import annotations

from domain.account import phones
from domain.identity import codes
from domain.identity.codes import CodePolicy
from domain.messages import consents
from domain.messages.consents import Watch
from domain.messages.policy import Policy
from domain.messages.ports import MessageSender
from kernel.errors import ServiceNotConfigured
from kernel.states import CodePurpose
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.messages import (
    BindPhoneInput,
    BindPhoneSuccess,
    BoundPhone,
    ConfirmPhoneInput,
    GrantMessageConsentInput,
    MessageConsent,
    MessageConsentSuccess,
    PriceWatchInput,
    RequestSmsCodeInput,
    RequestSmsCodeSuccess,
    WithdrawMessageConsentInput,
)
from schema.types.payloads import BindPhonePayload, MessageConsentPayload, RequestSmsCodePayload
from schema.types.relay import key_of
from schema.types.scalars import DateTime


@payload
async def bind_phone(info: Info, input: Given[BindPhoneInput]) -> BindPhonePayload:
    context, services = info.context, info.context.services
    if services.third_parties.platforms.phones is None:
        raise ServiceNotConfigured
    row = await phones.bind(
        viewer=context.signed_in,
        code=input.code,
        grant=input.step_up_grant,
        numbers=services.third_parties.platforms.phones,
        sealer=services.sealer,
        now=context.now,
    )
    return BindPhoneSuccess(phone=BoundPhone.of(row))


@payload
async def request_sms_code(info: Info, input: Given[RequestSmsCodeInput]) -> RequestSmsCodePayload:
    context, services = info.context, info.context.services
    if services.third_parties.platforms.sms is None:
        raise ServiceNotConfigured
    expires_at = await codes.request(
        viewer=context.signed_in,
        phone=input.phone,
        purpose=CodePurpose.BIND_PHONE,
        subject=str(context.signed_in.user_id),
        address=context.address,
        sender=services.third_parties.platforms.sms,
        sealer=services.sealer,
        policy=CodePolicy.of(services.settings),
        now=context.now,
    )
    return RequestSmsCodeSuccess(expires_at=DateTime(expires_at))


@payload
async def confirm_phone(info: Info, input: Given[ConfirmPhoneInput]) -> BindPhonePayload:
    context, services = info.context, info.context.services
    row = await phones.confirm(
        viewer=context.signed_in,
        phone=input.phone,
        code=input.code,
        grant=input.step_up_grant,
        sealer=services.sealer,
        policy=CodePolicy.of(services.settings),
        now=context.now,
    )
    return BindPhoneSuccess(phone=BoundPhone.of(row))


@payload
async def grant_message_consent(info: Info, input: Given[GrantMessageConsentInput]) -> MessageConsentPayload:
    context, sender = info.context, _sender(info)
    standings = await consents.grant(
        viewer=context.signed_in,
        templates=consents.by_id(sender.templates, input.template_ids),
        watch=_watch(input.price),
        key=input.idempotency_key,
        policy=Policy.of(context.services.settings),
        now=context.now,
    )
    return MessageConsentSuccess(consents=MessageConsent.listed(standings, sender.templates))


@payload
async def withdraw_message_consent(info: Info, input: Given[WithdrawMessageConsentInput]) -> MessageConsentPayload:
    context, sender = info.context, _sender(info)
    standings = await consents.withdraw(
        viewer=context.signed_in, templates=consents.by_id(sender.templates, input.template_ids), now=context.now
    )
    return MessageConsentSuccess(consents=MessageConsent.listed(standings, sender.templates))


def _sender(info: Info) -> MessageSender:
    sender = info.context.services.third_parties.platforms.messages
    if sender is None:
        raise ServiceNotConfigured
    return sender


def _watch(given: PriceWatchInput | None) -> Watch | None:
    key = key_of(given.station_id, "Station") if given else None
    return Watch(key, given.product) if given and key else None
