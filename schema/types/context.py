"""What every resolver is given: who asks, when, in which language, and the ways to data and third parties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, cast
from uuid import UUID

from strawberry.dataloader import DataLoader
from strawberry.types import Info as StrawberryInfo

from domain.events.ports import EventSource
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.messages.consents import Standing
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.pricing.queries import HistoryPage, ZonePrice
from domain.stations.driving import DrivingDistances
from domain.stations.feed import PriceFeed
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from domain.stations.ports import Drive
from domain.webhooks.policy import Policy as WebhookPolicy
from domain.webhooks.ports import Admission, WebhookSender
from kernel.clock import utc_now
from kernel.errors import DEFAULT_LOCALE, Locale, YoukaError
from kernel.money import Money
from kernel.sealing import Sealer
from kernel.settings import Settings
from models.cards import FuelCard
from models.messages import UserPhone
from models.offers import Offer
from models.orders import OrderTransition, RechargeOrder
from models.payments import WalletTopUp
from models.pricing import PriceZone
from models.stations import Station
from models.webhooks import WebhookDelivery
from schema.types.enums import OrderState
from schema.types.relay import Page


class NotSignedIn(YoukaError):
    code = "UNAUTHENTICATED"
    messages = {"zh-CN": "请先登录", "en": "Sign in first"}


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What registering webhooks takes beside the database; `poke` tells whoever delivers them to look."""

    admission: Admission
    sender: WebhookSender
    policy: WebhookPolicy
    poke: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the process."""

    settings: Settings
    third_parties: ThirdParties
    policy: Policy
    sealer: Sealer
    tokens: TokenAuthority
    events: EventSource
    stations: StationIndex
    prices: PriceFeed
    webhooks: Webhooks | None = None
    driving: DrivingDistances | None = None


@dataclass(slots=True)
class Loaders:
    """Relations by key. They join the loads of one moment and keep nothing, so no answer is older than its question."""

    cards: DataLoader[UUID, FuelCard]
    cards_of_viewer: DataLoader[tuple[Viewer, Page], list[FuelCard]]
    orders_of_viewer: DataLoader[tuple[Viewer, Page, OrderState | None], list[RechargeOrder]]
    orders: DataLoader[UUID, RechargeOrder]
    stories: DataLoader[UUID, list[OrderTransition]]
    offers: DataLoader[UUID, Offer | None]
    top_ups_of_viewer: DataLoader[tuple[Viewer, Page], list[WalletTopUp]]
    wallets: DataLoader[UUID, tuple[Money, Money]]
    stations: DataLoader[UUID, Station | None]
    zones: DataLoader[UUID, PriceZone | None]
    prices: DataLoader[UUID, ZonePrice | None]
    current_prices: DataLoader[UUID, list[ZonePrice]]
    price_history: DataLoader[HistoryPage, list[ZonePrice]]
    drives: DataLoader[tuple[DrivingDistances, Location, Location], Drive]
    phones: DataLoader[UUID, UserPhone | None]
    message_standings: DataLoader[UUID, list[Standing]]
    webhook_deliveries: DataLoader[tuple[Viewer, UUID, Page], list[WebhookDelivery]]


NO_LOADERS = cast(Loaders, None)


@dataclass(slots=True)
class Context:
    """One HTTP request, or one WebSocket connection."""

    services: Services
    # Each execution is given its own.
    loaders: Loaders = NO_LOADERS
    viewer: Viewer | None = None
    locale: Locale = DEFAULT_LOCALE
    request_id: str = ""
    address: str = ""
    clock: Callable[[], datetime] = utc_now
    connection_params: dict[str, Any] | None = None

    @property
    def now(self) -> datetime:
        return self.clock()

    @property
    def signed_in(self) -> Viewer:
        """Return the viewer. Raises NotSignedIn where nobody is signed in."""
        if self.viewer is None:
            raise NotSignedIn
        return self.viewer

    @property
    def webhooks(self) -> Webhooks:
        assert self.services.webhooks is not None, "this process was opened without webhooks"
        return self.services.webhooks


Info: TypeAlias = StrawberryInfo[Context, None]
