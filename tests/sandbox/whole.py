"""The whole application between its user and the sandbox: GraphQL before it, real HTTP behind it, callbacks on demand.

Callbacks come to a listener and are handed on by the test, and the worker is turned by hand, so that a test says what
is heard of and when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from app import create_app
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from gateways.assembly import third_parties
from jobs.handlers import Handlers
from jobs.worker import Worker
from kernel import keys
from kernel.clock import utc_now
from models.jobs import Job
from models.orders import RechargeOrder
from tests.audits import assert_audits_find_nothing
from tests.gateways.stand_ins import Listener, listening
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import PAY, ask, bind_card, order
from tests.silence import telling_silence

PATIENCE_S = 60.0
PAUSE_S = 0.02
TRIES_MAX = 5
VIEW = "query ($id: ID!) { order(id: $id) { state refundState failureKind } }"
CANCEL = """
mutation ($id: ID!) {
  answer: cancelRecharge(input: { orderId: $id }) { __typename ... on UserError { code message } }
}"""

# What the user sees: the state, where the money is, and why it failed.
View = tuple[str, str, str | None]
SUCCEEDED: View = ("SUCCEEDED", "NONE", None)
PAYING: View = ("PAYING", "NONE", None)
RECHARGING: View = ("RECHARGING", "NONE", None)
CANCELLED: View = ("FAILED", "NONE", "CANCELLED")
REFUNDING: View = ("FAILED", "PROCESSING", "ISSUER_REFUSED")
REFUNDED: View = ("FAILED", "SUCCESS", "ISSUER_REFUSED")
NOT_REFUNDED: View = ("FAILED", "ABNORMAL", "ISSUER_REFUSED")

STARTED = ("PayRechargeSuccess", None)
UNAVAILABLE = ("ChannelError", "PAYMENT_UNAVAILABLE")


@dataclass
class Whole:
    sandbox: Sandbox
    client: Client
    listener: Listener
    worker: Worker
    parties: ThirdParties
    statuses: list[int] = field(default_factory=list)
    order_id: str = ""
    _code: str = ""
    _handed_on: int = 0

    async def ordered(self) -> None:
        """Order a recharge of ¥500, as the user does."""
        self.order_id = (await order(self.client, await bind_card(self.client)))["id"]

    async def start(self, *, alipay: bool = False, key: str = "pay-key-1") -> tuple[Any, str | None]:
        """Ask to pay, and return what the user is told."""
        self._code = self._code or (self.sandbox.alipay_code() if alipay else "")
        more = {"method": "ALIPAY", "code": self._code} if alipay else {}
        self.told = await ask(self.client, PAY, order=self.order_id, key=key, **more)
        if self.told["__typename"] == "ChannelError":
            assert self.told["retryable"] is True
            assert self.told["message"]
        return self.told["__typename"], self.told.get("code")

    def pay(self) -> None:
        """Pay what was started, as the user does in WeChat or Alipay."""
        if self.told["alipay"]:
            self.sandbox.pay_alipay(self.told["alipay"]["tradeNo"])
        else:
            self.sandbox.pay(self.told["payment"]["package"])

    async def paid(self, *, alipay: bool = False) -> None:
        await self.ordered()
        await self.started(alipay=alipay)
        self.pay()

    async def started(self, *, alipay: bool = False, key: str = "pay-key-1") -> None:
        """Ask to pay until it can be, with the same key, as a user whose network is slow."""
        for _ in range(TRIES_MAX):
            told = await self.start(alipay=alipay, key=key)
            if told == STARTED:
                return
            assert told == UNAVAILABLE
        raise AssertionError("it cannot be paid")

    async def cancel(self) -> str:
        answer = await ask(self.client, CANCEL, id=self.order_id)
        return str(answer.get("code") or answer["__typename"])

    async def view(self) -> View:
        """Return what the user sees of the order."""
        seen = (await self.client.ask(VIEW, {"id": self.order_id}))["order"]
        return seen["state"], seen["refundState"], seen["failureKind"]

    async def row(self) -> RechargeOrder:
        return await RechargeOrder.get()

    async def hand_on(self) -> None:
        """Hand on what third parties have called back with since the last time."""
        arrived = self.listener.deliveries[self._handed_on :]
        self._handed_on += len(arrived)
        for each in arrived:
            answer = await self.client.http.post(each.path, content=each.body, headers=each.headers)
            self.statuses.append(answer.status_code)

    def lose(self) -> None:
        """Let what third parties have called back with until now never arrive."""
        self._handed_on = len(self.listener.deliveries)

    async def turn(self, *, deaf: bool = False) -> None:
        """Hand callbacks on and do what is due now or later, but for deadlines."""
        if not deaf:
            await self.hand_on()
        undone = Job.filter(done_at__isnull=True, parked_at__isnull=True)
        await undone.exclude(kind="expire_order").update(due_at=utc_now())
        await self.worker.run_due()
        await self.worker.settle()

    async def until(self, expected: View, *, deaf: bool = False) -> None:
        """Turn until the user sees this; then the books have to be true. A `deaf` house hears of no callback."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            await self.turn(deaf=deaf)
            if await self.view() == expected:
                await assert_audits_find_nothing()
                return
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"the user sees {await self.view()} and not {expected}; answers {self.statuses}")

    async def until_true(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Turn until this is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not await condition():
            assert time.monotonic() < deadline
            await self.turn()
            await asyncio.sleep(PAUSE_S)

    async def stays(self, expected: View, *, turns: int = 4, deaf: bool = False) -> None:
        """Turn some times; the user sees this throughout."""
        for _ in range(turns):
            await self.turn(deaf=deaf)
            assert await self.view() == expected
        await assert_audits_find_nothing()


@asynccontextmanager
async def open_whole(sandbox: Sandbox, database_url: str, **changes: Any) -> AsyncIterator[Whole]:
    """Open the application with somebody signed in; `changes` replace settings."""
    with listening() as listener, telling_silence():
        settings = sandbox.settings(
            **{
                "database_url": database_url,
                "port": listener.port,
                "worker_in_server": False,
                "third_party_timeout_s": PATIENCE_S,
                "issuer_hint_interval_s": 1.0,
                # What the breakers do is tested on its own.
                "third_party_failures_max": 10_000,
                **changes,
            }
        )
        app = create_app(settings)
        async with app.router.lifespan_context(app), third_parties(settings) as parties:
            handlers = Handlers(
                settings=settings, third_parties=parties, policy=Policy.of(settings), sealer=keys.sealer(settings)
            )
            worker = Worker(handlers.by_kind(), settings)
            base_url = f"http://127.0.0.1:{listener.port}"
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as http:
                client = await Client(http, settings).another_person()
                yield Whole(sandbox, client, listener, worker, parties)
