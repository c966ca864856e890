"""Enums of the schema. A value that is newer than this client stays a text.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from enum import StrEnum


class CardBrand(StrEnum):
    """Who issued a fuel card."""

    SINOPEC = "SINOPEC"
    PETROCHINA = "PETROCHINA"


class FailureKind(StrEnum):
    """Why an order failed."""

    UNPAID = "UNPAID"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    ISSUER_REFUSED = "ISSUER_REFUSED"
    REVERSED = "REVERSED"


class GapReason(StrEnum):
    """Why events behind a cursor cannot be told one by one."""

    HISTORY_GONE = "HISTORY_GONE"
    EPOCH_CHANGED = "EPOCH_CHANGED"


class OrderState(StrEnum):
    """Where a recharge order stands."""

    PENDING_PAYMENT = "PENDING_PAYMENT"
    PAYING = "PAYING"
    RECHARGING = "RECHARGING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class PaymentMethod(StrEnum):
    """How an order is paid."""

    WECHAT_PAY = "WECHAT_PAY"
    ALIPAY = "ALIPAY"
    WALLET = "WALLET"
    MANDATE = "MANDATE"


class Product(StrEnum):
    """A fuel of the official price notices."""

    GASOLINE_89 = "GASOLINE_89"
    GASOLINE_92 = "GASOLINE_92"
    GASOLINE_95 = "GASOLINE_95"
    GASOLINE_98 = "GASOLINE_98"
    DIESEL_0 = "DIESEL_0"


class RefundState(StrEnum):
    """Where the money of a failed order is."""

    NONE = "NONE"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    ABNORMAL = "ABNORMAL"


class ReviewState(StrEnum):
    """Where the review of an order stands that a person must look at before it is recharged."""

    NONE = "NONE"
    REQUIRED = "REQUIRED"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class ServiceMode(StrEnum):
    """What the service can do now."""

    NORMAL = "NORMAL"
    MAINTENANCE = "MAINTENANCE"


class StationBrand(StrEnum):
    """Whose sign stands at a station."""

    SINOPEC = "SINOPEC"
    PETROCHINA = "PETROCHINA"
    CNOOC = "CNOOC"
    SHELL = "SHELL"
    OTHER = "OTHER"


class SuspensionReason(StrEnum):
    """Why deliveries to a webhook have stopped."""

    FAILING = "FAILING"
    GONE = "GONE"
    OWNER_GONE = "OWNER_GONE"
    REFUSED = "REFUSED"


class WebhookDeliveryError(StrEnum):
    """Why an attempt was no success."""

    ANSWERED = "ANSWERED"
    TIMEOUT = "TIMEOUT"
    UNREACHABLE = "UNREACHABLE"
    UNRESOLVABLE = "UNRESOLVABLE"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    TLS = "TLS"
    PROTOCOL = "PROTOCOL"
    EXECUTION = "EXECUTION"


class WebhookDocumentReason(StrEnum):
    """Why a document cannot feed a webhook."""

    TOO_LONG = "TOO_LONG"
    MISSING = "MISSING"
    NOT_PERSISTED = "NOT_PERSISTED"
    SYNTAX = "SYNTAX"
    VALIDATION = "VALIDATION"
    TOO_COMPLEX = "TOO_COMPLEX"
    OPERATION = "OPERATION"
    ROOT_FIELD = "ROOT_FIELD"
    AFTER_MISSING = "AFTER_MISSING"
    AFTER_GIVEN = "AFTER_GIVEN"
    VARIABLES = "VARIABLES"
    REFUSED = "REFUSED"


class WebhookState(StrEnum):
    """Whether a webhook is delivered."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"


class WebhookUrlReason(StrEnum):
    """What is wrong with a webhook's URL."""

    MALFORMED = "MALFORMED"
    TOO_LONG = "TOO_LONG"
    SCHEME = "SCHEME"
    CREDENTIALS = "CREDENTIALS"
    FRAGMENT = "FRAGMENT"
    HOST = "HOST"
    PORT = "PORT"
    ADDRESS = "ADDRESS"
    UNRESOLVABLE = "UNRESOLVABLE"
