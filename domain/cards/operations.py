"""Binding cards."""

from __future__ import annotations

from datetime import datetime

from tortoise.exceptions import IntegrityError

from domain.cards import rules
from domain.identity.queries import lock_user
from domain.identity.viewer import AccountGone, Viewer
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from models.cards import FuelCard
from models.changes import of_users
from models.database import transactional


class CardOwnedByOrganisation(YoukaError):
    """The viewer has bound it once and handed it over."""

    code = "CARD_OWNED_BY_ORGANISATION"
    messages = {
        "zh-CN": "您已将该油卡转交企业，须由企业移除后才能重新绑定",
        "en": "You have handed this card over to an organisation, which must give it back first",
    }


class TooManyCards(YoukaError):
    code = "TOO_MANY_CARDS"
    messages = {"zh-CN": "最多绑定{maximum}张油卡", "en": "You can bind {maximum} cards at most"}


async def bind(*, viewer: Viewer, number: str, sealer: Sealer, cards_max: int, now: datetime) -> FuelCard:
    """Bind a card to the viewer; binding it again returns it.

    Raises CardNumberInvalid, TooManyCards, CardOwnedByOrganisation, or AccountGone.
    """
    card_number = rules.read_number(number)
    try:
        return await _bind(viewer, card_number, sealer, cards_max, now)
    except IntegrityError as error:
        # The same card was bound in another request, or there is no such user any more.
        bound = await FuelCard.get_or_none(user_id=viewer.user_id, number_digest=sealer.digest(card_number.digits))
        if bound is None:
            raise AccountGone from error
        return _own(bound)


@transactional
async def _bind(
    viewer: Viewer, card_number: rules.CardNumber, sealer: Sealer, cards_max: int, now: datetime
) -> FuelCard:
    await lock_user(viewer=viewer)
    digest = sealer.digest(card_number.digits)
    existing = await FuelCard.get_or_none(user_id=viewer.user_id, number_digest=digest)
    if existing and _own(existing).unbound_at is None:
        return existing
    bound = FuelCard.filter(user_id=viewer.user_id, organisation_id__isnull=True, unbound_at__isnull=True)
    if await bound.count() >= cards_max:
        raise TooManyCards(maximum=cards_max)
    if existing:
        existing.unbound_at, existing.created_at = None, now
        await existing.save(update_fields=["unbound_at", "created_at"])
        return existing
    identifier = new_id()
    with of_users(viewer.user_id):
        return await FuelCard.create(
            id=identifier,
            user_id=viewer.user_id,
            brand=card_number.brand,
            number_sealed=sealer.seal(card_number.digits, owner=str(identifier)),
            number_digest=digest,
            number_tail=card_number.tail,
            created_at=now,
        )


def _own(card: FuelCard) -> FuelCard:
    if card.organisation_id is not None:
        raise CardOwnedByOrganisation
    return card


def open_number(card: FuelCard, sealer: Sealer) -> str:
    """Return the card's number, for the issuer alone."""
    return sealer.open(card.number_sealed, owner=str(card.id))
