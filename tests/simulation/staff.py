"""What staff do: review large orders, decide cases by twos after asking the issuer, and retry what is left to them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from domain.access.second_factor import Signature
from domain.cards.ports import IssuerOrderState
from domain.identity.staff import Staff
from domain.orders import cases, reviewing
from domain.orders.cases import CaseClosed, SecondPersonNeeded
from domain.orders.reviewing import ReviewNotPending, ReviewOwnOrder
from domain.payments.wallet import WalletInsufficient
from domain.work import manual_queue, queries
from domain.work.manual_queue import JobNotParked
from kernel.states import CaseKind, CaseOutcome, CaseState
from models.reviews import ManualCase
from tests.factories import STEPS
from tests.simulation.fate import SeededFate
from tests.simulation.timeline import ProcessDied
from tests.simulation.world import World

PAUSE_S = 1_800.0
PAGE = 50
REFUSALS = (CaseClosed, JobNotParked, ReviewNotPending, ReviewOwnOrder, SecondPersonNeeded, WalletInsufficient)


@dataclass
class Office:
    world: World
    fate: SeededFate
    closed: bool = False
    # Work that was retried at the end, when nothing stands in its way any more; what is left then stays so.
    retried: set[UUID] = field(default_factory=set)

    def start(self) -> None:
        self.world.timeline.start(self._work, name="staff", after_s=PAUSE_S)

    async def _work(self) -> None:
        while not self.closed:
            await self.work_once(patient=True)
            self.retried.clear()
            await self.world.timeline.sleep(self.fate.within(PAUSE_S / 2, PAUSE_S))

    async def work_once(self, *, patient: bool) -> None:
        """Look at everything that waits; who is patient leaves some of it for later."""
        for review in await reviewing.waiting(staff=self.world.staff[0], first=PAGE, after=None):
            if patient and self.fate.chance(0.3, "a review waits"):
                continue
            member = self.fate.one_of(self.world.staff)
            approve = not self.fate.chance(0.2, "a review rejects")
            await self._ask(
                partial(reviewing.decide, staff=member, order_id=review.order_id, approve=approve, reason="looked at")
            )
        for case in await cases.waiting(staff=self.world.staff[0], first=PAGE, after=None):
            if not (patient and self.fate.chance(0.3, "a case waits")):
                await self._decide(case, patient)
        for job in await queries.parked(limit=PAGE):
            if self.fate.chance(0.2) if patient else job.id not in self.retried:
                self.retried.add(job.id)
                await self._ask(partial(manual_queue.retry, job_id=job.id, actor="staff", reason="looked at"))

    async def finish(self) -> bool:
        """Decide what can be decided and retry what is left to people; return whether that moved anything."""
        before = await self._waiting()
        self.world.timeline.start(lambda: self.work_once(patient=False), name="staff")
        while await self.world.turn():
            pass
        return await self._waiting() != before

    async def _waiting(self) -> list[tuple[object, object]]:
        reviews = await reviewing.waiting(staff=self.world.staff[0], first=PAGE, after=None)
        open_cases = await cases.waiting(staff=self.world.staff[0], first=PAGE, after=None)
        left = await queries.parked(limit=PAGE)
        return [
            *((review.id, None) for review in reviews),
            *((case.id, case.outcome) for case in open_cases),
            *((job.id, len(job.interventions)) for job in left),
        ]

    async def _decide(self, case: ManualCase, patient: bool) -> None:
        outcome = await self._outcome(case)
        if outcome is None:
            return
        maker, checker = self._two(case, careless=patient and self.fate.chance(0.2, "staff forgets who may decide"))
        propose = partial(cases.propose, staff=maker, case_id=case.id, reason="looked at")
        if case.state is CaseState.OPEN:
            await self._ask(partial(propose, outcome=outcome))
        refused = await self._ask(partial(approve_case, staff=checker, case_id=case.id, outcome=outcome))
        if isinstance(refused, WalletInsufficient):
            await self._ask(partial(propose, outcome=CaseOutcome.WRITE_OFF))

    def _two(self, case: ManualCase, *, careless: bool) -> tuple[Staff, Staff]:
        """Return who proposes and who approves; who is careless does not ask whether they may."""
        if careless:
            maker, checker = self.fate.dice.choices(self.world.staff, k=2)
            return maker, checker
        able = [member for member in self.world.staff if member.customer_id != case.user_id]
        maker, checker = self.fate.dice.sample(able, 2)
        return (maker, checker) if checker.id != case.proposed_by else (checker, maker)

    async def _ask(self, work: Callable[..., Coroutine[Any, Any, object]]) -> Exception | None:
        """Have the server do it, and return why it would not. What gets no answer is looked at again later."""
        try:
            await self.world.house.request(lambda now: work(now=now))
        except ProcessDied:
            return None
        except REFUSALS as error:
            self.fate.counts[f"staff is refused: {type(error).__name__}"] += 1
            return error
        return None

    async def _outcome(self, case: ManualCase) -> CaseOutcome | None:
        outcomes = await outcomes_of(self.world, case)
        if case.outcome in outcomes:
            return case.outcome
        return self.fate.one_of(outcomes) if len(outcomes) > 1 else next(iter(outcomes), None)


async def approve_case(*, staff: Staff, case_id: UUID, outcome: CaseOutcome, now: datetime) -> ManualCase:
    """Approve what is proposed now, with a code that has signed nothing yet."""
    known = await ManualCase.get(id=case_id)
    signature = Signature(staff, next(STEPS))
    return await cases.approve(signature=signature, case_id=case_id, version=known.version, outcome=outcome, now=now)


async def outcomes_of(world: World, case: ManualCase) -> tuple[CaseOutcome, ...]:
    """Return what the issuer's own word calls for: nothing while a claw-back is not needed after all."""
    assert case.attempt_id is not None
    truth = world.facts_of(case.attempt_id).state
    if case.kind is CaseKind.REVERSAL:
        return (CaseOutcome.REVERSE if truth is IssuerOrderState.REVERSED else CaseOutcome.DISMISS,)
    return (CaseOutcome.FROM_WALLET, CaseOutcome.WRITE_OFF) if truth is IssuerOrderState.SUCCEEDED else ()
