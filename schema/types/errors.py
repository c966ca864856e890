"""Errors that the user can act on, as members of payload unions, mapped from the domain's exceptions in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strawberry

from domain.access import assertions, attempts, clients, devices, sessions
from domain.account.rules import OwnLimitExceeded
from domain.budgets.operations import BudgetSpent
from domain.cards.checking import CardCheckedTooSoon, CardCheckUnavailable
from domain.cards.operations import TooManyCards
from domain.cards.queries import CardNotFound
from domain.cards.rules import CardNumberInvalid
from domain.events import acks
from domain.events.cursors import CursorInvalid
from domain.identity.idempotency import IdempotencyConflict, IdempotencyKeyInvalid
from domain.identity.ports import FaceUnavailable
from domain.identity.scopes import ScopeMissing
from domain.identity.staff import StaffOnly
from domain.mandates import rules as mandates
from domain.mandates.operations import MandateCardsInvalid, MandateExists, MandateScopeMissing, MandatesNotOffered
from domain.mandates.queries import MandateNotFound
from domain.messages import consents
from domain.offers import rules as offers
from domain.orders import cases, face_checks, reviewing
from domain.orders.choosing import PaymentMethodUnavailable
from domain.orders.creating import PriceChanged
from domain.orders.drafts import TooManyDrafts
from domain.orders.operations import (
    OfferNotFound,
    OrderNotCancellable,
    PaymentStateUnknown,
)
from domain.orders.paying import OrderNotPayable, PaymentDeadlinePassed
from domain.orders.queries import OrderNotFound
from domain.payments.operations import PaymentRefused, PaymentUnavailable, TooManyPaymentAttempts
from domain.payments.payers import PayerUnknown
from domain.payments.wallet import WalletInsufficient
from domain.reconciliation import deciding
from domain.risk import rules as risk
from domain.stations.geo import LocationInvalid
from domain.switches.operations import SwitchNoticeInvalid, SwitchReasonInvalid
from domain.switches.switchboard import UnderMaintenance
from domain.voice import operations as voice
from domain.voice import sessions as conversations
from domain.webhooks.operations import TooManyWebhooks
from domain.webhooks.ports import WebhookDocumentInvalid
from domain.webhooks.queries import WebhookNotFound
from domain.webhooks.urls import WebhookUrlInvalid
from domain.work import manual_queue
from kernel.errors import Locale, ServiceNotConfigured, YoukaError
from schema.types.account_errors import ACCOUNT_ERRORS
from schema.types.budgets import rate_limited
from schema.types.enums import DocumentReason, UrlReason
from schema.types.fund_errors import FUND_ERRORS, FUNDS_AMOUNTS, FUNDS_MISSING, FUNDS_UNDECIDED
from schema.types.mandate_errors import MandateError
from schema.types.money import Money
from schema.types.organisation_errors import organisation_errors
from schema.types.scalars import DateTime
from schema.types.user_error import UserError
from schema.types.voice_errors import ConfirmationError, VoiceInputError, VoiceNotAllowed


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
    description="This way to pay is not offered (`PAYMENT_METHOD_UNAVAILABLE`), or the viewer must authorise it first "
    "(`PAYER_UNKNOWN`)."
)
class PaymentMethodError(UserError):
    pass


@strawberry.type(description="The template is unknown, or the message needs to know which price it is about.")
class MessageTemplateError(UserError):
    pass


@strawberry.type(description="This deployment does not offer it.")
class NotOffered(UserError):
    pass


@strawberry.type(description="The key of a client is not a public key that it may sign with.")
class InvalidClientKey(UserError):
    pass


@strawberry.type(description="The cursor is not one of this stream.")
class CursorError(UserError):
    pass


@strawberry.type(description="The name of the device is not one.")
class DeviceError(UserError):
    pass


@strawberry.type(description="The card cannot be looked up now. Recharging it does not depend on that.")
class CardCheckError(UserError):
    retry_at: DateTime | None = strawberry.field(
        description="When the issuers answer again about this card, where it was asked about too soon."
    )


@strawberry.type(description="The service is under maintenance, and nothing was done.")
class MaintenanceError(UserError):
    until: DateTime | None = strawberry.field(description="When it should be over, where that is known.")


@strawberry.type(description="The switch cannot be turned so.")
class SwitchError(UserError):
    pass


def _money(value: Any) -> Money | None:
    return Money.showing(value) if value is not None else None


def _amount(error: YoukaError, **common: str) -> UserError:
    return InvalidAmount(
        minimum=_money(error.values.get("minimum")), maximum=_money(error.values.get("maximum")), **common
    )


def _limit(error: YoukaError, **common: str) -> UserError:
    return LimitReached(maximum=error.values.get("maximum", error.values.get("count", 0)), **common)


def _channel(error: YoukaError, **common: str) -> UserError:
    return ChannelError(retryable=not isinstance(error, PaymentRefused), **common)


def _mandate(error: YoukaError, **common: str) -> UserError:
    return MandateError(maximum=_money(error.values.get("maximum")), **common)


def _price(error: YoukaError, **common: str) -> UserError:
    return PriceChangedError(price=Money.showing(error.values["price"]), **common)


def _balance(error: YoukaError, **common: str) -> UserError:
    balance, missing = Money.showing(error.values["balance"]), Money.showing(error.values["missing"])
    return InsufficientBalance(balance=balance, missing=missing, **common)


def _face(error: YoukaError, **common: str) -> UserError:
    retryable = isinstance(error, face_checks.FaceNotFinished | FaceUnavailable)
    return FaceCheckError(retryable=retryable, **common)


def _webhook_url(error: YoukaError, **common: str) -> UserError:
    return InvalidWebhookUrl(reason=error.values["reason"], **common)


def _webhook_document(error: YoukaError, **common: str) -> UserError:
    return InvalidWebhookDocument(reason=error.values["reason"], detail=error.values["detail"], **common)


def _voice(error: YoukaError, **common: str) -> UserError:
    return VoiceInputError(retryable=isinstance(error, conversations.VoiceSessionBusy), **common)


def _maintenance(error: YoukaError, **common: str) -> UserError:
    until = error.values.get("until")
    return MaintenanceError(until=DateTime(until) if until else None, **common)


def _plain(kind: type[UserError]) -> Callable[..., UserError]:
    def build(_error: YoukaError, **common: str) -> UserError:
        return kind(**common)

    return build


def _card_check(error: YoukaError, **common: str) -> UserError:
    retry_at = error.values.get("retry_at")
    return CardCheckError(retry_at=DateTime(retry_at) if retry_at else None, **common)


ERRORS: dict[type[YoukaError], Callable[..., UserError]] = {
    **ACCOUNT_ERRORS,
    **FUND_ERRORS,
    **dict.fromkeys(FUNDS_MISSING, _plain(NotFound)),
    **dict.fromkeys(FUNDS_UNDECIDED, _plain(DecisionError)),
    **dict.fromkeys(FUNDS_AMOUNTS, _amount),
    CardNumberInvalid: _plain(InvalidCardNumber),
    TooManyCards: _limit,
    CardCheckedTooSoon: _card_check,
    CardCheckUnavailable: _card_check,
    risk.AmountNotPositive: _amount,
    risk.AmountFractionOfFen: _amount,
    risk.AmountMissing: _amount,
    risk.AmountNotOffered: _amount,
    risk.AmountTooSmall: _amount,
    risk.AmountTooLarge: _amount,
    risk.DailyLimitExceeded: _amount,
    OwnLimitExceeded: _amount,
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
    ScopeMissing: _plain(Forbidden),
    reviewing.ReviewNotPending: _plain(DecisionError),
    reviewing.ReviewOwnOrder: _plain(Forbidden),
    reviewing.ReasonMissing: _plain(DecisionError),
    cases.CaseNotFound: _plain(NotFound),
    cases.CaseClosed: _plain(DecisionError),
    cases.OutcomeNotPossible: _plain(DecisionError),
    cases.SecondPersonNeeded: _plain(Forbidden),
    cases.OrderNotReversible: _plain(OrderStateError),
    deciding.DifferenceNotFound: _plain(NotFound),
    deciding.DifferenceChanged: _plain(DecisionError),
    deciding.BooksMoved: _plain(DecisionError),
    deciding.OutcomeOverdraws: _plain(DecisionError),
    manual_queue.JobNotFound: _plain(NotFound),
    manual_queue.JobNotParked: _plain(DecisionError),
    manual_queue.ReasonMissing: _plain(DecisionError),
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
    PaymentMethodUnavailable: _plain(PaymentMethodError),
    PayerUnknown: _plain(PaymentMethodError),
    mandates.MandateNotActive: _mandate,
    mandates.MandateCardNotAllowed: _mandate,
    mandates.MandateCapExceeded: _mandate,
    mandates.MandateCapInvalid: _mandate,
    mandates.MandateTimeInvalid: _mandate,
    MandateCardsInvalid: _mandate,
    MandateExists: _mandate,
    risk.PayerNeeded: _mandate,
    risk.TooManyUnattended: _mandate,
    MandateNotFound: _plain(NotFound),
    MandateScopeMissing: _plain(Forbidden),
    MandatesNotOffered: _plain(NotOffered),
    WebhookNotFound: _plain(NotFound),
    WebhookUrlInvalid: _webhook_url,
    WebhookDocumentInvalid: _webhook_document,
    TooManyWebhooks: _limit,
    consents.TemplateUnknown: _plain(MessageTemplateError),
    consents.PriceWatchMissing: _plain(MessageTemplateError),
    consents.TooManyConsents: _limit,
    attempts.TooManyAttempts: _limit,
    sessions.SessionNotFound: _plain(NotFound),
    devices.UserCodeUnknown: _plain(NotFound),
    devices.ApprovalForbidden: _plain(Forbidden),
    clients.PartnerOnly: _plain(Forbidden),
    assertions.ClientKeyInvalid: _plain(InvalidClientKey),
    ServiceNotConfigured: _plain(NotOffered),
    voice.VoiceTranscriptInvalid: _voice,
    voice.VoiceSignInNeeded: _plain(VoiceNotAllowed),
    voice.VoiceScopeMissing: _plain(VoiceNotAllowed),
    voice.ConfirmTokenInvalid: _plain(ConfirmationError),
    voice.ConfirmTokenExpired: _plain(ConfirmationError),
    conversations.VoiceSessionInvalid: _voice,
    conversations.VoiceSessionBusy: _voice,
    conversations.TooManyVoiceSessions: _limit,
    LocationInvalid: _voice,
    UnderMaintenance: _maintenance,
    BudgetSpent: rate_limited,
    SwitchReasonInvalid: _plain(SwitchError),
    SwitchNoticeInvalid: _plain(SwitchError),
    **organisation_errors(not_found=_plain(NotFound), limit=_limit),
}


def to_user_error(error: YoukaError, locale: Locale) -> UserError | None:
    """Return the typed member for a domain error, or None where it is not one for payloads."""
    build = ERRORS.get(type(error))
    if build is None:
        return None
    typed = build(error, code=error.code, message=error.message(locale))
    typed.error = error
    return typed
