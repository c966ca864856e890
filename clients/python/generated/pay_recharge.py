"""The mutation `PayRecharge`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ..errors import Refusal, Unknown
from ..wire import Operation, enum_of
from .enums import OrderState


@dataclass(frozen=True, slots=True)
class PayRechargeChannelError(Refusal):
    retryable: bool
    """Whether repeating the same request can help."""
    typename: Literal["ChannelError"] = "ChannelError"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            code=data["code"],
            message=data["message"],
            retryable=data["retryable"],
        )


@dataclass(frozen=True, slots=True)
class PayRechargeFaceCheckError(Refusal):
    typename: Literal["FaceCheckError"] = "FaceCheckError"


@dataclass(frozen=True, slots=True)
class PayRechargeIdempotencyError(Refusal):
    typename: Literal["IdempotencyError"] = "IdempotencyError"


@dataclass(frozen=True, slots=True)
class PayRechargeInsufficientBalanceMissing:
    fen: int
    """Integer fen; compute with this."""
    text: str
    """For people, such as `¥500.00`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            fen=data["fen"],
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class PayRechargeInsufficientBalance(Refusal):
    missing: PayRechargeInsufficientBalanceMissing
    """How much is missing."""
    typename: Literal["InsufficientBalance"] = "InsufficientBalance"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            code=data["code"],
            message=data["message"],
            missing=PayRechargeInsufficientBalanceMissing.of(data["missing"]),
        )


@dataclass(frozen=True, slots=True)
class PayRechargeMaintenanceError(Refusal):
    typename: Literal["MaintenanceError"] = "MaintenanceError"


@dataclass(frozen=True, slots=True)
class PayRechargeMandateError(Refusal):
    typename: Literal["MandateError"] = "MandateError"


@dataclass(frozen=True, slots=True)
class PayRechargeNotFound(Refusal):
    typename: Literal["NotFound"] = "NotFound"


@dataclass(frozen=True, slots=True)
class PayRechargeOrderStateError(Refusal):
    typename: Literal["OrderStateError"] = "OrderStateError"


@dataclass(frozen=True, slots=True)
class PayRechargeSuccessOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
        )


@dataclass(frozen=True, slots=True)
class PayRechargeSuccessPayment:
    app_id: str
    """`appId`"""
    time_stamp: str
    """`timeStamp`, Unix seconds"""
    nonce_str: str
    """`nonceStr`"""
    package: str
    """`package`, such as `prepay_id=wx20…`"""
    sign_type: str
    """`signType`, always RSA"""
    pay_sign: str
    """`paySign`, the signature over the others"""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            app_id=data["appId"],
            time_stamp=data["timeStamp"],
            nonce_str=data["nonceStr"],
            package=data["package"],
            sign_type=data["signType"],
            pay_sign=data["paySign"],
        )


@dataclass(frozen=True, slots=True)
class PayRechargeSuccess:
    order: PayRechargeSuccessOrder
    """The order, now being paid."""
    payment: PayRechargeSuccessPayment | None
    """What the client hands to WeChat Pay; null where another way is taken."""
    typename: Literal["PayRechargeSuccess"] = "PayRechargeSuccess"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            order=PayRechargeSuccessOrder.of(data["order"]),
            payment=None if data["payment"] is None else PayRechargeSuccessPayment.of(data["payment"]),
        )


@dataclass(frozen=True, slots=True)
class PayRechargePaymentMethodError(Refusal):
    typename: Literal["PaymentMethodError"] = "PaymentMethodError"


@dataclass(frozen=True, slots=True)
class PayRechargePaymentPasswordError(Refusal):
    typename: Literal["PaymentPasswordError"] = "PaymentPasswordError"


@dataclass(frozen=True, slots=True)
class PayRechargeRateLimitedError(Refusal):
    typename: Literal["RateLimitedError"] = "RateLimitedError"


PayRechargeResult: TypeAlias = (
    PayRechargeChannelError
    | PayRechargeFaceCheckError
    | PayRechargeIdempotencyError
    | PayRechargeInsufficientBalance
    | PayRechargeMaintenanceError
    | PayRechargeMandateError
    | PayRechargeNotFound
    | PayRechargeOrderStateError
    | PayRechargeSuccess
    | PayRechargePaymentMethodError
    | PayRechargePaymentPasswordError
    | PayRechargeRateLimitedError
    | Unknown
)


def _read_pay_recharge_result(data: dict[str, Any]) -> PayRechargeResult:
    match data["__typename"]:
        case "ChannelError":
            return PayRechargeChannelError.of(data)
        case "FaceCheckError":
            return PayRechargeFaceCheckError.of(data)
        case "IdempotencyError":
            return PayRechargeIdempotencyError.of(data)
        case "InsufficientBalance":
            return PayRechargeInsufficientBalance.of(data)
        case "MaintenanceError":
            return PayRechargeMaintenanceError.of(data)
        case "MandateError":
            return PayRechargeMandateError.of(data)
        case "NotFound":
            return PayRechargeNotFound.of(data)
        case "OrderStateError":
            return PayRechargeOrderStateError.of(data)
        case "PayRechargeSuccess":
            return PayRechargeSuccess.of(data)
        case "PaymentMethodError":
            return PayRechargePaymentMethodError.of(data)
        case "PaymentPasswordError":
            return PayRechargePaymentPasswordError.of(data)
        case "RateLimitedError":
            return PayRechargeRateLimitedError.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
mutation PayRecharge($order: ID!, $method: PaymentMethod! = WECHAT_PAY, $key: String!) {
  payRecharge(input: { orderId: $order, method: $method, idempotencyKey: $key }) {
    __typename
    ... on PayRechargeSuccess {
      order { id state }
      payment { appId timeStamp nonceStr package signType paySign }
    }
    ... on UserError { code message }
    ... on ChannelError { retryable }
    ... on InsufficientBalance { missing { fen text } }
  }
}
"""
PAY_RECHARGE: Operation[PayRechargeResult] = Operation(
    name="PayRecharge",
    kind="mutation",
    field="payRecharge",
    sha256="7943f226a7333b4751e9bdce1b597077149a35d82945ce13c5a9733a9e5e8d57",
    text=TEXT,
    idempotent=True,
    read=_read_pay_recharge_result,
)
