"""A world that is moved one step at a time by code that is not asynchronous, and in which nothing moves of itself.

Each call lets what it began go on for a few seconds of the world's clock. Whoever waits longer than that, for an
answer that is lost or slow, stays where it is and goes on under a later call, so that steps overlap. Jobs run only
where a call has a worker run them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from tortoise import Tortoise

from domain.cards.ports import IssuerOrderState
from domain.orders.notices import Facts
from domain.payments.ports import ChannelRefundState
from domain.payments.rules import PaymentMismatch
from jobs.worker import NeedsPerson
from kernel.states import CaseOutcome, CaseState
from models.database import dialect
from models.jobs import Job
from models.reviews import ManualCase
from tests.simulation import house
from tests.simulation.channels import ChannelRefund, SimulatedChannel
from tests.simulation.customers import BUSY
from tests.simulation.customers import REFUSALS as CUSTOMERS_REFUSALS
from tests.simulation.fate import PlannedFate, SeededFate, Weather
from tests.simulation.issuer import Recharge
from tests.simulation.lives import Lives
from tests.simulation.post import Letter
from tests.simulation.reckoning import reckon
from tests.simulation.staff import REFUSALS as STAFF_REFUSALS
from tests.simulation.staff import Office, outcomes_of
from tests.simulation.timeline import ProcessDied
from tests.simulation.witnesses import bear_witness, conserve
from tests.simulation.world import Third, World, opened

# Longer than a process takes to come back, and shorter than the wait for an answer that does not come.
STEP = timedelta(seconds=2.5)
T = TypeVar("T")


@dataclass(frozen=True)
class OpenCase:
    """A case that waits for people: what one of them proposes, and what the issuer's own word calls for."""

    id: UUID
    proposed: CaseOutcome | None
    outcomes: tuple[CaseOutcome, ...]


class Passive(Third):
    """Third parties that leave everything as it is until they are told; at the end they settle what comes at once."""

    world: World

    def __init__(self) -> None:
        self.at_once = False

    def on_refund(self, channel: SimulatedChannel, refund: ChannelRefund) -> None:
        if self.at_once:
            channel.settle_refund(refund, ChannelRefundState.SUCCESS)

    def on_submit(self, recharge: Recharge) -> None:
        if self.at_once:
            self.world.issuer_of(recharge).settle(recharge, IssuerOrderState.SUCCEEDED)

    def settle_everything(self, world: World) -> None:
        """Settle what is under way at the channels; what the issuer has not ended stays so for good."""
        self.at_once, self.world = True, world
        for issuer in world.issuers:
            issuer.closed = False
        for channel in world.channels:
            channel.refuses = False
            for refund in channel.refunds.values():
                if refund.state is ChannelRefundState.PROCESSING:
                    channel.settle_refund(refund, ChannelRefundState.SUCCESS)


