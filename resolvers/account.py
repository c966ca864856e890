"""What the viewer protects: the payment password, their own limits, and cards that they unbind."""

from __future__ import annotations

from domain.account import payment_passwords, spending
from domain.account.payment_passwords import Keeper, PasswordPolicy
from domain.orders import unbinding
from resolvers.payloads import payload
from schema.types.account import (
    ChangePaymentPasswordInput,
    PaymentPasswordSuccess,
    ResetPaymentPasswordInput,
    SetPaymentPasswordInput,
    SetSpendingLimitsInput,
    SetSpendingLimitsSuccess,
    UnbindCardInput,
    UnbindCardSuccess,
)
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import PaymentPasswordPayload, SetSpendingLimitsPayload, UnbindCardPayload
from schema.types.relay import key_of


def keeper_of(info: Info) -> Keeper:
    services = info.context.services
    return Keeper(services.sealer, PasswordPolicy.of(services.settings))


@payload
async def set_payment_password(info: Info, input: Given[SetPaymentPasswordInput]) -> PaymentPasswordPayload:
    context, grant = info.context, input.step_up_grant
    await payment_passwords.set_first(
        viewer=context.signed_in, password=input.password, grant=grant, keeper=keeper_of(info), now=context.now
    )
    return PaymentPasswordSuccess(has_payment_password=True)


@payload
async def change_payment_password(info: Info, input: Given[ChangePaymentPasswordInput]) -> PaymentPasswordPayload:
    context = info.context
    await payment_passwords.change(
        viewer=context.signed_in,
        current=input.current_password,
        password=input.password,
        grant=input.step_up_grant,
        keeper=keeper_of(info),
        now=context.now,
    )
    return PaymentPasswordSuccess(has_payment_password=True)


@payload
async def reset_payment_password(info: Info, input: Given[ResetPaymentPasswordInput]) -> PaymentPasswordPayload:
    context, grant = info.context, input.step_up_grant
    await payment_passwords.reset(
        viewer=context.signed_in, password=input.password, grant=grant, keeper=keeper_of(info), now=context.now
    )
    return PaymentPasswordSuccess(has_payment_password=True)


@payload
async def set_spending_limits(info: Info, input: Given[SetSpendingLimitsInput]) -> SetSpendingLimitsPayload:
    context, services = info.context, info.context.services
    wanted = spending.read_limits(per_recharge=input.per_recharge, per_day=input.per_day, limits=services.policy.limits)
    own = await spending.set_limits(
        viewer=context.signed_in, wanted=wanted, grant=input.step_up_grant, sealer=services.sealer, now=context.now
    )
    return SetSpendingLimitsSuccess.of(own)


@payload
async def unbind_card(info: Info, input: Given[UnbindCardInput]) -> UnbindCardPayload:
    context = info.context
    row = await unbinding.unbind(
        viewer=context.signed_in,
        card_id=key_of(input.card_id, "Card"),
        grant=input.step_up_grant,
        sealer=context.services.sealer,
        now=context.now,
    )
    return UnbindCardSuccess.of(row)
