"""A world in which nothing goes wrong of itself, and everybody who may notice that something is wrong.

Third parties do at once what they are asked to, each with honest books of its own. Callbacks come through the real
endpoints, and jobs run as the workers run them. What fails, fails because a scenario says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
from starlette.applications import Starlette

from domain.cards.ports import IssuerNotice, IssuerOrderState, Issuers, RechargeFacts
from domain.orders import operations, paying
from domain.orders.creating import Wanted
from domain.orders.notices import Facts
from domain.orders.ports import ThirdParties
from domain.payments import top_ups
from domain.payments.ports import ChannelNotice, ChannelRefundState, Channels, RefundFacts, TradeFacts
from endpoints import callbacks
from jobs.worker import NeedsPerson
from models.jobs import Job
from models.offers import Offer
from models.orders import RechargeOrder
from models.payments import WalletTopUp
from tests.simulation.channels import ChannelRefund, SimulatedChannel
from tests.simulation.fate import Commit, Exchange
from tests.simulation.issuer import Recharge
from tests.simulation.post import Letter
from tests.simulation.reckoning import reckon
from tests.simulation.timeline import ProcessDied
from tests.simulation.world import Customer, Third, World, opened

# Who notices, beside the rules of the audits: the third parties' own books held against ours, the queue of work that
# no retry can settle, and a worker whose job fails.
RECKONING = "the reckoning with third parties"
QUEUE = "the manual queue"
ERROR = "an error"

T = TypeVar("T")
Findings = dict[str, list[str]]


@dataclass
class Scripted:
    """Fate that lets everything go well but what a scenario has written down, one by one."""

    counts: Counter[str] = field(default_factory=Counter)
    exchanges: dict[str, deque[Exchange]] = field(default_factory=lambda: defaultdict(deque))
    commits: deque[Commit] = field(default_factory=deque)

    def exchange(self, party: str, operation: str) -> Exchange:
        script = self.exchanges[operation]
        return script.popleft() if script else Exchange.ANSWERED

    def commit(self) -> Commit:
        return self.commits.popleft() if self.commits else Commit.PLAIN

    def latency_s(self) -> float:
        return 0.01


class Obliging(Third):
    """Third parties that do at once what they are asked to; the issuer may refuse."""

    refuses = False
    world: World

    def on_refund(self, channel: SimulatedChannel, refund: ChannelRefund) -> None:
        channel.settle_refund(refund, ChannelRefundState.SUCCESS)

    def on_submit(self, recharge: Recharge) -> None:
        outcome = IssuerOrderState.REFUSED if self.refuses else IssuerOrderState.SUCCEEDED
        self.world.issuer_of(recharge).settle(recharge, outcome)


class Opener:
    """Reads the letters of one third party at our endpoints; signatures are tested elsewhere."""

    def __init__(self, name: str, letters: dict[str, Letter]) -> None:
        self.name, self.notice_answer, self._letters = name, "", letters

    def open_notice(self, *, headers: object, body: bytes, now: datetime) -> IssuerNotice:
        letter = self._letters[body.decode()]
        assert isinstance(letter.facts, RechargeFacts)
        return IssuerNotice(letter.notice_id, letter.facts)


class ChannelOpener(Opener):
    """The same for a channel, whose signatures take asking for keys."""

    async def open_notice(  # type: ignore[override]
        self, *, headers: object, body: bytes, now: datetime
    ) -> ChannelNotice:
        letter = self._letters[body.decode()]
        trade = letter.facts if isinstance(letter.facts, TradeFacts) else None
        refund = letter.facts if isinstance(letter.facts, RefundFacts) else None
        return ChannelNotice(letter.notice_id, trade, refund)


@dataclass
class Stage:
    """What a scenario moves. `background` is what a fault has begun and not waited for."""

    world: World
    fate: Scripted
    third: Obliging
    customer: Customer
    client: httpx.AsyncClient
    letters: dict[str, Letter]
    background: list[asyncio.Task[Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dies_with: str = ""
    keys: int = 0

    @property
    def channels(self) -> Channels:
        return self.world.parties.channels

    async def ask(self, work: Callable[[datetime], Coroutine[Any, Any, T]]) -> T:
        """Ask the server for something, again where it dies, and let time pass until it has answered."""
        answers: list[T] = []

        async def run() -> None:
            while not answers:
                try:
                    answers.append(await self.world.house.request(work))
                except ProcessDied:
                    await self.world.timeline.sleep(5.0)

        self.world.timeline.start(run, name="a request")
        while not answers:
            assert await self.world.turn(), "nobody answers"
        return answers[0]

    async def order(self, *, yuan: str = "500.00", offer: Offer | None = None) -> RechargeOrder:
        wanted = Wanted(
            operation=operations.CREATE,
            key=self._key(),
            card_id=self.customer.cards[0].id,
            yuan=None if offer else Decimal(yuan),
            names_offer=offer is not None,
            offer_id=offer.id if offer else None,
        )
        viewer, policy = self.customer.viewer, self.world.policy
        return await self.ask(lambda now: operations.create(viewer=viewer, wanted=wanted, policy=policy, now=now))

    async def start(self, order: RechargeOrder) -> str:
        """Begin to pay, and return by what the payer's app can pay."""
        key = self._key()
        started = await self.ask(
            lambda now: paying.start_payment(
                viewer=self.customer.viewer,
                order_id=order.id,
                idempotency_key=key,
                channels=self.channels,
                face=self.world.face,
                policy=self.world.policy,
                now=now,
            )
        )
        assert started.parameters is not None
        return started.parameters.package

    async def cancel(self, order: RechargeOrder) -> RechargeOrder:
        viewer, policy = self.customer.viewer, self.world.policy
        return await self.ask(
            lambda now: operations.cancel(
                viewer=viewer, order_id=order.id, channels=self.channels, policy=policy, now=now
            )
        )

    async def top_up(self, *, yuan: str = "100.00") -> tuple[WalletTopUp, str]:
        """Begin to pay into the wallet, and return by what the payer's app can pay."""
        key, policy = self._key(), self.world.policy
        started = await self.ask(
            lambda now: top_ups.start(
                viewer=self.customer.viewer,
                yuan=Decimal(yuan),
                idempotency_key=key,
                channels=self.channels,
                limits=policy.limits,
                pay_within=policy.pay_within,
                query_after=policy.payment_query_after,
                now=now,
            )
        )
        assert started.parameters is not None
        return started.top_up, started.parameters.package

    def pay(self, prepay_id: str, *, late: bool = False) -> TradeFacts:
        """Pay like the customer, and return what the channel knows then."""
        channel = next(each for each in self.world.channels if prepay_id in each.by_prepay_id)
        return channel.facts_of(channel.pay(prepay_id, now=self.world.now, late=late).out_trade_no)

    def tell(self, source: str, facts: Facts, *, server_dies: bool = False) -> None:
        """Send a callback. The server may die at the first try, just before it commits."""
        letter = self.world.post.write(source, facts)
        self.letters[letter.notice_id] = letter
        self.dies_with = letter.notice_id if server_dies else ""
        self.world.post.send(letter, after_s=0.1)

    async def receive(self, letter: Letter) -> None:
        """Bring a letter to the endpoint; a normal return is its acknowledgement. Raises ProcessDied."""
        if letter.notice_id == self.dies_with:
            self.dies_with = ""
            self.fate.commits.append(Commit.DIES_BEFORE)
        path = "/callbacks/issuer" if isinstance(letter.facts, RechargeFacts) else "/callbacks/wechat-pay"

        async def post(_now: datetime) -> httpx.Response:
            return await self.client.post(path, content=letter.notice_id.encode())

        answer = await self.world.house.request(post)
        await asyncio.gather(*self.background, return_exceptions=True)
        assert answer.status_code == 204, answer.text

    async def settle(self) -> None:
        """Let time pass until nobody has anything to do any more. What fails is noted and tried again as ever."""
        going = True
        while going:
            try:
                going = await self.world.turn()
            except Exception as error:
                self.world.timeline._failure = None
                self.errors.append(f"{type(error).__name__}: {error}")

    async def findings(self) -> Findings:
        """Let everything come to its end, and return what everybody has found by then."""
        await self.settle()
        await self.world.write_journal()
        found: dict[str, list[str]] = defaultdict(list)
        for finding in await self.world.findings():
            found[finding.rule].append(f"{finding.subject} {finding.figures}")
        try:
            await reckon(self.world)
        except Exception as error:
            found[RECKONING].append(f"{type(error).__name__}: {error}")
        for who, what in ((QUEUE, self.left), (ERROR, self.errors)):
            if what:
                found[who] = what
        return dict(found)

    def note_left(self, job: Job, error: NeedsPerson) -> bool:
        """Note what is left to a person. In this world it may be what an honest one would not leave to anybody."""
        self.left.append(f"{job.kind} {job.key}: {error}")
        return True

    def _key(self) -> str:
        self.keys += 1
        return f"key-{self.keys:08d}"


@asynccontextmanager
async def staged(url: str) -> AsyncIterator[Stage]:
    """Open a stage with one customer on a fresh, migrated database."""
    fate, third = Scripted(), Obliging()
    world = third.world = World(fate, third, careful_channels=False)
    letters: dict[str, Letter] = {}
    channel, issuer = ChannelOpener(world.channels[0].name, letters), Opener(world.issuer.name, letters)
    readers = ThirdParties(Channels((channel,)), Issuers((issuer,)), world.parties.login, world.face)  # type: ignore[arg-type]
    app = Starlette(routes=callbacks.routes(lambda: readers, world.settings))
    async with (
        opened(world, url),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client,
    ):
        stage = Stage(world, fate, third, await world.add_customer(), client, letters)
        world.post.receive = stage.receive
        world.house.for_a_person = stage.note_left
        with patch.object(callbacks, "utc_now", lambda: world.now):
            yield stage
