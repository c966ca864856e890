"""Which issuer an order is sent to next; no I/O.

What we know of a deposit or of an issuer's health may be old, so it puts an issuer behind the others and never rules it
out: that an order cannot be recharged is for the issuers to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.cards.ports import CardIssuer
from kernel.states import CardBrand


@dataclass(frozen=True, slots=True)
class Rules:
    """`reserve_fen` is left in a deposit where another issuer has more; an issuer that failed rests for `rest`."""

    reserve_fen: int
    rest: timedelta


@dataclass(frozen=True, slots=True)
class Standing:
    """What was last seen of an issuer; None is what nobody has seen."""

    deposit_fen: int | None = None
    unavailable_at: datetime | None = None


UNSEEN = Standing()


def choose(
    issuers: Iterable[CardIssuer],
    *,
    brand: CardBrand,
    amount_fen: int,
    tried: Set[str],
    standings: Mapping[str, Standing],
    rules: Rules,
    now: datetime,
) -> CardIssuer | None:
    """Return the issuer to send to, or None where each that serves the brand was tried.

    First come those whose deposit covers the cost, then those that did not fail lately, then those whose deposit keeps
    its reserve, then the cheapest, then the first.
    """
    quoted = [(issuer, issuer.cost_fen(brand, amount_fen)) for issuer in issuers if issuer.name not in tried]
    offers = [(issuer, cost_fen) for issuer, cost_fen in quoted if cost_fen is not None]
    if not offers:
        return None

    def rank(offer: tuple[CardIssuer, int]) -> tuple[bool, bool, bool, int]:
        issuer, cost_fen = offer
        standing = standings.get(issuer.name, UNSEEN)
        left_fen = None if standing.deposit_fen is None else standing.deposit_fen - cost_fen
        return (
            left_fen is not None and left_fen < 0,
            is_resting(standing, rules=rules, now=now),
            left_fen is not None and left_fen < rules.reserve_fen,
            cost_fen,
        )

    return min(offers, key=rank)[0]


def is_resting(standing: Standing, *, rules: Rules, now: datetime) -> bool:
    """Whether the issuer failed so lately that others go first."""
    return standing.unavailable_at is not None and now - standing.unavailable_at < rules.rest
