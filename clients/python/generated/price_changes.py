"""The subscription `PriceChanges`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ..errors import Unknown
from ..wire import Operation, enum_of
from .enums import GapReason, Product


@dataclass(frozen=True, slots=True)
class PriceChangesPriceChangeEventPriceUnitPrice:
    milliyuan: int
    """Thousandths of a yuan per litre; compute with this."""
    text: str
    """For people, such as `¥8.46/L`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            milliyuan=data["milliyuan"],
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class PriceChangesPriceChangeEventPrice:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    product: Product | str
    """What it is the price of."""
    unit_price: PriceChangesPriceChangeEventPriceUnitPrice
    """The price per litre."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            product=enum_of(Product, data["product"]),
            unit_price=PriceChangesPriceChangeEventPriceUnitPrice.of(data["unitPrice"]),
        )


@dataclass(frozen=True, slots=True)
class PriceChangesPriceChangeEventPrevious:
    milliyuan: int
    """Thousandths of a yuan per litre; compute with this."""
    text: str
    """For people, such as `¥8.46/L`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            milliyuan=data["milliyuan"],
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class PriceChangesPriceChangeEvent:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    price: PriceChangesPriceChangeEventPrice
    """The new price, in force from now on."""
    previous: PriceChangesPriceChangeEventPrevious | None
    """The price before it; null for the first one of a zone."""
    typename: Literal["PriceChangeEvent"] = "PriceChangeEvent"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            price=PriceChangesPriceChangeEventPrice.of(data["price"]),
            previous=None if data["previous"] is None else PriceChangesPriceChangeEventPrevious.of(data["previous"]),
        )


@dataclass(frozen=True, slots=True)
class PriceChangesPriceGapPricesUnitPrice:
    milliyuan: int
    """Thousandths of a yuan per litre; compute with this."""
    text: str
    """For people, such as `¥8.46/L`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            milliyuan=data["milliyuan"],
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class PriceChangesPriceGapPrices:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    product: Product | str
    """What it is the price of."""
    unit_price: PriceChangesPriceGapPricesUnitPrice
    """The price per litre."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            product=enum_of(Product, data["product"]),
            unit_price=PriceChangesPriceGapPricesUnitPrice.of(data["unitPrice"]),
        )


@dataclass(frozen=True, slots=True)
class PriceChangesPriceGap:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    reason: GapReason | str
    """Why."""
    complete: bool
    """Whether this is all; false where there was more than a snapshot holds."""
    prices: list[PriceChangesPriceGapPrices]
    """The current prices of what you follow."""
    typename: Literal["PriceGap"] = "PriceGap"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            reason=enum_of(GapReason, data["reason"]),
            complete=data["complete"],
            prices=[PriceChangesPriceGapPrices.of(each) for each in data["prices"]],
        )


PriceChangesResult: TypeAlias = PriceChangesPriceChangeEvent | PriceChangesPriceGap | Unknown


def _read_price_changes_result(data: dict[str, Any]) -> PriceChangesResult:
    match data["__typename"]:
        case "PriceChangeEvent":
            return PriceChangesPriceChangeEvent.of(data)
        case "PriceGap":
            return PriceChangesPriceGap.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
subscription PriceChanges($zone: ID, $product: Product, $after: String) {
  priceChanges(zone: $zone, product: $product, after: $after) {
    __typename
    ... on StreamEvent { cursor }
    ... on PriceChangeEvent { price { id product unitPrice { milliyuan text } } previous { milliyuan text } }
    ... on PriceGap { reason complete prices { id product unitPrice { milliyuan text } } }
  }
}
"""
PRICE_CHANGES: Operation[PriceChangesResult] = Operation(
    name="PriceChanges",
    kind="subscription",
    field="priceChanges",
    sha256="63849c3a2de6de5820955aacc2fe86691dd3e23fcd3d322660ca8b63f48283c8",
    text=TEXT,
    idempotent=False,
    read=_read_price_changes_result,
)
