"""The mutation `BindCard`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from ..errors import Refusal, Unknown
from ..wire import Operation, enum_of
from .enums import CardBrand


@dataclass(frozen=True, slots=True)
class BindCardSuccessCard:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    brand: CardBrand | str
    """Who issued the card."""
    masked_number: str
    """The last four digits behind a mask, such as `**** 1234`."""
    bound_at: datetime
    """When it was bound."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            brand=enum_of(CardBrand, data["brand"]),
            masked_number=data["maskedNumber"],
            bound_at=datetime.fromisoformat(data["boundAt"]),
        )


@dataclass(frozen=True, slots=True)
class BindCardSuccess:
    card: BindCardSuccessCard
    """The card."""
    typename: Literal["BindCardSuccess"] = "BindCardSuccess"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            card=BindCardSuccessCard.of(data["card"]),
        )


@dataclass(frozen=True, slots=True)
class BindCardInvalidCardNumber(Refusal):
    typename: Literal["InvalidCardNumber"] = "InvalidCardNumber"


@dataclass(frozen=True, slots=True)
class BindCardLimitReached(Refusal):
    typename: Literal["LimitReached"] = "LimitReached"


@dataclass(frozen=True, slots=True)
class BindCardMaintenanceError(Refusal):
    typename: Literal["MaintenanceError"] = "MaintenanceError"


@dataclass(frozen=True, slots=True)
class BindCardOrganisationError(Refusal):
    typename: Literal["OrganisationError"] = "OrganisationError"


BindCardResult: TypeAlias = (
    BindCardSuccess
    | BindCardInvalidCardNumber
    | BindCardLimitReached
    | BindCardMaintenanceError
    | BindCardOrganisationError
    | Unknown
)


def _read_bind_card_result(data: dict[str, Any]) -> BindCardResult:
    match data["__typename"]:
        case "BindCardSuccess":
            return BindCardSuccess.of(data)
        case "InvalidCardNumber":
            return BindCardInvalidCardNumber.of(data)
        case "LimitReached":
            return BindCardLimitReached.of(data)
        case "MaintenanceError":
            return BindCardMaintenanceError.of(data)
        case "OrganisationError":
            return BindCardOrganisationError.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
mutation BindCard($number: String!) {
  bindCard(input: { number: $number }) {
    __typename
    ... on BindCardSuccess { card { id brand maskedNumber boundAt } }
    ... on UserError { code message }
  }
}
"""
BIND_CARD: Operation[BindCardResult] = Operation(
    name="BindCard",
    kind="mutation",
    field="bindCard",
    sha256="3054389730cc726888bb09cc33731e8749561cfbf1c360b6695fe5bdbf7e1fb3",
    text=TEXT,
    idempotent=False,
    read=_read_bind_card_result,
)
