"""The mutation `CreateRecharge`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from ..errors import Refusal, Unknown
from ..wire import Operation, enum_of
from .enums import OrderState, ReviewState


@dataclass(frozen=True, slots=True)
class CreateRechargeSuccessOrderAmount:
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
class CreateRechargeSuccessOrderPrice:
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
class CreateRechargeSuccessOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""
    review_state: ReviewState | str
    """Whether a person must look at the order."""
    amount: CreateRechargeSuccessOrderAmount
    """What arrives on the card."""
    price: CreateRechargeSuccessOrderPrice
    """What is paid; less than `amount` where an offer was taken."""
    pay_deadline_at: datetime
    """Until when the order can be paid."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
            review_state=enum_of(ReviewState, data["reviewState"]),
            amount=CreateRechargeSuccessOrderAmount.of(data["amount"]),
            price=CreateRechargeSuccessOrderPrice.of(data["price"]),
            pay_deadline_at=datetime.fromisoformat(data["payDeadlineAt"]),
        )


@dataclass(frozen=True, slots=True)
class CreateRechargeSuccess:
    order: CreateRechargeSuccessOrder
    """The order."""
    typename: Literal["CreateRechargeSuccess"] = "CreateRechargeSuccess"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            order=CreateRechargeSuccessOrder.of(data["order"]),
        )


@dataclass(frozen=True, slots=True)
class CreateRechargeIdempotencyError(Refusal):
    typename: Literal["IdempotencyError"] = "IdempotencyError"


@dataclass(frozen=True, slots=True)
class CreateRechargeInvalidAmountMinimum:
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
class CreateRechargeInvalidAmountMaximum:
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
class CreateRechargeInvalidAmount(Refusal):
    minimum: CreateRechargeInvalidAmountMinimum | None
    """The least that can be recharged, where that is the reason."""
    maximum: CreateRechargeInvalidAmountMaximum | None
    """The most that can be recharged, where that is the reason."""
    typename: Literal["InvalidAmount"] = "InvalidAmount"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            code=data["code"],
            message=data["message"],
            minimum=None if data["minimum"] is None else CreateRechargeInvalidAmountMinimum.of(data["minimum"]),
            maximum=None if data["maximum"] is None else CreateRechargeInvalidAmountMaximum.of(data["maximum"]),
        )


@dataclass(frozen=True, slots=True)
class CreateRechargeLimitReached(Refusal):
    count_max: int
    """The limit."""
    typename: Literal["LimitReached"] = "LimitReached"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            code=data["code"],
            message=data["message"],
            count_max=data["countMax"],
        )


@dataclass(frozen=True, slots=True)
class CreateRechargeMaintenanceError(Refusal):
    typename: Literal["MaintenanceError"] = "MaintenanceError"


@dataclass(frozen=True, slots=True)
class CreateRechargeMemberLimitError(Refusal):
    typename: Literal["MemberLimitError"] = "MemberLimitError"


@dataclass(frozen=True, slots=True)
class CreateRechargeNotFound(Refusal):
    typename: Literal["NotFound"] = "NotFound"


@dataclass(frozen=True, slots=True)
class CreateRechargeOfferError(Refusal):
    typename: Literal["OfferError"] = "OfferError"


@dataclass(frozen=True, slots=True)
class CreateRechargeRateLimitedError(Refusal):
    typename: Literal["RateLimitedError"] = "RateLimitedError"


CreateRechargeResult: TypeAlias = (
    CreateRechargeSuccess
    | CreateRechargeIdempotencyError
    | CreateRechargeInvalidAmount
    | CreateRechargeLimitReached
    | CreateRechargeMaintenanceError
    | CreateRechargeMemberLimitError
    | CreateRechargeNotFound
    | CreateRechargeOfferError
    | CreateRechargeRateLimitedError
    | Unknown
)


def _read_create_recharge_result(data: dict[str, Any]) -> CreateRechargeResult:
    match data["__typename"]:
        case "CreateRechargeSuccess":
            return CreateRechargeSuccess.of(data)
        case "IdempotencyError":
            return CreateRechargeIdempotencyError.of(data)
        case "InvalidAmount":
            return CreateRechargeInvalidAmount.of(data)
        case "LimitReached":
            return CreateRechargeLimitReached.of(data)
        case "MaintenanceError":
            return CreateRechargeMaintenanceError.of(data)
        case "MemberLimitError":
            return CreateRechargeMemberLimitError.of(data)
        case "NotFound":
            return CreateRechargeNotFound.of(data)
        case "OfferError":
            return CreateRechargeOfferError.of(data)
        case "RateLimitedError":
            return CreateRechargeRateLimitedError.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
mutation CreateRecharge($card: ID!, $amount: Yuan!, $key: String!) {
  createRecharge(input: { cardId: $card, amount: $amount, idempotencyKey: $key }) {
    __typename
    ... on CreateRechargeSuccess { order { id state reviewState amount { fen text } price { fen text } payDeadlineAt } }
    ... on UserError { code message }
    ... on InvalidAmount { minimum { fen text } maximum { fen text } }
    ... on LimitReached { countMax: maximum }
  }
}
"""
CREATE_RECHARGE: Operation[CreateRechargeResult] = Operation(
    name="CreateRecharge",
    kind="mutation",
    field="createRecharge",
    sha256="1f74d7e48b5bda5d7642b928834b29548fec1741be1a62a64e5fc6a7e1083491",
    text=TEXT,
    idempotent=True,
    read=_read_create_recharge_result,
)
