"""What is answered to a question: stations, prices, the balance and the last order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.identity.viewer import Viewer
from domain.ledger.queries import wallets
from domain.orders import queries as orders
from domain.orders.facts import OrderFacts
from domain.pricing.queries import ZonePrice, current
from domain.stations import queries as stations
from domain.stations.facts import StationFacts
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from domain.stations.queries import NearbyStation
from domain.voice import speech
from domain.voice.intents import Intent, Understood
from domain.voice.policy import VoicePolicy
from domain.voice.speech import Speech
from kernel.errors import Locale
from kernel.money import Money
from kernel.states import CardBrand, Product, StationBrand
from models.orders import RechargeOrder

# So many of the nearest are looked at for one of a brand.
BRAND_SEARCH_MAX = 50
PRODUCT_DEFAULT = Product.GASOLINE_92
SIGNS = {CardBrand.SINOPEC: StationBrand.SINOPEC, CardBrand.PETROCHINA: StationBrand.PETROCHINA}


@dataclass(frozen=True, slots=True)
class Answer:
    speech: Speech
    station: StationFacts | None = None
    product: Product | None = None
    order: RechargeOrder | OrderFacts | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what it takes to answer it."""

    viewer: Viewer | None
    heard: Understood
    location: Location | None
    locale: Locale
    index: StationIndex
    policy: VoicePolicy
    now: datetime


async def answer(intent: Intent, asked: Asked) -> Answer:
    """Answer one of the intents that move nothing. What is the viewer's own takes a viewer."""
    if intent is Intent.HELP:
        return Answer(speech.say("help", asked.locale))
    if intent is Intent.BALANCE:
        return await _balance(asked)
    if intent is Intent.ORDER_STATE:
        return await _order(asked)
    if asked.location is None:
        return Answer(speech.say("where", asked.locale))
    by_intent = {Intent.NEAREST_STATION: _nearest, Intent.CHEAPEST_STATION: _cheapest, Intent.PRICE: _price}
    return await by_intent[intent](asked, asked.location)


async def _nearest(asked: Asked, here: Location) -> Answer:
    found = await _near(asked, here, asked.heard.product)
    if found is None:
        return Answer(speech.say("no_station", asked.locale))
    station, distance = speech.of_name(found.station.name), _distance(found, asked.locale)
    said = speech.say("nearest", asked.locale, station=station, distance=distance)
    return Answer(said, found.station, asked.heard.product)


async def _near(asked: Asked, here: Location, product: Product | None) -> NearbyStation | None:
    rows = await stations.nearest(
        index=asked.index,
        near=here,
        radius_m=asked.policy.search_radius_m,
        radius_max_m=asked.policy.search_radius_m,
        product=product,
        after=None,
        limit=BRAND_SEARCH_MAX if asked.heard.brand else 1,
        now=asked.now,
    )
    return _of_brand(rows, asked.heard.brand)


async def _cheapest(asked: Asked, here: Location) -> Answer:
    product = asked.heard.product or PRODUCT_DEFAULT
    rows = await stations.cheapest(
        index=asked.index,
        near=here,
        radius_m=asked.policy.search_radius_m,
        radius_max_m=asked.policy.search_radius_m,
        product=product,
        after=None,
        limit=BRAND_SEARCH_MAX if asked.heard.brand else 1,
        now=asked.now,
    )
    found = _of_brand(rows, asked.heard.brand)
    if found is None or found.milliyuan is None:
        return Answer(speech.say("no_station" if found is None else "no_price", asked.locale))
    said = speech.say(
        "cheapest",
        asked.locale,
        product=speech.of_product(product, asked.locale),
        station=speech.of_name(found.station.name),
        price=speech.of_price(found.milliyuan, asked.locale),
        distance=_distance(found, asked.locale),
    )
    return Answer(said, found.station, product)


def _of_brand(rows: list[NearbyStation], brand: CardBrand | None) -> NearbyStation | None:
    return next((row for row in rows if brand is None or row.station.brand is SIGNS[brand]), None)


async def _price(asked: Asked, here: Location) -> Answer:
    """Tell the prices of the zone in which the nearest station lies."""
    found = await _near(asked, here, None)
    zone_id = found.station.zone_id if found else None
    prices = await current(zone_ids=[zone_id], now=asked.now, product=asked.heard.product) if zone_id else {}
    told = [_price_of(price, asked.locale) for price in prices.get(zone_id, [])] if zone_id else []
    if not told:
        return Answer(speech.say("no_price", asked.locale))
    said = told[0]
    for each in told[1:]:
        said += each
    return Answer(said, product=asked.heard.product)


def _price_of(price: ZonePrice, locale: Locale) -> Speech:
    product, milliyuan = speech.of_product(price.product, locale), speech.of_price(price.milliyuan, locale)
    return speech.say("price", locale, product=product, price=milliyuan)


async def _balance(asked: Asked) -> Answer:
    assert asked.viewer is not None
    ((balance, _),) = await wallets([asked.viewer.user_id])
    return Answer(speech.say("balance", asked.locale, amount=speech.of_amount(balance, asked.locale)))


async def _order(asked: Asked) -> Answer:
    assert asked.viewer is not None
    rows = await orders.of_viewer(viewer=asked.viewer, state=None, first=1, after=None)
    if not rows:
        return Answer(speech.say("no_order", asked.locale))
    (order,) = rows
    amount = speech.of_amount(Money(order.amount_fen), asked.locale)
    said = speech.say("order", asked.locale, amount=amount, state=speech.of_state(order.state, asked.locale))
    return Answer(said, order=order)


def _distance(found: NearbyStation, locale: Locale) -> speech.Filling:
    return speech.of_distance(round(found.spot.distance_m), locale)
