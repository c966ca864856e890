"""A world of its own: our house, the third parties, a clock, and whatever goes wrong between them."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch
from uuid import UUID

from tortoise import Tortoise

import kernel.ids
from domain.cards import operations as cards
from domain.cards.ports import IssuerOrderState, Issuers, RechargeFacts
from domain.finance import audit as finance_audit
from domain.identity import staff
from domain.identity.operations import sign_in
from domain.identity.staff import Staff
from domain.identity.viewer import Viewer
from domain.ledger import audit as ledger_audit
from domain.ledger.audit import Finding
from domain.offers import operations as offers
from domain.orders import audit as order_audit
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.payments.ports import Channels
from jobs.finance import Projection
from jobs.handlers import Handlers
from kernel.ids import short_text
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.states import StaffRole
from models.cards import FuelCard
from models.database import connected, dialect
from models.offers import Offer
from tests.factories import sign
from tests.simulation.channels import ALIPAY, NAME, ChannelRefund, SimulatedChannel, SimulatedPayers
from tests.simulation.face import SimulatedFace, SimulatedLogin
from tests.simulation.fate import Fate
from tests.simulation.house import House
from tests.simulation.inline_sqlite import inline_sqlite
from tests.simulation.issuer import MAIN, OTHER, Recharge, SimulatedIssuer
from tests.simulation.network import Network
from tests.simulation.post import Post
from tests.simulation.timeline import Timeline

BEGINNING = datetime(2026, 4, 1, 2, 0, tzinfo=UTC)
SEALER = Sealer(bytes(32))
LAST_STEPS = 60
IDENTIFIER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# One connection has the file to itself, so that no transaction asks the system for a lock.
UNSAFE = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY"
MERCHANTS = ((NAME, "1900000209"), (NAME, "1900000210"), (ALIPAY, "2088000000000209"))


@dataclass(frozen=True)
class Customer:
    """Somebody with an account and cards, whose numbers the issuer knows."""

    viewer: Viewer
    openid: str
    cards: tuple[FuelCard, ...]


class Third:
    """What third parties do of themselves. Here they do nothing; a simulation or a test moves them."""

    def on_refund(self, channel: SimulatedChannel, refund: ChannelRefund) -> None:
        """Say what becomes of a refund that a channel has just accepted."""

    def on_submit(self, recharge: Recharge) -> None:
        """Say what becomes of a recharge that the issuer has just accepted."""


@dataclass
class World:
    fate: Fate
    third: Third
    # Fewer questions than in production, because each costs real time here, and time itself costs nothing.
    settings: Settings = field(
        default_factory=lambda: Settings(
            payment_query_delay_s=45.0, recharge_query_delay_s=30.0, recharge_queries_max=11
        )
    )
    worker_count: int = 2
    careful_channels: bool = True

    def __post_init__(self) -> None:
        self.timeline = Timeline(BEGINNING)
        self.network = Network(self.timeline, self.fate)
        self.channels = tuple(
            SimulatedChannel(
                sub_mchid,
                self.network,
                name=name,
                on_refund=self.third.on_refund,
                careful=self.careful_channels,
            )
            for name, sub_mchid in MERCHANTS
        )
        self.issuers = tuple(SimulatedIssuer(self.network, self.third.on_submit, name) for name in (MAIN, OTHER))
        self.face = SimulatedFace(self.network)
        channels = Channels(self.channels, alipay_payers=SimulatedPayers(self.network))
        self.parties = ThirdParties(channels, Issuers(self.issuers), SimulatedLogin(), self.face)
        self.policy = Policy.of(self.settings)
        handlers = Handlers(settings=self.settings, third_parties=self.parties, policy=self.policy, sealer=SEALER)
        self.house = House(self.timeline, self.fate, handlers, worker_count=self.worker_count, note=self.note)
        self.post = Post(self.timeline, self.house.receive)
        self.steps: list[str] = []
        self.turns = 0
        self.customers: list[Customer] = []
        self.staff: list[Staff] = []
        self.offers: list[Offer] = []

    @property
    def now(self) -> datetime:
        return self.timeline.now

    @property
    def issuer(self) -> SimulatedIssuer:
        return self.issuers[0]

    @property
    def recharges(self) -> dict[UUID, Recharge]:
        """What issuers know of, by the attempt; no attempt is known to two."""
        return {recharge.attempt_id: recharge for issuer in self.issuers for recharge in issuer.recharges.values()}

    def issuer_of(self, recharge: Recharge) -> SimulatedIssuer:
        return next(issuer for issuer in self.issuers if issuer.name == recharge.issuer)

    def facts_of(self, attempt_id: UUID) -> RechargeFacts:
        """Return what the issuer of a recharge would say of it now."""
        told = [issuer.facts_of(attempt_id) for issuer in self.issuers]
        known = [facts for facts in told if facts.state is not IssuerOrderState.NOT_FOUND]
        assert len(known) <= 1, f"recharge {attempt_id} is known to two issuers"
        return (known or told)[0]

    def note(self, step: str) -> None:
        """Remember what happens, to be told where something fails."""
        self.steps.append(f"{self.now:%m-%d %H:%M:%S.%f} {step}")

    def told(self, problem: str) -> str:
        """Return the steps that mention what the problem mentions, and the last ones."""
        wanted = {short_text(UUID(text)) for text in IDENTIFIER.findall(problem)} | set(IDENTIFIER.findall(problem))
        about = [step for step in self.steps if any(each in step for each in wanted)]
        return "\n".join(["Of these:", *about, "The last steps:", *self.steps[-LAST_STEPS:]])

    async def turn(self, *, until: datetime | None = None) -> bool:
        """Give the next turn to whoever is due by then, and return whether there was one."""
        went_on = await self.timeline.step(until=until)
        if went_on:
            self.turns += 1
            await self.house.look_for_work()
        return went_on

    async def findings(self) -> list[Finding]:
        """Return what the audits of the ledger, of the finance journal and of the orders find."""
        return [*await ledger_audit.findings(), *await finance_audit.findings(), *await order_audit.findings()]

    async def write_journal(self) -> None:
        """Have finance read everything that the ledger has told until now."""
        await Projection(self.settings, clock=lambda: self.now).catch_up()

    async def add_customer(self, *, card_count: int = 1) -> Customer:
        openid = f"openid-{len(self.customers) + 1}"
        user = await sign_in(code=openid, login=self.parties.login, now=self.now)
        scopes, until = frozenset({"recharge"}), self.now + timedelta(days=3650)
        viewer = Viewer(user_id=user.id, client_id="simulation", scopes=scopes, expires_at=until)
        bound = []
        for index in range(card_count):
            number = f"100011{len(self.customers) * 10 + index:013d}"
            bound.append(await cards.bind(viewer=viewer, number=number, sealer=SEALER, cards_max=20, now=self.now))
        customer = Customer(viewer, openid, tuple(bound))
        self.customers.append(customer)
        return customer

    async def add_staff(self, *, customer: Customer | None = None) -> Staff:
        customer_id = customer.viewer.user_id if customer else None
        name = f"staff-{len(self.staff) + 1}"
        member = await staff.add(name=name, roles=frozenset(StaffRole), customer_id=customer_id, now=self.now)
        self.staff.append(Staff(member.id, member.name, member.customer_id))
        # Their authenticator is there before they need it.
        await sign(self.staff[-1])
        return self.staff[-1]

    async def add_offer(self, *, amount_fen: int, price_fen: int, stock: int, per_user_max: int = 3) -> Offer:
        offer = await offers.create(
            code=f"offer-{len(self.offers) + 1}",
            title="满减",
            brand=None,
            amount_fen=amount_fen,
            price_fen=price_fen,
            stock=stock,
            per_user_max=per_user_max,
            starts_at=self.now,
            ends_at=self.now + timedelta(days=365),
            now=self.now,
        )
        self.offers.append(offer)
        return offer


@asynccontextmanager
async def opened(world: World, url: str, *, id_seed: int = 0) -> AsyncIterator[World]:
    """Open the world on a migrated database. Ids come from the seed and from the world's own clock."""
    dice = random.Random(f"ids of {id_seed}")
    system = SimpleNamespace(urandom=dice.randbytes)
    ticks = kernel.ids.Ticks(lambda: int(world.now.timestamp() * 1_000) * 1_000_000)
    with (
        inline_sqlite(),
        patch.object(kernel.ids, "os", system),
        patch.object(kernel.ids, "_ticks", ticks),
        world.house.watched(),
    ):
        async with connected(url):
            if dialect() == "sqlite":
                # Nothing of this world outlives the process, so nothing has to reach a disk.
                await Tortoise.get_connection("default").execute_script(UNSAFE)
            try:
                yield world
            finally:
                await world.timeline.close()
