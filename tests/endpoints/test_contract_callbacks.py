"""Callbacks about contracts: stored like all others, and left to a person where nothing here has begun them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from domain.orders.notices import from_row
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.payments.contracts import ContractFacts, ContractRequest, DeductionFacts, DeductionRequest
from endpoints import callbacks
from gateways.assembly import third_parties
from jobs.handlers import Handlers
from jobs.recurring import Recurring
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.ids import new_id, numbered
from kernel.settings import Settings
from models.jobs import Job
from models.ledger import LedgerEntry
from models.payments import CallbackNonce, ThirdPartyNotice
from tests.factories import SEALER
from tests.gateways.stand_ins import Delivery, Listener, listening
from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def heard() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def settings(sandbox: Sandbox, heard: Listener) -> Settings:
    return sandbox.settings(port=heard.port)


@pytest.fixture
async def parties(database: str, settings: Settings) -> AsyncIterator[ThirdParties]:
    async with third_parties(settings) as parties:
        yield parties


async def told_of_both(parties: ThirdParties, sandbox: Sandbox, heard: Listener) -> list[Delivery]:
    """Return the callbacks of a contract that was signed and of a deduction by it."""
    assert parties.contracts is not None
    code = f"C{new_id().hex[:30]}"
    await parties.contracts.start(ContractRequest(code, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "沪A·12345"))
    signed = sandbox.control("contract", out_contract_code=code, wish="sign")
    request = DeductionRequest(numbered(new_id(), 1), signed["contract_id"], 20_000, "车机免密充值")
    await parties.contracts.deduct(request)
    return await heard.wait_for(2)


async def post(parties: ThirdParties, settings: Settings, *deliveries: Delivery) -> list[int]:
    app = Starlette(routes=callbacks.routes(lambda: parties, settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client:
        answers = [client.post(each.path, content=each.body, headers=each.headers) for each in deliveries]
        return [answer.status_code for answer in await asyncio.gather(*answers)]


async def test_they_are_stored_once_and_left_to_a_person(
    parties: ThirdParties, settings: Settings, sandbox: Sandbox, heard: Listener
) -> None:
    signed, deducted = await told_of_both(parties, sandbox, heard)
    assert await post(parties, settings, *[signed, deducted] * 10) == [204] * 20
    stored = [from_row(notice.facts) for notice in await ThirdPartyNotice.all()]
    assert {type(facts) for facts in stored} == {ContractFacts, DeductionFacts}
    assert len(stored) == 2
    handlers = Handlers(settings=settings, third_parties=parties, policy=Policy.of(settings), sealer=SEALER)
    worker = Worker(handlers.by_kind(), settings)
    await worker.run_due()
    await worker.settle()
    jobs = await Job.filter(kind="apply_notice")
    assert [job.parked_at is not None for job in jobs] == [True, True]
    assert all("begun the contract" in str(job.last_error) for job in jobs)
    assert await LedgerEntry.all().count() == 0


async def test_neither_kind_is_taken_at_the_door_of_the_other(
    parties: ThirdParties, settings: Settings, sandbox: Sandbox, heard: Listener
) -> None:
    signed, deducted = await told_of_both(parties, sandbox, heard)
    moved = replace(signed, path="/callbacks/wechat-pay")
    altered = replace(deducted, body=deducted.body.replace(b"EV-", b"EW-"))
    assert await post(parties, settings, moved, altered) == [401, 401]
    assert await ThirdPartyNotice.all().count() == 0
    assert await Job.filter(kind="apply_notice").count() == 0


async def test_without_a_plan_there_is_no_such_door(
    parties: ThirdParties, settings: Settings, sandbox: Sandbox, heard: Listener
) -> None:
    signed, _ = await told_of_both(parties, sandbox, heard)
    assert await post(replace(parties, contracts=None), settings, signed) == [404]
    assert await ThirdPartyNotice.all().count() == 0


async def test_nonces_are_deleted_once_no_signature_can_be_fresh(
    parties: ThirdParties, settings: Settings, sandbox: Sandbox, heard: Listener
) -> None:
    both = await told_of_both(parties, sandbox, heard)
    assert await post(parties, settings, *both) == [204, 204]
    kept, old = await CallbackNonce.all()
    fresh = timedelta(seconds=settings.callback_age_max_s)
    await CallbackNonce.filter(id=old.id).update(used_at=utc_now() - 2 * fresh - timedelta(seconds=1))
    await CallbackNonce.filter(id=kept.id).update(used_at=utc_now() - 2 * fresh + timedelta(minutes=1))
    job = await Job.first()
    assert job is not None
    await Recurring(settings).purge_done_jobs(job, utc_now())
    assert [nonce.id for nonce in await CallbackNonce.all()] == [kept.id]
