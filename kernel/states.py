"""The words for states, brands and products that tables, rules and the schema share."""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"  # 待支付
    PAYING = "PAYING"  # 支付中
    RECHARGING = "RECHARGING"  # 充值中
    SUCCEEDED = "SUCCEEDED"  # 成功
    FAILED = "FAILED"  # 失败


class FailureKind(StrEnum):
    UNPAID = "UNPAID"
    CANCELLED = "CANCELLED"
    ISSUER_REFUSED = "ISSUER_REFUSED"


class RefundState(StrEnum):
    NONE = "NONE"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    ABNORMAL = "ABNORMAL"


class PaymentState(StrEnum):
    """Of one attempt to pay through one channel."""

    OPEN = "OPEN"
    PAID = "PAID"
    CLOSED = "CLOSED"


class RechargeState(StrEnum):
    """Of one attempt to recharge through one issuer; SUBMITTED covers accepted and unknown alike."""

    SUBMITTED = "SUBMITTED"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"


class InterventionAction(StrEnum):
    """What a person does with work that no retry could settle."""

    RETRY = "RETRY"
    DISMISS = "DISMISS"


class CardBrand(StrEnum):
    SINOPEC = "SINOPEC"  # 中石化
    PETROCHINA = "PETROCHINA"  # 中石油


class StationBrand(StrEnum):
    SINOPEC = "SINOPEC"
    PETROCHINA = "PETROCHINA"
    CNOOC = "CNOOC"  # 中国海油
    SHELL = "SHELL"  # 壳牌
    OTHER = "OTHER"


class Product(StrEnum):
    """The product codes of the official price notices: petrol by octane number, diesel 0."""

    GASOLINE_89 = "89"
    GASOLINE_92 = "92"
    GASOLINE_95 = "95"
    GASOLINE_98 = "98"
    DIESEL_0 = "0"
