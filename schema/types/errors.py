"""Errors that the user can act on, as members of payload unions, mapped from the domain's exceptions in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strawberry

from domain.cards.operations import TooManyCards
from domain.cards.rules import CardNumberInvalid
from domain.events import acks
from domain.events.cursors import CursorInvalid
from domain.identity import codes
from domain.identity.idempotency import IdempotencyConflict, IdempotencyKeyInvalid
from domain.identity.phone_numbers import PhoneInvalid
from domain.identity.ports import FaceUnavailable, PhoneCodeRefused, PhoneUnavailable, SmsUnavailable
from domain.identity.staff import StaffOnly
from domain.messages import consents
from domain.offers import rules as offers
from domain.orders import cases, face_checks, reviewing
from domain.orders.drafts import TooManyDrafts
from domain.orders.operations import (
    CardNotFound,
    OfferNotFound,
    OrderNotCancellable,
    PaymentStateUnknown,
    PriceChanged,
)
from domain.orders.paying import OrderNotPayable, PaymentDeadlinePassed
from domain.orders.queries import OrderNotFound
from domain.payments.operations import PaymentRefused, PaymentUnavailable, TooManyPaymentAttempts
from domain.payments.wallet import WalletInsufficient
from domain.risk import rules as risk
from domain.webhooks.operations import TooManyWebhooks
from domain.webhooks.ports import WebhookDocumentInvalid
from domain.webhooks.queries import PartnersOnly, WebhookNotFound
from domain.webhooks.urls import WebhookUrlInvalid
from kernel.errors import Locale, ServiceNotConfigured, YoukaError
from schema.types.enums import DocumentReason, UrlReason
from schema.types.money import Money


@strawberry.interface(description="A refusal that the user can act on.")
class UserError:
    code: str = strawberry.field(description="Stable and machine-readable, such as `AMOUNT_TOO_LARGE`.")
    message: str = strawberry.field(description="For the user, in the language of the request (zh-CN or en).")


@strawberry.type(description="The card number has the wrong digits for either brand.")
class InvalidCardNumber(UserError):
    pass


@strawberry.type(description="A limit of the service was reached.")
class LimitReached(UserError):
    maximum: int = strawberry.field(description="The limit.")


@strawberry.type(description="The amount cannot be recharged.")
class InvalidAmount(UserError):
    minimum: Money | None = strawberry.field(description="The least that can be recharged, where that is the reason.")
    maximum: Money | None = strawberry.field(description="The most that can be recharged, where that is the reason.")


@strawberry.type(description="There is no such object among the viewer's own.")
class NotFound(UserError):
    pass


@strawberry.type(description="The idempotency key is malformed, or was used with another input.")
class IdempotencyError(UserError):
    pass


@strawberry.type(description="The order does not allow this in its state.")
class OrderStateError(UserError):
    pass


@strawberry.type(description="The offer is not open, sold out, for other cards, or was taken already.")
class OfferError(UserError):
    pass


@strawberry.type(description="The price is another one than the user saw; ask again before ordering.")
class PriceChangedError(UserError):
    price: Money = strawberry.field(description="What it costs now.")


@strawberry.type(description="The wallet does not hold enough.")
class InsufficientBalance(UserError):
    balance: Money = strawberry.field(description="What can be spent.")
    missing: Money = strawberry.field(description="How much is missing.")


@strawberry.type(description="The order takes a passed face verification, and there is none that holds.")
class FaceCheckError(UserError):
    retryable: bool = strawberry.field(description="Whether the same token may be sent again later.")


@strawberry.type(description="Only staff may do this.")
class Forbidden(UserError):
    pass


@strawberry.type(description="The review or case is not where the decision supposes it to be.")
class DecisionError(UserError):
    pass


@strawberry.type(description="The URL cannot receive webhooks.")
class InvalidWebhookUrl(UserError):
    reason: UrlReason = strawberry.field(description="What is wrong with it.")


@strawberry.type(description="The subscription cannot feed a webhook.")
class InvalidWebhookDocument(UserError):
    reason: DocumentReason = strawberry.field(description="What is wrong with it.")
    detail: str = strawberry.field(description="Where exactly, for whoever wrote the document.")


@strawberry.type(description="The payment channel could not do it now; the same request may be repeated.")
class ChannelError(UserError):
    retryable: bool = strawberry.field(description="Whether repeating the same request can help.")


@strawberry.type(
    description="The phone number or its code is wrong, too old or asked for too often, or nobody could check it."
)
class PhoneError(UserError):
    retryable: bool = strawberry.field(description="Whether trying again, maybe later, can help.")


@strawberry.type(description="The template is unknown, or the message needs to know which price it is about.")
class MessageTemplateError(UserError):
    pass


@strawberry.type(description="This deployment does not offer it.")
class NotOffered(UserError):
    pass


@strawberry.type(description="The cursor is not one of this stream.")
class CursorError(UserError):
    pass


@strawberry.type(description="The name of the device is not one.")
class DeviceError(UserError):
    pass


def _money(value: Any) -> Money | None:
    return Money.of(value) if value is not None else None


def _amount(error: YoukaError, **common: str) -> UserError:
    return InvalidAmount(
        minimum=_money(error.values.get("minimum")), maximum=_money(error.values.get("maximum")), **common
    )


def _limit(error: YoukaError, **common: str) -> UserError:
    return LimitReached(maximum=error.values.get("maximum", error.values.get("count", 0)), **common)


def _channel(error: YoukaError, **common: str) -> UserError:
    return ChannelError(retryable=not isinstance(error, PaymentRefused), **common)


def _price(error: YoukaError, **common: str) -> UserError:
    return PriceChangedError(price=Money.of(error.values["price"]), **common)


def _balance(error: YoukaError, **common: str) -> UserError:
    balance, missing = Money.of(error.values["balance"]), Money.of(error.values["missing"])
    return InsufficientBalance(balance=balance, missing=missing, **common)


def _face(error: YoukaError, **common: str) -> UserError:
    retryable = isinstance(error, face_checks.FaceNotFinished | FaceUnavailable)
    return FaceCheckError(retryable=retryable, **common)


def _webhook_url(error: YoukaError, **common: str) -> UserError:
    return InvalidWebhookUrl(reason=error.values["reason"], **common)


def _webhook_document(error: YoukaError, **common: str) -> UserError:
    return InvalidWebhookDocument(reason=error.values["reason"], detail=error.values["detail"], **common)


RETRYABLE_OF_PHONES = (PhoneUnavailable, SmsUnavailable, codes.SmsTooSoon, codes.SmsCodeWrong)


def _phone(error: YoukaError, **common: str) -> UserError:
    return PhoneError(retryable=isinstance(error, RETRYABLE_OF_PHONES), **common)


def _plain(kind: type[UserError]) -> Callable[..., UserError]:
    def build(_error: YoukaError, **common: str) -> UserError:
        return kind(**common)

    return build


ERRORS: dict[type[YoukaError], Callable[..., UserError]] = {
    CardNumberInvalid: _plain(InvalidCardNumber),
    TooManyCards: _limit,
    risk.AmountNotPositive: _amount,
    risk.AmountFractionOfFen: _amount,
    risk.AmountMissing: _amount,
    risk.AmountNotOffered: _amount,
    risk.AmountTooSmall: _amount,
    risk.AmountTooLarge: _amount,
    risk.DailyLimitExceeded: _amount,
    risk.WalletTooFull: _amount,
    risk.TooManyUnpaidOrders: _limit,
    TooManyDrafts: _limit,
    offers.OfferNotOpen: _plain(OfferError),
    offers.OfferNotForCard: _plain(OfferError),
    offers.OfferSoldOut: _plain(OfferError),
    offers.OfferTakenAlready: _plain(OfferError),
    OfferNotFound: _plain(NotFound),
    PriceChanged: _price,
    WalletInsufficient: _balance,
    FaceUnavailable: _face,
    face_checks.FaceCheckNotNeeded: _plain(OrderStateError),
    face_checks.FaceTokenMissing: _face,
    face_checks.FaceTokenInvalid: _face,
    face_checks.FaceNotFinished: _face,
    face_checks.FaceCheckFailed: _face,
    CursorInvalid: _plain(CursorError),
    acks.DeviceInvalid: _plain(DeviceError),
    acks.TooManyDevices: _limit,
    StaffOnly: _plain(Forbidden),
    reviewing.ReviewNotPending: _plain(DecisionError),
    reviewing.ReviewOwnOrder: _plain(Forbidden),
    reviewing.ReasonMissing: _plain(DecisionError),
    cases.CaseNotFound: _plain(NotFound),
    cases.CaseClosed: _plain(DecisionError),
    cases.OutcomeNotPossible: _plain(DecisionError),
    cases.SecondPersonNeeded: _plain(Forbidden),
    cases.OrderNotReversible: _plain(OrderStateError),
    CardNotFound: _plain(NotFound),
    OrderNotFound: _plain(NotFound),
    IdempotencyKeyInvalid: _plain(IdempotencyError),
    IdempotencyConflict: _plain(IdempotencyError),
    OrderNotPayable: _plain(OrderStateError),
    PaymentDeadlinePassed: _plain(OrderStateError),
    OrderNotCancellable: _plain(OrderStateError),
    TooManyPaymentAttempts: _plain(OrderStateError),
    PaymentStateUnknown: _channel,
    PaymentUnavailable: _channel,
    PaymentRefused: _channel,
    PartnersOnly: _plain(Forbidden),
    WebhookNotFound: _plain(NotFound),
    WebhookUrlInvalid: _webhook_url,
    WebhookDocumentInvalid: _webhook_document,
    TooManyWebhooks: _limit,
    PhoneCodeRefused: _phone,
    PhoneUnavailable: _phone,
    PhoneInvalid: _phone,
    codes.SmsTooSoon: _phone,
    codes.SmsCodeWrong: _phone,
    codes.SmsCodeGone: _phone,
    SmsUnavailable: _phone,
    consents.TemplateUnknown: _plain(MessageTemplateError),
    consents.PriceWatchMissing: _plain(MessageTemplateError),
    consents.TooManyConsents: _limit,
    ServiceNotConfigured: _plain(NotOffered),
}


def to_user_error(error: YoukaError, locale: Locale) -> UserError | None:
    """Return the typed member for a domain error, or None where it is not one for payloads."""
    build = ERRORS.get(type(error))
    return build(error, code=error.code, message=error.message(locale)) if build else None
