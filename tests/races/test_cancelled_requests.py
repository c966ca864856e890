"""HTTP mutations that are cancelled at random awaits: everything is served afterwards, and each has happened once.

The server cancels a request when it shuts down, and so does whatever limits the time of one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from types import coroutine
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from tortoise import Tortoise

from app import create_app
from kernel.settings import Settings
from models.database import alone_connections, dialect, drain, reading_connections
from tests.races.wishes import QUERIES, ROOM, Kind, Neighbourhood, Wish, assert_each_happened_once, token_of
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.support import eventually

SEED = 20260501
MUTATIONS = 250
AT_ONCE = 20
NORMAL_S = 45.0
NAME = b"x-name"
LATER_MAX_MS = 25.0

T = TypeVar("T")


@dataclass(frozen=True)
class Moment:
    """When a request is cut off: while it waits for the `wait`th time, and so many milliseconds later.

    A transaction is one wait to its request, so only the milliseconds reach its inside.
    """

    wait: int
    later_ms: float = 0.0


NEVER = Moment(0)


@dataclass
class Interruptions:
    """Stands before the application and cancels the requests that were announced to it; counts their waits."""

    app: ASGIApp
    announced: dict[str, Moment] = field(default_factory=dict)
    waits: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(NAME, b"").decode()
        moment = self.announced.pop(name, None)
        if moment is None:
            await self.app(scope, receive, send)
            return
        work = self.app(scope, receive, send)
        await _cancelled_at(work, moment, lambda: self.waits.update([name]))  # type: ignore[arg-type]


@coroutine
def _cancelled_at(work: Coroutine[Any, Any, T], moment: Moment, note: Callable[[], None]) -> Generator[Any, Any, T]:
    """Drive the work like `await`, tell of each wait, and cancel the task at the moment, if that comes."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    cancelling: asyncio.TimerHandle | None = None
    waits = 0
    thrown: BaseException | None = None
    try:
        while True:
            try:
                awaited = work.send(None) if thrown is None else work.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            note()
            waits += 1
            if waits == moment.wait:
                cancelling = loop.call_later(moment.later_ms / 1_000, task.cancel)
            try:
                yield awaited
                thrown = None
            except BaseException as error:
                thrown = error
    finally:
        if cancelling:
            cancelling.cancel()


@dataclass
class Street:
    """The application, with interruptions before it, and the people who ask."""

    http: httpx.AsyncClient
    settings: Settings
    sandbox: Sandbox
    interruptions: Interruptions

    async def ask(self, wish: Wish, *, cancelled: Moment | None = None) -> Any:
        """Return the answer, or be cancelled at the moment, where that comes before it."""
        headers = {"Authorization": f"Bearer {token_of(self.settings, wish.viewer)}"}
        if cancelled:
            name = headers[NAME.decode()] = uuid4().hex
            self.interruptions.announced[name] = cancelled
        body = (await self.http.post("/graphql", json=wish.payload, headers=headers)).json()
        assert "errors" not in body, (wish.kind, body)
        return body["data"]["answer"]

    async def waits_of(self, wish: Wish) -> tuple[Any, int]:
        """Return the answer, and how often the request waited for it."""
        self.interruptions.waits.clear()
        answer = await self.ask(wish, cancelled=NEVER)
        return answer, self.interruptions.waits.total()


@pytest.fixture
async def street(database_url: str, sandbox: Sandbox) -> AsyncIterator[Street]:
    settings = sandbox.settings(database_url=database_url, worker_in_server=False, **ROOM)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        interruptions = Interruptions(app)
        transport = httpx.ASGITransport(interruptions)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            yield Street(http, settings, sandbox, interruptions)


async def test_mutations_cancelled_at_random_awaits(street: Street) -> None:
    chance = random.Random(SEED)
    wishes = await Neighbourhood(street.settings, street.sandbox).make(MUTATIONS)
    # The first of each kind is left alone, and tells how often such a request waits.
    alone = {wish.kind: await street.waits_of(wish) for wish in wishes[: len(Kind)]}
    answers, rest = [alone[kind][0] for kind in Kind], wishes[len(Kind) :]
    cut: Counter[Kind] = Counter()
    for wave in waves(rest):
        moments = [Moment(chance.randint(1, alone[wish.kind][1]), _later_ms(chance)) for wish in wave]
        outcomes = await asyncio.gather(
            *(street.ask(wish, cancelled=moment) for wish, moment in zip(wave, moments, strict=True)),
            return_exceptions=True,
        )
        assert {type(outcome) for outcome in outcomes} <= {dict, asyncio.CancelledError}, outcomes
        cut.update(w.kind for w, o in zip(wave, outcomes, strict=True) if isinstance(o, asyncio.CancelledError))
    # Some are through before their moment comes.
    assert all(cut[kind] > len(rest) / len(Kind) / 2 for kind in Kind), cut
    await drain()
    await assert_connections_are_free(street.settings)
    async with asyncio.timeout(NORMAL_S):
        await assert_everything_is_served(street, wishes[-1])
    for wave in waves(rest):
        async with asyncio.timeout(NORMAL_S):
            answers += await asyncio.gather(*(street.ask(wish) for wish in wave))
    await assert_each_happened_once(wishes, answers)


def waves(wishes: list[Wish]) -> Iterator[list[Wish]]:
    for begin in range(0, len(wishes), AT_ONCE):
        yield wishes[begin : begin + AT_ONCE]


def _later_ms(chance: random.Random) -> float:
    return chance.choice((0.0, chance.uniform(0, LATER_MAX_MS)))


async def assert_connections_are_free(settings: Settings) -> None:
    """No connection is lost to the pool or in a transaction, and all of them can be used at once."""
    if dialect() != "postgres":
        return
    pool = Tortoise.get_connection("default")._pool
    await eventually(lambda: pool.get_idle_size() == pool.get_size())
    pooled = settings.database_pool_size_max - reading_connections(settings) - alone_connections(settings)
    async with asyncio.timeout(NORMAL_S):
        held = [await pool.acquire() for _ in range(pooled)]
    rows = await held[0].fetch(
        "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert {row["state"] for row in rows} == {"idle"}
    assert pooled - 1 <= len(rows) < settings.database_pool_size_max
    for connection in held:
        await pool.release(connection)


async def assert_everything_is_served(street: Street, wish: Wish) -> None:
    headers = {"Authorization": f"Bearer {token_of(street.settings, wish.viewer)}"}
    for query in QUERIES:
        body = (await street.http.post("/graphql", json={"query": query}, headers=headers)).json()
        assert "errors" not in body, body
    for path in ("/healthz", "/readyz"):
        assert (await street.http.get(path)).status_code == 200
