"""The query `Stations`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..wire import Operation, enum_of
from .enums import Product, StationBrand


@dataclass(frozen=True, slots=True)
class StationsEdgesNodeLocation:
    latitude: float
    """Degrees north of the equator, from -90 to 90."""
    longitude: float
    """Degrees east of Greenwich, from -180 to 180."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            latitude=data["latitude"],
            longitude=data["longitude"],
        )


@dataclass(frozen=True, slots=True)
class StationsEdgesNodePricesUnitPrice:
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
class StationsEdgesNodePrices:
    product: Product | str
    """What it is the price of."""
    unit_price: StationsEdgesNodePricesUnitPrice
    """The price per litre."""
    effective_from: datetime
    """Since when it is in force."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            product=enum_of(Product, data["product"]),
            unit_price=StationsEdgesNodePricesUnitPrice.of(data["unitPrice"]),
            effective_from=datetime.fromisoformat(data["effectiveFrom"]),
        )


@dataclass(frozen=True, slots=True)
class StationsEdgesNode:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    name: str
    """Such as `中国石化(康健加油站)`."""
    brand: StationBrand | str
    """Whose sign stands there."""
    address: str
    """Street and number; empty where the source has none."""
    location: StationsEdgesNodeLocation
    """Where it stands."""
    prices: list[StationsEdgesNodePrices]
    """The official prices in force here now, by product."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            name=data["name"],
            brand=enum_of(StationBrand, data["brand"]),
            address=data["address"],
            location=StationsEdgesNodeLocation.of(data["location"]),
            prices=[StationsEdgesNodePrices.of(each) for each in data["prices"]],
        )


@dataclass(frozen=True, slots=True)
class StationsEdges:
    distance: int | None
    """Metres from `near`, as the crow flies; null without `near`."""
    node: StationsEdgesNode
    """The station itself."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            distance=data["distance"],
            node=StationsEdgesNode.of(data["node"]),
        )


@dataclass(frozen=True, slots=True)
class StationsPageInfo:
    has_next_page: bool
    """Whether there is more behind this page."""
    end_cursor: str | None
    """Give this as `after` to get the next page."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            has_next_page=data["hasNextPage"],
            end_cursor=data["endCursor"],
        )


@dataclass(frozen=True, slots=True)
class Stations:
    edges: list[StationsEdges]
    """The stations of this page."""
    page_info: StationsPageInfo
    """Where this page ends."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            edges=[StationsEdges.of(each) for each in data["edges"]],
            page_info=StationsPageInfo.of(data["pageInfo"]),
        )


TEXT = """\
query Stations($near: LocationInput!, $radius: Int! = 5000, $product: Product, $first: Int! = 20, $after: String) {
  stations(near: $near, radius: $radius, product: $product, first: $first, after: $after) {
    edges {
      distance
      node {
        id
        name
        brand
        address
        location { latitude longitude }
        prices(product: $product) { product unitPrice { milliyuan text } effectiveFrom }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
STATIONS: Operation[Stations] = Operation(
    name="Stations",
    kind="query",
    field="stations",
    sha256="9becb45f52231f201b5a80ccc8de1e80e5d586a40245a3e21278896ca4d1aa0e",
    text=TEXT,
    idempotent=True,
    read=Stations.of,
)
