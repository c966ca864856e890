"""The query `Cards`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..wire import Operation, enum_of
from .enums import CardBrand


@dataclass(frozen=True, slots=True)
class CardsCardsEdgesNode:
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
class CardsCardsEdges:
    node: CardsCardsEdgesNode
    """The row itself."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            node=CardsCardsEdgesNode.of(data["node"]),
        )


@dataclass(frozen=True, slots=True)
class CardsCardsPageInfo:
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
class CardsCards:
    edges: list[CardsCardsEdges]
    """The rows of this page."""
    page_info: CardsCardsPageInfo
    """Where this page ends."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            edges=[CardsCardsEdges.of(each) for each in data["edges"]],
            page_info=CardsCardsPageInfo.of(data["pageInfo"]),
        )


@dataclass(frozen=True, slots=True)
class Cards:
    cards: CardsCards
    """The cards that the viewer may recharge, their own and shared ones, newest first."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cards=CardsCards.of(data["cards"]),
        )


TEXT = """\
query Cards($first: Int! = 20, $after: String) {
  viewer {
    cards(first: $first, after: $after) {
      edges { node { id brand maskedNumber boundAt } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
CARDS: Operation[Cards | None] = Operation(
    name="Cards",
    kind="query",
    field="viewer",
    sha256="a9d79180353f18b468e8548eee4962ef4948629eff694bcc18001e1ee6f0e78a",
    text=TEXT,
    idempotent=True,
    read=lambda data: None if data is None else Cards.of(data),
)
