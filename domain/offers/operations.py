"""Making offers, and reserving, using and releasing their stock. Call these inside the transaction of the order."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.expressions import F

from domain.offers.rules import OfferSoldOut, Terms, check_terms
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import CardBrand, ReservationState
from models.offers import Offer, OfferReservation


class OfferCodeTaken(YoukaError):
    code = "OFFER_CODE_TAKEN"
    messages = {"zh-CN": "优惠代码已存在", "en": "There is an offer with this code already"}


async def create(
    *,
    code: str,
    title: str,
    brand: CardBrand | None,
    amount_fen: int,
    price_fen: int,
    stock: int,
    per_user_max: int,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> Offer:
    """Make an offer with its whole stock. Raises OfferCodeTaken; the database refuses what makes no sense."""
    if await Offer.exists(code=code):
        raise OfferCodeTaken
    return await Offer.create(
        id=new_id(),
        code=code,
        title=title,
        brand=brand,
        amount_fen=amount_fen,
        price_fen=price_fen,
        stock_total=stock,
        stock_left=stock,
        per_user_max=per_user_max,
        starts_at=starts_at,
        ends_at=ends_at,
        created_at=now,
        updated_at=now,
    )


async def reserve(*, offer: Offer, order_id: UUID, user_id: UUID, brand: CardBrand, now: datetime) -> None:
    """Take one piece of the stock for an order of a locked user.

    Raises OfferNotOpen, OfferNotForCard, OfferTakenAlready or OfferSoldOut.
    """
    terms = Terms(offer.brand, offer.starts_at, offer.ends_at, offer.per_user_max)
    mine = OfferReservation.filter(offer_id=offer.id, user_id=user_id)
    taken = await mine.exclude(state=ReservationState.RELEASED).count()
    check_terms(terms, brand=brand, taken=taken, now=now)
    # One statement compares and takes, so the last piece goes to one order however many come at once.
    left = await Offer.filter(id=offer.id, stock_left__gt=0).update(stock_left=F("stock_left") - 1, updated_at=now)
    if left != 1:
        raise OfferSoldOut
    await OfferReservation.create(
        id=order_id, offer_id=offer.id, user_id=user_id, state=ReservationState.RESERVED, created_at=now
    )


async def release(*, order_id: UUID, now: datetime) -> None:
    """Put the piece of a locked order that failed back into the stock, once; an order without an offer has none."""
    reservation = await OfferReservation.get_or_none(id=order_id)
    if reservation is None or not await _settle(order_id, ReservationState.RELEASED, now):
        return
    await Offer.filter(id=reservation.offer_id).update(stock_left=F("stock_left") + 1, updated_at=now)


async def use(*, order_id: UUID, now: datetime) -> None:
    """Note that a locked order has used its piece for good."""
    await _settle(order_id, ReservationState.USED, now)


async def _settle(order_id: UUID, state: ReservationState, now: datetime) -> bool:
    reserved = OfferReservation.filter(id=order_id, state=ReservationState.RESERVED)
    return await reserved.update(state=state, settled_at=now) == 1
