"""One seeded simulation: many customers, honest third parties, a bad network, dying processes, and the audits."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass

from kernel.states import OrderState
from models.events import Event
from models.orders import OrderTransition, RechargeOrder
from tests.simulation.channels import SimulatedChannel
from tests.simulation.conduct import Conduct
from tests.simulation.customers import Customers
from tests.simulation.fate import SeededFate, Weather
from tests.simulation.issuer import SimulatedIssuer
from tests.simulation.reckoning import reckon
from tests.simulation.staff import Office
from tests.simulation.world import World, opened

ORDERS_PER_CUSTOMER = 10
AUDIT_EVERY_TURNS = 2_000
DISTURBANCE_S = 1_800.0
OUTAGE_MEAN_S = 120.0


class SimulationFailed(AssertionError):
    """Something is not true of the books, or something happened that must not. Names the seed and the last steps."""


@dataclass(frozen=True)
class Outcome:
    """What came of one simulation. `digest` names its history: the same seed gives the same."""

    seed: int
    order_count: int
    paid_count: int
    turn_count: int
    virtual_s: float
    wall_s: float
    rules: Counter[int]
    events: Counter[str]
    digest: str


async def simulate(*, seed: int, orders: int, url: str) -> Outcome:
    """Play about so many orders on a fresh, migrated database. Raises SimulationFailed."""
    began_s = time.monotonic()
    fate = SeededFate(seed, Weather())
    conduct = Conduct(fate)
    world = conduct.world = World(fate, conduct)
    simulation = Simulation(world, fate, conduct)
    async with opened(world, url, id_seed=seed):
        try:
            await simulation.play(orders)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            where = f"SIMULATION_SEED={seed} with {orders} orders fails at turn {world.turns}"
            raise SimulationFailed(f"{where}: {problem}\n{world.told(problem)}") from error
        return await simulation.outcome(seed, time.monotonic() - began_s)


class Simulation:
    def __init__(self, world: World, fate: SeededFate, conduct: Conduct) -> None:
        self.world, self.fate, self.conduct = world, fate, conduct
        self.customers = Customers(world, fate, conduct)
        self.office = Office(world, fate)
        self.disturbing = True
        self.began_at = world.now

    async def play(self, orders: int) -> None:
        await self._people(orders)
        self.world.timeline.start(self._disturb, name="disturbances", after_s=60.0)
        self.office.start()
        while not self.customers.all_gone:
            await self._turn()
        await self._calm_down()
        await self.world.write_journal()
        await self._audit()
        await reckon(self.world)

    async def _people(self, orders: int) -> None:
        for amount_fen, price_fen, stock in ((50_000, 49_000, orders // 20 + 1), (20_000, 19_500, orders // 30 + 1)):
            await self.world.add_offer(amount_fen=amount_fen, price_fen=price_fen, stock=stock)
        count = max(2, orders // ORDERS_PER_CUSTOMER)
        for _ in range(count):
            customer = await self.world.add_customer(card_count=self.fate.one_of((1, 1, 2)))
            self.customers.start(customer, order_count=orders // count, after_s=self.fate.within(0.0, 7_200.0))
        for employed in (None, None, self.world.customers[0]):
            await self.world.add_staff(customer=employed)

    async def _turn(self) -> bool:
        went_on = await self.world.turn()
        if self.world.turns % AUDIT_EVERY_TURNS == 0:
            await self._audit()
        return went_on

    async def _audit(self) -> None:
        found = await self.world.findings()
        assert not found, found

    async def _disturb(self) -> None:
        """Kill, freeze and cut off now and then, until everybody has gone."""
        while self.disturbing:
            await self.world.timeline.sleep(self.fate.about(DISTURBANCE_S))
            house = self.world.house
            if self.fate.chance(0.4, "a route is down"):
                self._cut_off(self.fate.one_of([channel.party for channel in self.world.channels]))
            elif self.fate.chance(0.3, "an issuer is down"):
                self._cut_off(self.fate.one_of(self.world.issuers).name)
            elif self.fate.chance(0.2, "an issuer accepts nothing"):
                self._close(self.fate.one_of(self.world.issuers))
            elif self.fate.chance(0.3, "a worker is killed"):
                house.kill(self.fate.one_of(house.workers))
            elif self.fate.chance(0.3, "the server is killed"):
                house.kill(house.server)
            elif self.fate.chance(0.5, "a worker freezes"):
                house.freeze(self.fate.one_of(house.workers), seconds=self.fate.within(20.0, 120.0))
            elif self.fate.chance(0.5, "a channel refuses"):
                self._refuse(self.fate.one_of(self.world.channels))

    def _refuse(self, channel: SimulatedChannel) -> None:
        """Let a channel want neither payments nor refunds for a while, as where the deposit there is used up."""
        channel.refuses = True

        def relent() -> None:
            channel.refuses = False

        self.world.timeline.call(relent, after_s=self.fate.about(OUTAGE_MEAN_S * 5))

    def _close(self, issuer: SimulatedIssuer) -> None:
        """Let an issuer accept nothing for a while, as where our deposit there is used up."""
        issuer.closed = True

        def open_again() -> None:
            issuer.closed = False

        self.world.timeline.call(open_again, after_s=self.fate.about(OUTAGE_MEAN_S * 5))

    def _cut_off(self, party: str) -> None:
        self.world.note(f"{party} is down")
        self.world.network.down.add(party)

        def back() -> None:
            self.world.network.down.discard(party)
            self.world.note(f"{party} is back")

        self.world.timeline.call(back, after_s=self.fate.about(OUTAGE_MEAN_S))

    async def _calm_down(self) -> None:
        """Let nothing go wrong any more, and everything that is under way come to its end."""
        self.disturbing, self.office.closed = False, True
        self.fate.weather = self.fate.weather.calm()
        deciding = True
        while deciding:
            while await self._turn():
                pass
            deciding = await self.office.finish()

    async def outcome(self, seed: int, wall_s: float) -> Outcome:
        steps = await OrderTransition.all().values_list("rule", flat=True)
        digest = hashlib.sha256()
        for row in await Event.all().order_by("id").values_list("stream", "position", "type", "payload", "occurred_at"):
            digest.update(repr(row).encode())
        return Outcome(
            seed=seed,
            order_count=await RechargeOrder.all().count(),
            paid_count=await OrderTransition.filter(rule=4).count(),
            turn_count=self.world.turns,
            virtual_s=(self.world.now - self.began_at).total_seconds(),
            wall_s=wall_s,
            rules=Counter(int(str(rule)) for rule in steps),
            events=self.fate.counts,
            digest=digest.hexdigest(),
        )


async def states() -> Counter[OrderState]:
    """Return how many orders stand in each state."""
    return Counter([order.state for order in await RechargeOrder.all().only("id", "state")])
