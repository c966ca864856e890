"""Which issuer an order goes to: every reason, alone and against the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from domain.cards.routing import Rules, Standing, choose
from kernel.states import CardBrand

NOW = datetime(2026, 4, 1, tzinfo=UTC)
RULES = Rules(reserve_fen=10_000, rest=timedelta(seconds=60))
AMOUNT_FEN = 50_000
LATELY, LONG_AGO = NOW - timedelta(seconds=59), NOW - timedelta(seconds=60)


@dataclass(frozen=True)
class Quoting:
    """An issuer of which only the price is asked."""

    name: str
    price_fen: int | None
    brands: tuple[CardBrand, ...] = tuple(CardBrand)

    def cost_fen(self, brand: CardBrand, amount_fen: int) -> int | None:
        assert amount_fen == AMOUNT_FEN
        return self.price_fen if brand in self.brands else None


CHEAP, DEAR, DEAREST = Quoting("cheap", 49_500), Quoting("dear", 49_700), Quoting("dearest", 49_900)


def chosen(
    *issuers: Quoting,
    brand: CardBrand = CardBrand.SINOPEC,
    tried: str = "",
    seen: Mapping[str, Standing] | None = None,
) -> str | None:
    issuer = choose(
        issuers,  # type: ignore[arg-type]
        brand=brand,
        amount_fen=AMOUNT_FEN,
        tried=set(tried.split()),
        standings=seen or {},
        rules=RULES,
        now=NOW,
    )
    return issuer.name if issuer else None


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, "cheap"),
        ({"cheap": Standing(unavailable_at=LATELY)}, "dear"),
        ({"cheap": Standing(unavailable_at=LONG_AGO)}, "cheap"),
        ({"cheap": Standing(deposit_fen=49_499)}, "dear"),
        ({"cheap": Standing(deposit_fen=59_499)}, "dear"),
        ({"cheap": Standing(deposit_fen=59_500)}, "cheap"),
        # A reserve is spent before an issuer that fails is asked, and that one before one whose deposit is too low.
        ({"cheap": Standing(59_499), "dear": Standing(None, LATELY)}, "cheap"),
        ({"cheap": Standing(49_499), "dear": Standing(None, LATELY)}, "dear"),
        ({"cheap": Standing(0), "dear": Standing(0)}, "cheap"),
        ({"cheap": Standing(0, LATELY), "dear": Standing(0)}, "dear"),
    ],
)
def test_what_was_seen_decides_before_the_price(seen: dict[str, Standing], expected: str) -> None:
    assert chosen(DEAR, CHEAP, seen=seen) == expected


def test_of_equal_ones_the_first_goes_first() -> None:
    assert chosen(Quoting("b", 1), Quoting("a", 1)) == "b"


def test_only_who_serves_the_brand_is_asked() -> None:
    petrochina = Quoting("petrochina", 1, (CardBrand.PETROCHINA,))
    assert chosen(petrochina, DEAR) == "dear"
    assert chosen(petrochina, DEAR, brand=CardBrand.PETROCHINA) == "petrochina"
    assert chosen(petrochina) is None


def test_nobody_is_asked_twice_and_everybody_once() -> None:
    tried, order = "", []
    while name := chosen(DEAREST, CHEAP, DEAR, tried=tried):
        order.append(name)
        tried += f" {name}"
    assert order == ["cheap", "dear", "dearest"]


def test_what_we_know_of_a_deposit_rules_nobody_out() -> None:
    """It may be old by now; that an order cannot be recharged is for the issuer to say."""
    assert chosen(CHEAP, seen={"cheap": Standing(deposit_fen=0, unavailable_at=NOW)}) == "cheap"
