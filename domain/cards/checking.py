"""Asking an issuer whether a card can be recharged, and whose it seems to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.cards import routing
from domain.cards.operations import open_number
from domain.cards.ports import CardFacts, Issuers, IssuerUnavailable
from domain.cards.queries import required
from domain.cards.rules import masked_owner
from domain.cards.standings import standings
from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from kernel.sealing import Sealer
from kernel.states import CardCondition
from models.cards import CardCheck, FuelCard
from models.changes import of_users
from models.database import transactional

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# An issuer is asked for the card of any amount; the least one decides who is asked first.
ASKED_FOR_FEN = 10_000
ISSUERS_ASKED_MAX = 2


class CardCheckedTooSoon(YoukaError):
    code = "CARD_CHECKED_TOO_SOON"
    messages = {"zh-CN": "同一张油卡查询过于频繁，请稍后再试", "en": "This card was asked about just now, try later"}


class CardCheckUnavailable(YoukaError):
    code = "CARD_CHECK_UNAVAILABLE"
    messages = {
        "zh-CN": "暂时无法查询油卡状态，不影响充值",
        "en": "The card cannot be looked up now; it can be recharged all the same",
    }


@dataclass(frozen=True, slots=True)
class CheckedCard:
    """A card with what an issuer said of it just now; `owner_hint` is masked, or empty."""

    card: FuelCard
    condition: CardCondition
    owner_hint: str


async def check(
    *,
    viewer: Viewer,
    card_id: UUID | None,
    issuers: Issuers,
    rules: routing.Rules,
    sealer: Sealer,
    interval: timedelta,
    now: datetime,
) -> CheckedCard:
    """Ask about a card of the viewer. Issuers answer once in an interval for each card, whoever has bound it.

    A question that got no answer counts, since it may have been counted there. Raises CardNotFound, CardCheckedTooSoon
    with `retry_at`, or CardCheckUnavailable.
    """
    card = await required(viewer=viewer, card_id=card_id)
    await _take_turn(card.number_digest, interval, now)
    facts = await _ask(card, open_number(card, sealer), issuers, rules, now)
    # An answer that shows when a card was checked is not kept.
    with of_users():
        await FuelCard.filter(id=card.id).update(checked_at=now)
    card.checked_at = now
    return CheckedCard(card, facts.condition, masked_owner(facts.owner_hint))


@transactional
async def _take_turn(number_digest: str, interval: timedelta, now: datetime) -> None:
    """Of any number of questions at once, in whichever processes, one finds the card's time behind it and moves it."""
    fresh = CardCheck(number_digest=number_digest, checked_at=NEVER)
    await CardCheck.bulk_create([fresh], ignore_conflicts=True)
    row = CardCheck.filter(number_digest=number_digest)
    if not await row.filter(checked_at__lte=now - interval).update(checked_at=now):
        raise CardCheckedTooSoon(retry_at=(await row.get()).checked_at + interval)


async def _ask(card: FuelCard, number: str, issuers: Issuers, rules: routing.Rules, now: datetime) -> CardFacts:
    seen, tried = await standings(), set[str]()
    while len(tried) < ISSUERS_ASKED_MAX:
        issuer = routing.choose(
            issuers.all,
            brand=card.brand,
            amount_fen=ASKED_FOR_FEN,
            tried=tried,
            standings=seen,
            rules=rules,
            now=now,
        )
        if issuer is None:
            break
        try:
            return await issuer.check_card(card.brand, number)
        except IssuerUnavailable:
            tried.add(issuer.name)
    raise CardCheckUnavailable
