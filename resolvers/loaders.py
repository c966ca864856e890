"""Relations between types, loaded in one statement for everything that one moment asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from domain.access import clients, sessions
from domain.account import payment_passwords, spending
from domain.cards import queries as cards
from domain.funds import queries as funds
from domain.identity import phones
from domain.identity.queries import UserFacts, profiles
from domain.identity.viewer import Viewer
from domain.ledger import queries as ledger
from domain.mandates import queries as mandates
from domain.messages import consents
from domain.offers import queries as offers
from domain.orders import overview
from domain.orders import queries as orders
from domain.orders.facts import OrderFacts, OrderPage
from domain.orders.overview import Overview
from domain.payments import top_ups
from domain.pricing import queries as pricing
from domain.pricing.queries import HistoryPage, ZonePrice
from domain.reconciliation import queries as reconciliation
from domain.signins import queries as sign_ins
from domain.stations import along, shaped
from domain.stations import queries as stations
from domain.stations.along import Surroundings
from domain.stations.driving import DrivingDistances
from domain.stations.geo import Location
from domain.stations.ports import Drive
from domain.webhooks import queries as webhooks
from kernel.clock import utc_now
from kernel.shapes import Shape, Written
from kernel.states import OrderState
from models.access import OAuthSession
from models.cards import FuelCard
from models.joining import KEYS_PER_LOAD_MAX, Joined, of_request
from models.mandates import Mandate
from models.payments import WalletTopUp
from models.sign_ins import SignInRecord
from models.webhooks import WebhookDelivery
from resolvers import organisation_loaders
from schema.types.context import Loaders
from schema.types.loading import Clock
from schema.types.relay import Page

K = TypeVar("K")
V = TypeVar("V")

Load: TypeAlias = Callable[[Sequence[K]], Awaitable[Sequence[V]]]


def build(clock: Clock = utc_now, *, joined: bool = True) -> Loaders:
    """Return loaders that batch but never cache: connections live for hours, answers do not.

    Those of JOINED are the same for every request that goes by the common clock; without `joined` each has its own.
    """
    return Loaders(SHARED if joined and clock is utc_now else OWN, clock)


def _current_prices(clock: Clock) -> Load[UUID, list[ZonePrice]]:
    async def load(zone_ids: Sequence[UUID]) -> list[list[ZonePrice]]:
        found = await pricing.current(zone_ids=zone_ids, now=clock())
        return [found.get(zone_id, []) for zone_id in zone_ids]

    return load


def _priced_stations(clock: Clock) -> Load[UUID, Surroundings | None]:
    async def load(station_ids: Sequence[UUID]) -> list[Surroundings | None]:
        return await along.priced(station_ids, now=clock())

    return load


def _whole_stations(clock: Clock) -> Load[UUID, Surroundings | None]:
    async def load(station_ids: Sequence[UUID]) -> list[Surroundings | None]:
        return await along.whole(station_ids, now=clock())

    return load


def _shaped_stations(clock: Clock) -> Load[tuple[UUID, Shape], Written | None]:
    async def load(asked: Sequence[tuple[UUID, Shape]]) -> list[Written | None]:
        return await shaped.shaped(asked, now=clock())

    return load


def _price_history(clock: Clock) -> Load[HistoryPage, list[ZonePrice]]:
    async def load(pages: Sequence[HistoryPage]) -> list[list[ZonePrice]]:
        return await pricing.histories(pages, now=clock())

    return load


def _sessions_of_viewer(clock: Clock) -> Load[tuple[Viewer, Page], list[OAuthSession]]:
    async def load(keys: Sequence[tuple[Viewer, Page]]) -> list[list[OAuthSession]]:
        return [
            await sessions.of_viewer(viewer=viewer, first=page.limit, after=page.after_id, now=clock())
            for viewer, page in keys
        ]

    return load


async def _cards_of_viewer(keys: list[tuple[Viewer, Page]]) -> list[list[FuelCard]]:
    found = {
        (viewer, page): await cards.of_viewer(viewer=viewer, first=page.limit, after=page.after_id)
        for viewer, page in set(keys)
    }
    return [found[key] for key in keys]


async def _profiles(viewers: list[Viewer]) -> list[UserFacts | None]:
    return await profiles(viewers=viewers)


async def _overviews(keys: list[tuple[Viewer, OrderPage, Shape | None]]) -> list[Overview | None]:
    viewers, pages, shapes = zip(*keys, strict=True)
    return await overview.of_viewers(viewers=viewers, pages=pages, shapes=shapes)


async def _orders_of_viewer(keys: list[tuple[Viewer, Page, OrderState | None]]) -> list[list[OrderFacts]]:
    pages = [OrderPage(page.limit, page.after_id, state) for _, page, state in keys]
    return await orders.of_viewers(viewers=[viewer for viewer, _, _ in keys], pages=pages)


async def _top_ups_of_viewer(keys: list[tuple[Viewer, Page]]) -> list[list[WalletTopUp]]:
    found = {
        (viewer, page): await top_ups.of_viewer(viewer=viewer, first=page.limit, after=page.after_id)
        for viewer, page in set(keys)
    }
    return [found[key] for key in keys]


async def _mandates_of_viewer(keys: list[tuple[Viewer, Page]]) -> list[list[Mandate]]:
    found = {
        (viewer, page): await mandates.of_viewer(viewer=viewer, first=page.limit, after=page.after_id)
        for viewer, page in set(keys)
    }
    return [found[key] for key in keys]


async def _sign_ins_of_viewer(keys: list[tuple[Viewer, Page]]) -> list[list[SignInRecord]]:
    found = {
        (viewer, page): await sign_ins.of_viewer(viewer=viewer, first=page.limit, after=page.after_id)
        for viewer, page in set(keys)
    }
    return [found[key] for key in keys]


async def _webhook_deliveries(keys: list[tuple[Viewer, UUID, Page]]) -> list[list[WebhookDelivery]]:
    found = {
        (viewer, webhook_id, page): await webhooks.deliveries(
            viewer=viewer, webhook_id=webhook_id, first=page.limit, after=page.after_id
        )
        for viewer, webhook_id, page in set(keys)
    }
    return [found[key] for key in keys]


async def _drives(keys: list[tuple[DrivingDistances, Location, Location]]) -> list[Drive]:
    found: dict[tuple[DrivingDistances, Location, Location], Drive] = {}
    for driving, origin in dict.fromkeys((driving, origin) for driving, origin, _ in keys):
        mine = list(dict.fromkeys(key[2] for key in keys if key[:2] == (driving, origin)))
        drives = await driving.between(origin=origin, destinations=mine)
        found |= {(driving, origin, each): drive for each, drive in zip(mine, drives, strict=True)}
    return [found[key] for key in keys]


# What every loader asks, given the clock.
LOADS: Mapping[str, Callable[[Clock], Callable[[list[Any]], Awaitable[Sequence[Any]]]]] = {
    "profiles": lambda _: _profiles,
    "overviews": lambda _: _overviews,
    "cards": lambda _: cards.by_ids,
    "cards_of_viewer": lambda _: _cards_of_viewer,
    "orders_of_viewer": lambda _: _orders_of_viewer,
    "orders": lambda _: orders.by_ids,
    "stories": lambda _: orders.stories,
    "fund_stories": lambda _: funds.stories,
    "payees": lambda _: funds.payees_by_ids,
    "difference_stories": lambda _: reconciliation.stories,
    "offers": lambda _: offers.by_ids,
    "top_ups_of_viewer": lambda _: _top_ups_of_viewer,
    "wallets": lambda _: ledger.wallets,
    "mandates_of_viewer": lambda _: _mandates_of_viewer,
    "cards_of_mandates": lambda _: mandates.cards_of,
    "stations": lambda _: stations.by_ids,
    "priced_stations": _priced_stations,
    "whole_stations": _whole_stations,
    "shaped_stations": _shaped_stations,
    "zones": lambda _: pricing.zones_by_ids,
    "prices": lambda _: pricing.prices_by_ids,
    "current_prices": _current_prices,
    "price_history": _price_history,
    "drives": lambda _: _drives,
    "phones": lambda _: phones.of_users,
    "message_standings": lambda _: consents.standings_of,
    "sign_ins_of_viewer": lambda _: _sign_ins_of_viewer,
    "have_payment_password": lambda _: payment_passwords.set_by,
    "spending_limits": lambda _: spending.of_users,
    "sessions_of_viewer": _sessions_of_viewer,
    "client_names": lambda _: clients.display_names,
    "webhook_deliveries": lambda _: _webhook_deliveries,
}
# Those whose loads are joined over requests, and how many keys go out at once at most: each is one statement for all of
# its keys, and a key names the viewer wherever that decides what may be seen.
JOINED: Mapping[str, int] = {
    "stations": KEYS_PER_LOAD_MAX,
    "priced_stations": KEYS_PER_LOAD_MAX,
    "whole_stations": KEYS_PER_LOAD_MAX,
    "shaped_stations": KEYS_PER_LOAD_MAX,
    "zones": KEYS_PER_LOAD_MAX,
    "current_prices": KEYS_PER_LOAD_MAX,
    "profiles": KEYS_PER_LOAD_MAX,
    "wallets": KEYS_PER_LOAD_MAX,
    "cards": KEYS_PER_LOAD_MAX,
    "orders": KEYS_PER_LOAD_MAX,
    # A page has up to a hundred rows.
    "orders_of_viewer": 50,
    "overviews": 50,
}


def _own(name: str) -> Callable[[Clock], Joined[Any, Any]]:
    load = LOADS[name]
    return lambda clock: of_request(load(clock))


def _shared(name: str) -> Callable[[Clock], Joined[Any, Any]]:
    joined: Joined[Any, Any] = Joined(LOADS[name](utc_now), keys_max=JOINED[name])
    return lambda _: joined


OWN: Mapping[str, Callable[[Clock], Any]] = {
    **{name: _own(name) for name in LOADS},
    "organisations": organisation_loaders.build,
}
SHARED: Mapping[str, Callable[[Clock], Any]] = {**OWN, **{name: _shared(name) for name in JOINED}}
