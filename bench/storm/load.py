"""The load: many clients that recharge at the same time, three in ten requests and callbacks sent twice."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import httpx
import orjson

from bench.storm.client import PATIENCE_S, Api, Refused, Unanswered
from bench.storm.wire import NoAnswer, Wire
from bench.storm.witness import Promise, Witness
from clients.demo import BIND, CREATE, PAY
from clients.signin import GRANT_TYPE
from kernel.backoff import Backoff
from schema.types.relay import key_of

TWICE_SHARE = 0.3
LATE_MAX_S = 2.0
SIGN_INS_AT_ONCE = 8
SIGN_IN_WITHIN_S = 30.0
# What one user recharges in a run stays far below what a person would have to review.
AMOUNT_MIN_FEN, AMOUNT_MAX_FEN = 1_000, 9_000
# Where a repetition comes after the order has moved on, it is told so.
MOVED_ON = "ORDER_NOT_PAYABLE"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    token: str
    card_id: str
    card_tail: str


class Load:
    """Recharges until it is stopped, and not while `gate` is closed."""

    def __init__(self, api: Api, sandbox: Wire, witness: Witness, *, seed: int, clients: int) -> None:
        self._api, self._sandbox, self._witness = api, sandbox, witness
        self._seed, self._clients = seed, clients
        self._numbers = itertools.count()
        self._beside: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.users: list[User] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    async def sign_in(self, server_url: str, count: int) -> None:
        """Sign in so many users and bind a card for each of them. Raises httpx.HTTPError, Unanswered or Refused."""
        turns = asyncio.Semaphore(SIGN_INS_AT_ONCE)

        async def one(number: int) -> User:
            async with turns:
                return await self._signed_in(http, f"storm-{number}", f"100011{number:013d}")

        async with httpx.AsyncClient(base_url=server_url, trust_env=False, timeout=SIGN_IN_WITHIN_S) as http:
            self.users = await asyncio.gather(*(one(number) for number in range(count)))

    async def run(self) -> None:
        """Recharge until `stop`; what was begun then is brought to its end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._recharge_on())
        while self._beside:
            await asyncio.gather(*self._beside)

    def begin(self, server: int) -> None:
        """Begin one more recharge, whose order is created by the given server."""
        self._start(self._attempt(server))

    def stop(self) -> None:
        self._stopping = True
        self.gate.set()

    async def _signed_in(self, http: httpx.AsyncClient, name: str, card_number: str) -> User:
        _, login = await self._control("wx-login", user=name)
        form = {"grant_type": GRANT_TYPE, "code": login["code"]}
        token = await http.post("/oauth/token", data=form)
        access_token = str(token.raise_for_status().json()["access_token"])
        bound = await self._api.insist(BIND, {"number": card_number}, token=access_token)
        return User(access_token, str(bound["card"]["id"]), card_number[-4:])

    async def _recharge_on(self) -> None:
        while True:
            await self.gate.wait()
            if self._stopping:
                return
            await self._attempt()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _attempt(self, server: int | None = None) -> None:
        try:
            await self._recharge(next(self._numbers), server)
        except Refused:
            return
        except Unanswered:
            self._witness.unanswered += 1

    async def _recharge(self, number: int, server: int | None) -> None:
        """Order, start to pay, and pay at the sandbox; whether it arrives is looked for when the storm is over."""
        chance = random.Random(f"{self._seed}:{number}")
        user = self.users[number % len(self.users)]
        amount_fen = chance.randint(AMOUNT_MIN_FEN, AMOUNT_MAX_FEN)
        key = f"storm-{self._seed}-{number:06d}"
        promise = self._witness.expect(key=key, card_tail=user.card_tail, amount_fen=amount_fen)
        order_id = await self._send(chance, lambda: self._create(promise, user, server))
        package = await self._send(chance, lambda: self._start_payment(promise, user, order_id))
        promise.paid = await self._pay(chance, package)

    async def _create(self, promise: Promise, user: User, server: int | None) -> str:
        amount = f"{promise.amount_fen // 100}.{promise.amount_fen % 100:02d}"
        variables = {"card": user.card_id, "amount": amount, "key": promise.key}
        created = await self._api.insist(CREATE, variables, token=user.token, server=server)
        order_id = str(created["order"]["id"])
        promise.order_ids.add(str(key_of(order_id, "Order")))
        return order_id

    async def _start_payment(self, promise: Promise, user: User, order_id: str) -> str:
        variables = {"order": order_id, "key": f"{promise.key}-pay"}
        payment = (await self._api.insist(PAY, variables, token=user.token))["payment"]
        promise.payable = True
        return str(payment["package"])

    async def _send(self, chance: random.Random, request: Callable[[], Awaitable[T]]) -> T:
        """Send a request, and in three cases of ten twice: at once, or again when it was answered."""
        twice, together = chance.random() < TWICE_SHARE, chance.random() < 0.5
        if twice and together:
            answers = await asyncio.gather(self._noted(request), self._noted(request), return_exceptions=True)
            good = [answer for answer in answers if not isinstance(answer, BaseException)]
            if not good:
                assert isinstance(answers[0], BaseException)
                raise answers[0]
            return good[0]
        answer = await self._noted(request)
        if twice:
            self._start(self._send_late(request, chance.uniform(0, LATE_MAX_S)))
        return answer

    async def _send_late(self, request: Callable[[], Awaitable[T]], wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            await request()
        except Refused as error:
            if error.code != MOVED_ON:
                self._witness.refusals[error.code] += 1
        except Unanswered:
            self._witness.unanswered += 1

    async def _noted(self, request: Callable[[], Awaitable[T]]) -> T:
        try:
            return await request()
        except Refused as error:
            self._witness.refusals[error.code] += 1
            raise

    async def _pay(self, chance: random.Random, package: str) -> bool:
        """Pay as the user does, and have some callbacks sent twice. Returns whether the channel took the payment."""
        status, answer = await self._control("pay", package=package)
        if status == 200:
            if chance.random() < TWICE_SHARE:
                await self._control("repeat-callbacks", subject=answer["out_trade_no"])
            return True
        # A payment whose answer was lost is refused the second time, because it is paid.
        if "is paid" in answer["message"]:
            return True
        self._witness.refusals[f"channel: {answer['message']}"] += 1
        return False

    async def _control(self, action: str, **content: str) -> tuple[int, dict[str, Any]]:
        """Ask the sandbox until it answers. Raises Unanswered."""
        pauses, deadline = Backoff(), time.monotonic() + PATIENCE_S
        while True:
            try:
                status, body = await self._sandbox.post(f"/control/{action}", content)
                return status, orjson.loads(body)
            except NoAnswer as error:
                if time.monotonic() > deadline:
                    raise Unanswered(f"sandbox: {error}") from error
            await asyncio.sleep(pauses.next_delay_s())
