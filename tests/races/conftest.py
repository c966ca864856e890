"""A house whose callback endpoints are open, so that what third parties say comes in when a test wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette
from uvicorn.config import Config
from uvicorn.server import Server

from domain.identity.operations import sign_in
from domain.orders.policy import Policy
from endpoints import callbacks
from gateways.assembly import third_parties
from jobs.handlers import Handlers
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from models.jobs import Job
from tests.audits import assert_audits_find_nothing
from tests.factories import SEALER, create_card, viewer_of
from tests.gateways.stand_ins import Delivery, Listener, listening
from tests.ledger.audit import assert_books_are_true
from tests.orders.conftest import House
from tests.sandbox_fixtures import Sandbox
from tests.services import find_free_port
from tests.subscriptions.support import eventually

# The worker asks nobody by itself, so that what a test lets happen is all that happens.
NEVER_S = 600
# A machine that is busy with other tests must not make a late answer look like none.
PATIENT_S = 30


@dataclass(frozen=True, kw_only=True)
class OpenHouse(House):
    """The orders room with the endpoints that take callbacks."""

    app: Starlette
    client: httpx.AsyncClient
    settings: Settings

    async def post(self, delivery: Delivery) -> int:
        """Let a callback in and return the status of the answer."""
        answer = await self.client.post(delivery.path, content=delivery.body, headers=delivery.headers)
        return answer.status_code

    async def apply(self, *workers: Worker) -> None:
        """Have the workers, or the one of the house, apply every callback that was taken, all at once."""
        await Job.filter(done_at__isnull=True, kind="apply_notice").update(due_at=utc_now())
        while any(await asyncio.gather(*(worker.run_due() for worker in workers or (self.worker,)))):
            await asyncio.gather(*(worker.settle() for worker in workers or (self.worker,)))

    def another_worker(self) -> Worker:
        handlers = Handlers(settings=self.settings, third_parties=self.third_parties, policy=self.policy, sealer=SEALER)
        return Worker(handlers.by_kind(), self.settings)

    async def assert_true(self) -> None:
        await assert_books_are_true()
        await assert_audits_find_nothing()


@asynccontextmanager
async def opened(sandbox: Sandbox, *, port: int) -> AsyncIterator[OpenHouse]:
    """Open a house that third parties reach on the port."""
    settings = sandbox.settings(
        port=port,
        payment_query_delay_s=NEVER_S,
        recharge_query_delay_s=NEVER_S,
        third_party_timeout_s=PATIENT_S,
        worker_in_server=False,
    )
    policy = Policy.of(settings)
    async with third_parties(settings) as parties:
        app = Starlette(routes=callbacks.routes(lambda: parties, settings))
        user = await sign_in(code=sandbox.login_code(f"user-{uuid4().hex}"), login=parties.login, now=utc_now())
        viewer = viewer_of(user.id)
        handlers = Handlers(settings=settings, third_parties=parties, policy=policy, sealer=SEALER)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client:
            yield OpenHouse(
                sandbox=sandbox,
                third_parties=parties,
                viewer=viewer,
                card=await create_card(viewer),
                worker=Worker(handlers.by_kind(), settings),
                policy=policy,
                app=app,
                client=client,
                settings=settings,
            )


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Takes every callback instead of the house, and keeps it for the test."""
    with listening() as listener:
        yield listener


@pytest.fixture
async def house(database: str, sandbox: Sandbox, listener: Listener) -> AsyncIterator[OpenHouse]:
    """A house that hears of nothing until a test lets a callback in."""
    async with opened(sandbox, port=listener.port) as house:
        yield house


@pytest.fixture
async def reachable_house(database: str, sandbox: Sandbox) -> AsyncIterator[OpenHouse]:
    """A house whose endpoints the sandbox reaches by itself, over HTTP."""
    port = find_free_port()
    async with opened(sandbox, port=port) as house:
        server = Server(Config(house.app, host="127.0.0.1", port=port, lifespan="off", log_config=None))
        running = asyncio.create_task(server.serve())
        try:
            await eventually(lambda: server.started)
            yield house
        finally:
            server.should_exit = True
            await running


async def delivered(listener: Listener, event: str, count: int = 1) -> list[Delivery]:
    """Return the callbacks of one type, oldest first, once there are so many."""

    def found() -> list[Delivery]:
        return [each for each in list(listener.deliveries) if _type_of(each) == event]

    await eventually(lambda: len(found()) >= count)
    return found()


def _type_of(delivery: Delivery) -> Any:
    return json.loads(delivery.body)["event_type"]
