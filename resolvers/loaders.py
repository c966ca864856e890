"""Relations between types, loaded in one statement for everything that one moment asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from strawberry.dataloader import DataLoader

from domain.cards import queries as cards
from domain.identity import phones
from domain.identity.viewer import Viewer
from domain.ledger import queries as ledger
from domain.messages import consents
from domain.offers import queries as offers
from domain.orders import queries as orders
from domain.payments import top_ups
from domain.pricing import queries as pricing
from domain.pricing.queries import HistoryPage, ZonePrice
from domain.stations import queries as stations
from domain.stations.driving import DrivingDistances
from domain.stations.geo import Location
from domain.stations.ports import Drive
from domain.webhooks import queries as webhooks
from kernel.clock import utc_now
from kernel.states import OrderState
from models.cards import FuelCard
from models.orders import RechargeOrder
from models.payments import WalletTopUp
from models.webhooks import WebhookDelivery
from schema.types.context import Loaders
from schema.types.relay import Page


def build(clock: Callable[[], datetime] = utc_now) -> Loaders:
    """Return loaders that batch but never cache: connections live for hours, answers do not."""

    async def current_prices(zone_ids: Sequence[UUID]) -> list[list[ZonePrice]]:
        found = await pricing.current(zone_ids=zone_ids, now=clock())
        return [found.get(zone_id, []) for zone_id in zone_ids]

    async def price_history(pages: Sequence[HistoryPage]) -> list[list[ZonePrice]]:
        return await pricing.histories(pages, now=clock())

    return Loaders(
        cards=DataLoader(load_fn=cards.by_ids, cache=False),
        cards_of_viewer=DataLoader(load_fn=_cards_of_viewer, cache=False),
        orders_of_viewer=DataLoader(load_fn=_orders_of_viewer, cache=False),
        orders=DataLoader(load_fn=orders.by_ids, cache=False),
        stories=DataLoader(load_fn=orders.stories, cache=False),
        offers=DataLoader(load_fn=offers.by_ids, cache=False),
        top_ups_of_viewer=DataLoader(load_fn=_top_ups_of_viewer, cache=False),
        wallets=DataLoader(load_fn=ledger.wallets, cache=False),
        stations=DataLoader(load_fn=stations.by_ids, cache=False),
        zones=DataLoader(load_fn=pricing.zones_by_ids, cache=False),
        prices=DataLoader(load_fn=pricing.prices_by_ids, cache=False),
        current_prices=DataLoader(load_fn=current_prices, cache=False),
        price_history=DataLoader(load_fn=price_history, cache=False),
        drives=DataLoader(load_fn=_drives, cache=False),
        phones=DataLoader(load_fn=phones.of_users, cache=False),
        message_standings=DataLoader(load_fn=consents.standings_of, cache=False),
        webhook_deliveries=DataLoader(load_fn=_webhook_deliveries, cache=False),
    )


async def _cards_of_viewer(keys: list[tuple[Viewer, Page]]) -> list[list[FuelCard]]:
    found = {
        (viewer, page): await cards.of_viewer(viewer=viewer, first=page.limit, after=page.after_id)
        for viewer, page in set(keys)
    }
    return [found[key] for key in keys]


async def _orders_of_viewer(keys: list[tuple[Viewer, Page, OrderState | None]]) -> list[list[RechargeOrder]]:
    found = {
        (viewer, page, state): await orders.of_viewer(viewer=viewer, state=state, first=page.limit, after=page.after_id)
        for viewer, page, state in set(keys)
    }
    return [found[key] for key in keys]


async def _top_ups_of_viewer(keys: list[tuple[Viewer, Page]]) -> list[list[WalletTopUp]]:
    found = {
        (viewer, page): await top_ups.of_viewer(viewer=viewer, first=page.limit, after=page.after_id)
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
