"""Who may take an offer, and when; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kernel.errors import YoukaError
from kernel.states import CardBrand


class OfferNotOpen(YoukaError):
    code = "OFFER_NOT_OPEN"
    messages = {"zh-CN": "该优惠不在活动时间内", "en": "The offer is not open now"}


class OfferNotForCard(YoukaError):
    code = "OFFER_NOT_FOR_CARD"
    messages = {"zh-CN": "该优惠不适用于这张油卡", "en": "The offer is not for this card"}


class OfferSoldOut(YoukaError):
    code = "OFFER_SOLD_OUT"
    messages = {"zh-CN": "该优惠已抢光", "en": "The offer is sold out"}


class OfferTakenAlready(YoukaError):
    code = "OFFER_TAKEN_ALREADY"
    messages = {"zh-CN": "该优惠每人限购{maximum}次", "en": "You can take this offer {maximum} times at most"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What an offer asks of whoever takes it. It is open from `starts_at` until just before `ends_at`."""

    brand: CardBrand | None
    starts_at: datetime
    ends_at: datetime
    per_user_max: int


def check_terms(terms: Terms, *, brand: CardBrand, taken: int, now: datetime) -> None:
    """Raises OfferNotOpen, OfferNotForCard or OfferTakenAlready. `taken` leaves out what was released."""
    if not terms.starts_at <= now < terms.ends_at:
        raise OfferNotOpen
    if terms.brand is not None and terms.brand is not brand:
        raise OfferNotForCard
    if taken >= terms.per_user_max:
        raise OfferTakenAlready(maximum=terms.per_user_max)