class Stage:
    """One world on a fresh, migrated database of its own. `broken` is set where something raised."""

    def __init__(self, fresh: Callable[[], AbstractContextManager[str]]) -> None:
        self.fate, self.third = PlannedFate(), Passive()
        self.world = World(self.fate, self.third, careful_channels=False)
        self.world.house.for_a_person = self._for_a_person
        self.lives = Lives()
        self.broken = False
        self._checked: int | None = None
        self.taken: set[str] = set()
        # What there is to do, by name, and in how many seconds there will be more.
        self.due: dict[str, UUID] = {}
        self.parked: dict[str, UUID] = {}
        self.due_in_s = 0.0
        self.cases: list[OpenCase] = []
        self._lies: set[str] = set()
        with ExitStack() as opening:
            url = opening.enter_context(fresh())
            self.runner = opening.enter_context(asyncio.Runner())
            scene = opened(self.world, url)
            self.runner.run(scene.__aenter__())
            opening.callback(lambda: self.runner.run(scene.__aexit__(None, None, None)))
            self.runner.run(self._people())
            self._opening = opening.pop_all()

    def close(self) -> None:
        self._opening.close()

    @property
    def now(self) -> datetime:
        return self.world.now

    @property
    def letters(self) -> list[Letter]:
        return self.world.post.letters

    def run(self, work: Awaitable[T]) -> T:
        """Run something to its end. What it raises says what happened before."""

        async def whole() -> T:
            return await work

        try:
            return self.runner.run(whole())
        except BaseException as error:
            self.broken = True
            error.add_note(self.world.told(str(error)))
            raise

    def ask(
        self,
        make: Callable[[datetime], Coroutine[Any, Any, T]],
        answered: Callable[[T], None] = lambda _answer: None,
        *,
        patience_s: float | None = None,
    ) -> None:
        """Ask our server for something. Whoever is refused, or gets no answer, lives with it."""

        async def client() -> None:
            try:
                answer = await self.world.house.request(make, cancel_after_s=patience_s)
            except (ProcessDied, asyncio.CancelledError, *BUSY) as error:
                self.world.note(f"no answer: {type(error).__name__}")
            except (*CUSTOMERS_REFUSALS, *STAFF_REFUSALS) as error:
                self.world.note(f"refused: {type(error).__name__}")
            else:
                answered(answer)

        self.world.timeline.start(client, name="client")
        self.go_on()

    def go_on(self) -> None:
        """Let everybody who is not waiting for long have their turns."""
        self.run(self._go_on())

    def write(self, source: str, facts: Facts, *, lie: bool = False) -> Letter:
        """Have a third party write a callback that nobody brings yet."""
        letter = self.world.post.write(source, facts)
        if lie:
            self._lies.add(letter.notice_id)
        return letter

    def rewritten(self, letter: Letter) -> Letter:
        """Return the same facts in another callback, as a third party sends them that forgot having told."""
        return self.write(letter.source, letter.facts, lie=letter.notice_id in self._lies)

    def bring(self, letter: Letter) -> None:
        """Bring a callback once; where it is not acknowledged it is not brought again."""

        async def bring() -> None:
            try:
                await self.world.house.receive(letter)
            except (ProcessDied, asyncio.CancelledError):
                self.world.note(f"{letter.notice_id} is not acknowledged")
            else:
                self.taken.add(letter.notice_id)

        self.world.timeline.start(bring, name=f"letter {letter.notice_id}")
        self.go_on()

    def run_job(self, name: str) -> None:
        """Have one piece of due work run, and nothing else."""
        worker = self.world.house.able_worker()
        if worker is not None:
            self.run(self.world.house.run_one(worker, self.due[name]))
            self.go_on()

    def run_due(self) -> None:
        """Have a worker take everything that is due, at once."""
        worker = self.world.house.able_worker()
        if worker is not None:

            async def claim() -> None:
                await self.world.house.run_due(worker)

            self.world.timeline.start(claim, name=f"{worker.name} claims", process=worker)
            self.go_on()

    def pass_time(self, seconds: float) -> None:
        """Let everything take its course for so long, with workers that run what is due when it is due."""
        self.run(self._pass(self.now + timedelta(seconds=seconds)))

    def jump(self, seconds: float) -> None:
        """Let so much time pass in which nobody of ours does anything, as in an outage of everything."""
        self.world.timeline.advance(self.now + timedelta(seconds=seconds))
        self.go_on()

    def check(self) -> None:
        """Prove what holds at every moment, and look what there is to do next. Raises AssertionError."""
        self.run(self._check_what_changed())

    def settle(self) -> None:
        """Let nothing go wrong any more and everything come to its end, and hold it all against each other."""
        self.run(self._settle())

    async def _people(self) -> None:
        world = self.world
        await world.add_customer(card_count=1)
        await world.add_customer(card_count=1)
        for employed in (None, None, world.customers[0]):
            await world.add_staff(customer=employed)
        await world.add_offer(amount_fen=20_000, price_fen=19_500, stock=1)
        await world.add_offer(amount_fen=250_000, price_fen=240_000, stock=3)

    async def _look(self) -> None:
        self.due, self.parked, self.due_in_s = {}, {}, 0.0
        waits_s = list[float]()
        for job in await Job.filter(done_at__isnull=True).order_by("due_at", "id"):
            name = f"{job.kind} {job.key}"
            due_at = max(job.due_at, job.lease_until or job.due_at)
            if job.parked_at is not None:
                self.parked[name] = job.id
            elif due_at > self.now:
                waits_s.append((due_at - self.now).total_seconds())
            else:
                self.due[name] = job.id
        self.due_in_s = min(waits_s, default=0.0)
        waiting = await ManualCase.filter(state__not=CaseState.RESOLVED).order_by("id")
        self.cases = [OpenCase(each.id, each.outcome, await outcomes_of(self.world, each)) for each in waiting]

    async def _go_on(self) -> None:
        until = self.now + STEP
        while await self.world.timeline.step(until=until):
            pass

    async def _pass(self, until: datetime) -> None:
        while await self.world.turn(until=until) or await self._finds_work(until):
            pass
        self.world.timeline.advance(until)
        self.world.house.rest()

    async def _finds_work(self, until: datetime) -> bool:
        await self.world.house.look_for_work()
        next_at = self.world.timeline.next_at()
        return next_at is not None and next_at <= until

    async def _check_what_changed(self) -> None:
        """Many moves write nothing, and then the database says what it said before."""
        change = await self._last_change()
        if change is None or change != self._checked:
            await self._check()
            self._checked = change
        await self._look()

    async def _last_change(self) -> int | None:
        """Return a number that grows with each row that is written, where the database has one."""
        if dialect() != "sqlite":
            return None
        (row,) = await Tortoise.get_connection("default").execute_query_dict("SELECT total_changes() AS number")
        return int(row["number"])

    async def _check(self) -> None:
        await self.lives.follow()
        found = await self.world.findings()
        assert not found, found
        await bear_witness(self.world)

    async def _settle(self) -> None:
        self.fate.forget()
        self.world.network.down.clear()
        self.third.settle_everything(self.world)
        for letter in self.letters:
            if letter.notice_id not in self.taken:
                self.world.post.send(letter, after_s=0.0)
        office = Office(self.world, SeededFate(0, Weather().calm()))
        deciding = True
        while deciding:
            while await self.world.turn() or await self._finds_work(datetime.max.replace(tzinfo=self.now.tzinfo)):
                pass
            deciding = await office.finish()
        await self.world.write_journal()
        await self._check()
        await reckon(self.world)
        await conserve(self.world)

    def _for_a_person(self, job: Job, error: NeedsPerson) -> bool:
        lies = {f"{letter.source}:{letter.notice_id}" for letter in self.letters if letter.notice_id in self._lies}
        lied = job.key in lies and isinstance(error.__cause__, PaymentMismatch)
        return lied or house.for_a_person(job, error)
