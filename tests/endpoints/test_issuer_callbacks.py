"""Callbacks that prove nothing by themselves: each is a reason to ask the issuer, once in a while and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from endpoints import callbacks
from gateways.assembly import third_parties
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import OrderState, RechargeState
from models.jobs import Job
from models.ledger import LedgerEntry
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import ThirdPartyNotice
from tests.factories import create_card, create_order, create_viewer
from tests.sandbox_fixtures import Sandbox


@dataclass(frozen=True)
class Open:
    client: httpx.AsyncClient
    attempt: RechargeAttempt

    async def hint(self, *, name: str = "ofpay", attempt_id: object | None = None) -> httpx.Response:
        number = attempt_id or self.attempt.id
        body = f"ret_code=1&sporder_id={number}".encode()
        return await self.client.post(f"/callbacks/issuer/{name}", content=body)


@pytest.fixture
async def opened(database: str, sandbox: Sandbox) -> AsyncIterator[Open]:
    """The endpoints, and an attempt of which nobody knows what has become."""
    settings = sandbox.settings(issuers=("ofpay", "juhe", "fulu"), issuer_hint_interval_s=3_600)
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer))
    attempt = await RechargeAttempt.create(
        id=new_id(),
        order_id=order.id,
        user_id=order.user_id,
        number=1,
        issuer="ofpay",
        state=RechargeState.SUBMITTED,
        submitted_at=utc_now(),
    )
    async with third_parties(settings) as parties:
        app = Starlette(routes=callbacks.routes(lambda: parties, settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client:
            yield Open(client, attempt)


async def asked() -> int:
    return await Job.filter(kind="follow_recharge").count()


async def test_a_hint_is_answered_as_the_vendor_expects_and_asks_once(opened: Open) -> None:
    answers = await asyncio.gather(*(opened.hint() for _ in range(30)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "Y")}
    job = await Job.get(kind="follow_recharge")
    assert job.payload == {"attempt_id": str(opened.attempt.id)}


async def test_a_hint_behind_an_answer_is_followed_when_the_interval_is_over(opened: Open) -> None:
    await opened.hint()
    await Job.filter(kind="follow_recharge").update(done_at=utc_now())
    for _ in range(3):
        await opened.hint()
    (job,) = await Job.filter(kind="follow_recharge", done_at__isnull=True)
    assert job.due_at.timestamp() % 3_600 == 0
    assert utc_now() < job.due_at <= utc_now() + timedelta(hours=1)
    assert await asked() == 2


async def test_a_forger_moves_nothing(opened: Open) -> None:
    await opened.hint()
    attempt = await RechargeAttempt.get(id=opened.attempt.id)
    order = await RechargeOrder.get(id=attempt.order_id)
    assert (attempt.state, order.state) == (RechargeState.SUBMITTED, OrderState.PENDING_PAYMENT)
    assert await LedgerEntry.all().count() == 0
    assert await ThirdPartyNotice.all().count() == 0


async def test_an_attempt_that_there_is_not_is_answered_with_nothing(opened: Open) -> None:
    answer = await opened.hint(attempt_id=new_id())
    assert (answer.status_code, answer.content) == (404, b"")
    assert await asked() == 0


@pytest.mark.parametrize("name", ["juhe", "fulu"])
async def test_where_callbacks_are_signed_an_unsigned_one_is_refused(opened: Open, name: str) -> None:
    assert (await opened.hint(name=name)).status_code == 401
    assert await asked() == 0


async def test_an_issuer_that_there_is_not(opened: Open) -> None:
    assert (await opened.hint(name="somebody")).status_code == 404
    assert (await opened.hint(name="card_issuer")).status_code == 404
    assert await asked() == 0
