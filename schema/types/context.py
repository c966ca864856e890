"""What every resolver is given: who asks, when, in which language, and the ways to data and third parties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, cast
from uuid import UUID

from strawberry.types import Info as StrawberryInfo

from domain.account.rules import OwnLimits
from domain.budgets.operations import Budgets
from domain.cards.facts import CardFacts
from domain.events.ports import EventSource
from domain.identity.queries import UserFacts
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.messages.consents import Standing
from domain.orders.facts import OrderFacts, OrderPage
from domain.orders.overview import Overview
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.organisations.watching import MembershipWatch
from domain.pricing.queries import HistoryPage, NamedZone, ZonePrice
from domain.stations.along import Surroundings
from domain.stations.driving import DrivingDistances
from domain.stations.facts import StationFacts
from domain.stations.feed import PriceFeed
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from domain.stations.ports import Drive
from domain.switches.switchboard import Switchboard
from domain.usage.ports import UsageNotes
from domain.webhooks.policy import Policy as WebhookPolicy
from domain.webhooks.ports import Admission, WebhookSender
from kernel.clock import utc_now
from kernel.errors import DEFAULT_LOCALE, Locale, YoukaError
from kernel.fragments import View
from kernel.money import Money
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.shapes import Shape, Written
from models.access import OAuthSession
from models.cards import FuelCard
from models.funds import FundPayee, FundStep
from models.mandates import Mandate
from models.messages import UserPhone
from models.offers import Offer
from models.orders import OrderTransition
from models.payments import WalletTopUp
from models.reconciliation import ReconciliationStep
from models.sign_ins import SignInRecord
from models.webhooks import WebhookDelivery
from schema.types.charges import Charge, Estimates, Meter
from schema.types.enums import OrderState
from schema.types.loading import Lazy, Loader
from schema.types.organisation_loaders import OrganisationLoaders
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
    memberships: MembershipWatch = field(default_factory=MembershipWatch)
    switches: Switchboard = field(default_factory=Switchboard)
    budgets: Budgets = field(default_factory=lambda: Budgets.of(Settings()))
    estimates: Estimates | None = None
    usage: UsageNotes | None = None


class Loaders(Lazy):
    """Relations by key. They join the loads of one moment and keep nothing, so no answer is older than its question."""

    profiles: Loader[Viewer, UserFacts | None]
    overviews: Loader[tuple[Viewer, OrderPage, Shape | None], Overview | None]
    cards: Loader[UUID, CardFacts]
    cards_of_viewer: Loader[tuple[Viewer, Page], list[FuelCard]]
    orders_of_viewer: Loader[tuple[Viewer, Page, OrderState | None], list[OrderFacts]]
    orders: Loader[UUID, OrderFacts]
    stories: Loader[UUID, list[OrderTransition]]
    difference_stories: Loader[UUID, list[ReconciliationStep]]
    fund_stories: Loader[UUID, list[FundStep]]
    payees: Loader[UUID, FundPayee]
    offers: Loader[UUID, Offer | None]
    top_ups_of_viewer: Loader[tuple[Viewer, Page], list[WalletTopUp]]
    wallets: Loader[UUID, tuple[Money, Money]]
    mandates_of_viewer: Loader[tuple[Viewer, Page], list[Mandate]]
    cards_of_mandates: Loader[UUID, list[FuelCard]]
    stations: Loader[UUID, StationFacts | None]
    priced_stations: Loader[UUID, Surroundings | None]
    whole_stations: Loader[UUID, Surroundings | None]
    shaped_stations: Loader[tuple[UUID, Shape], Written | None]
    zones: Loader[UUID, NamedZone | None]
    prices: Loader[UUID, ZonePrice | None]
    current_prices: Loader[UUID, list[ZonePrice]]
    price_history: Loader[HistoryPage, list[ZonePrice]]
    drives: Loader[tuple[DrivingDistances, Location, Location], Drive]
    phones: Loader[UUID, UserPhone | None]
    message_standings: Loader[UUID, list[Standing]]
    sign_ins_of_viewer: Loader[tuple[Viewer, Page], list[SignInRecord]]
    have_payment_password: Loader[UUID, bool]
    spending_limits: Loader[UUID, OwnLimits]
    sessions_of_viewer: Loader[tuple[Viewer, Page], list[OAuthSession]]
    client_names: Loader[str, str]
    webhook_deliveries: Loader[tuple[Viewer, UUID, Page], list[WebhookDelivery]]
    organisations: OrganisationLoaders


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
    # Names the connection to its process, for what is counted by connection.
    connection: str = ""
    clock: Callable[[], datetime] = utc_now
    connection_params: dict[str, Any] | None = None
    # What the operation was charged, and what counts while it is executed.
    charge: Charge | None = None
    meter: Meter | None = None
    # What is kept of entities, where this execution may take it and add to it.
    fragments: View | None = None

    @property
    def now(self) -> datetime:
        return self.clock()

    def executing(self, *, meter: Meter | None = None) -> Context:
        """Return a context of one execution, which begins with what this one knows and no loaders."""
        return Context(
            self.services,
            NO_LOADERS,
            self.viewer,
            self.locale,
            self.request_id,
            self.address,
            self.connection,
            self.clock,
            self.connection_params,
            self.charge,
            meter,
        )

    @property
    def signed_in(self) -> Viewer:
        """Return the viewer. Raises NotSignedIn where nobody is signed in."""
        if self.viewer is None:
            raise NotSignedIn
        return self.viewer

    @property
    def estimates(self) -> Estimates:
        assert self.services.estimates is not None, "this process was opened without a schema that estimates"
        return self.services.estimates

    @property
    def webhooks(self) -> Webhooks:
        assert self.services.webhooks is not None, "this process was opened without webhooks"
        return self.services.webhooks


Info: TypeAlias = StrawberryInfo[Context, None]
