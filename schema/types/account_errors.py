"""What is refused about phones, second proofs, payment passwords and cards that are in use."""

from __future__ import annotations

from collections.abc import Callable

import strawberry

from domain.account import payment_passwords as passwords
from domain.account.rules import PaymentPasswordMalformed, PaymentPasswordWeak
from domain.identity import codes
from domain.identity.phone_numbers import PhoneInvalid
from domain.identity.ports import PhoneCodeRefused, PhoneUnavailable, SmsUnavailable
from domain.orders.unbinding import CardInUse
from domain.step_up import operations as step_up
from domain.step_up.rules import StepUpContentInvalid
from kernel.errors import YoukaError
from schema.types.scalars import DateTime
from schema.types.user_error import UserError


@strawberry.type(
    description="The phone number or its code is wrong, too old or asked for too often, or nobody could check it."
)
class PhoneError(UserError):
    retryable: bool = strawberry.field(description="Whether trying again, maybe later, can help.")


@strawberry.type(
    description="The action takes a second proof of who asks, and there is none that holds. `STEP_UP_PHONE_MISSING`: "
    "bind a phone first. `STEP_UP_NEEDED` and `STEP_UP_GRANT_INVALID`: begin with `startStepUp`."
)
class StepUpError(UserError):
    retryable: bool = strawberry.field(description="Whether the same proof may be sent again later.")


@strawberry.type(description="The payment password is missing, wrong, locked, or cannot be this one.")
class PaymentPasswordError(UserError):
    attempts_left: int | None = strawberry.field(
        description="How many wrong ones more lock it, where this one was wrong."
    )
    retry_at: DateTime | None = strawberry.field(description="When it is not locked any more, where it is.")


@strawberry.type(description="A recharge of the card is under way, so it stays bound.")
class CardInUseError(UserError):
    pass


RETRYABLE_OF_PHONES = (PhoneUnavailable, SmsUnavailable, codes.SmsTooSoon, codes.SmsCodeWrong)


def _phone(error: YoukaError, **common: str) -> UserError:
    return PhoneError(retryable=isinstance(error, RETRYABLE_OF_PHONES), **common)


def _step_up(error: YoukaError, **common: str) -> UserError:
    return StepUpError(retryable=isinstance(error, step_up.StepUpFaceNotFinished), **common)


def _password(error: YoukaError, **common: str) -> UserError:
    retry_at = error.values.get("retry_at")
    return PaymentPasswordError(
        attempts_left=error.values.get("attempts_left"), retry_at=DateTime(retry_at) if retry_at else None, **common
    )


def _card_in_use(_error: YoukaError, **common: str) -> UserError:
    return CardInUseError(**common)


ACCOUNT_ERRORS: dict[type[YoukaError], Callable[..., UserError]] = {
    PhoneCodeRefused: _phone,
    PhoneUnavailable: _phone,
    PhoneInvalid: _phone,
    SmsUnavailable: _phone,
    codes.SmsTooSoon: _phone,
    codes.SmsCodeWrong: _phone,
    codes.SmsCodeGone: _phone,
    StepUpContentInvalid: _step_up,
    step_up.StepUpPhoneMissing: _step_up,
    step_up.StepUpsTooMany: _step_up,
    step_up.StepUpGone: _step_up,
    step_up.StepUpFaceNotFinished: _step_up,
    step_up.StepUpFaceFailed: _step_up,
    step_up.StepUpNeeded: _step_up,
    step_up.StepUpGrantInvalid: _step_up,
    PaymentPasswordMalformed: _password,
    PaymentPasswordWeak: _password,
    passwords.PaymentPasswordNotSet: _password,
    passwords.PaymentPasswordSet: _password,
    passwords.PaymentPasswordNeeded: _password,
    passwords.PaymentPasswordWrong: _password,
    passwords.PaymentPasswordLocked: _password,
    CardInUse: _card_in_use,
}
