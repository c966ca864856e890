"""Callbacks over HTTP: a true one is stored once and applied by a job, all others leave no trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from domain.identity.operations import sign_in
from domain.orders import paying
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.payments.ports import Channels
from endpoints import callbacks
from gateways.assembly import third_parties
from jobs.handlers import Handlers
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import OrderState, PaymentMethod
from models.jobs import Job
from models.ledger import LedgerEntry
from models.orders import RechargeOrder
from models.payments import ThirdPartyNotice
from tests.factories import POLICY, SEALER, create_card, create_order, viewer_of
from tests.gateways.stand_ins import Delivery, Listener, listening
from tests.ledger.audit import assert_books_are_true
from tests.sandbox_fixtures import Sandbox


@dataclass(frozen=True)
class House:
    client: httpx.AsyncClient
    parties: ThirdParties
    worker: Worker
    listener: Listener
    settings: Settings

    async def post(
        self, delivery: Delivery, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        content = delivery.body if body is None else body
        return await self.client.post(delivery.path, content=content, headers={**delivery.headers, **(headers or {})})

    async def work(self) -> None:
        await Job.filter(done_at__isnull=True, kind="apply_notice").update(due_at=utc_now())
        while await self.worker.run_due():
            await self.worker.settle()


@pytest.fixture
async def house(database: str, sandbox: Sandbox) -> AsyncIterator[House]:
    with listening() as listener:
        settings = sandbox.settings(port=listener.port, payment_query_delay_s=600, recharge_query_delay_s=600)
        async with third_parties(settings) as parties:
            app = Starlette(routes=callbacks.routes(lambda: parties, settings))
            transport = httpx.ASGITransport(app)
            handlers = Handlers(settings=settings, third_parties=parties, policy=Policy.of(settings), sealer=SEALER)
            worker = Worker(handlers.by_kind(), settings)
            async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
                yield House(client, parties, worker, listener, settings)


async def paid_order(house: House, sandbox: Sandbox) -> RechargeOrder:
    user = await sign_in(code=sandbox.login_code(uuid4().hex), login=house.parties.login, now=utc_now())
    viewer = viewer_of(user.id)
    order = await create_order(viewer, await create_card(viewer))
    started = await paying.start_payment(
        viewer=viewer,
        order_id=order.id,
        idempotency_key=uuid4().hex,
        channels=house.parties.channels,
        face=house.parties.face,
        policy=replace(POLICY, payment_query_after=timedelta(minutes=10)),
        now=utc_now(),
    )
    assert started.parameters is not None
    sandbox.pay(started.parameters.package)
    return order


async def test_a_recharge_runs_on_callbacks_alone(house: House, sandbox: Sandbox) -> None:
    order = await paid_order(house, sandbox)
    payment = await house.listener.one()
    assert (await house.post(payment)).status_code == 204
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
    await house.work()
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.RECHARGING
    _, recharge = await house.listener.wait_for(2)
    assert recharge.path == "/callbacks/issuer"
    assert (await house.post(recharge)).status_code == 204
    await house.work()
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
    assert await ThirdPartyNotice.filter(applied_at__isnull=True).count() == 0
    await assert_books_are_true()


async def order_paid_by_alipay(house: House, sandbox: Sandbox) -> RechargeOrder:
    user = await sign_in(code=sandbox.login_code(uuid4().hex), login=house.parties.login, now=utc_now())
    viewer = viewer_of(user.id)
    order = await create_order(viewer, await create_card(viewer))
    started = await paying.start_payment(
        viewer=viewer,
        order_id=order.id,
        idempotency_key=uuid4().hex,
        channels=house.parties.channels,
        face=house.parties.face,
        policy=replace(POLICY, payment_query_after=timedelta(minutes=10)),
        now=utc_now(),
        method=PaymentMethod.ALIPAY,
        alipay_code=sandbox.alipay_code(),
    )
    assert started.alipay is not None
    sandbox.pay_alipay(started.alipay.trade_no)
    return order


async def test_alipay_is_answered_with_its_own_word_and_applied_once(house: House, sandbox: Sandbox) -> None:
    order = await order_paid_by_alipay(house, sandbox)
    payment = await house.listener.one()
    assert payment.path == "/callbacks/alipay"
    answers = await asyncio.gather(*(house.post(payment) for _ in range(20)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "success")}
    assert await ThirdPartyNotice.filter(source="alipay").count() == 1
    await house.work()
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.RECHARGING
    await assert_books_are_true()


@pytest.mark.parametrize("fault", ["forged", "altered", "sha1"])
async def test_a_notice_that_alipay_has_not_signed_leaves_no_trace(house: House, sandbox: Sandbox, fault: str) -> None:
    sandbox.faults(alipay_notice=fault)
    order = await order_paid_by_alipay(house, sandbox)
    answer = await house.post(await house.listener.one())
    assert (answer.status_code, "success" in answer.text) == (401, False)
    assert await ThirdPartyNotice.all().count() == 0
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
    assert await LedgerEntry.all().count() == 0


async def test_alipay_is_not_heard_where_it_is_not_offered(house: House, sandbox: Sandbox) -> None:
    await order_paid_by_alipay(house, sandbox)
    payment = await house.listener.one()
    channels = Channels(house.parties.channels.by([PaymentMethod.WECHAT_PAY]))
    app = Starlette(routes=callbacks.routes(lambda: replace(house.parties, channels=channels), house.settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client:
        answer = await client.post(payment.path, content=payment.body)
    assert answer.status_code == 404
    assert await ThirdPartyNotice.all().count() == 0


async def test_a_hundred_copies_are_answered_and_applied_once(house: House, sandbox: Sandbox) -> None:
    order = await paid_order(house, sandbox)
    payment = await house.listener.one()
    answers = await asyncio.gather(*(house.post(payment) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {204}
    assert await ThirdPartyNotice.all().count() == 1
    await house.work()
    assert (await RechargeOrder.get(id=order.id)).version == 4
    await assert_books_are_true()


async def test_no_byte_of_a_callback_can_be_changed(house: House, sandbox: Sandbox) -> None:
    order = await paid_order(house, sandbox)
    payment = await house.listener.one()
    for position in range(0, len(payment.body), max(1, len(payment.body) // 60)):
        altered = bytearray(payment.body)
        altered[position] ^= 1
        answer = await house.post(payment, bytes(altered))
        assert (answer.status_code, answer.json()["code"]) == (401, "FAIL")
    await _assert_untouched(order)


@pytest.mark.parametrize("header", ["Signature", "Nonce", "Timestamp", "Serial"])
async def test_no_header_of_a_callback_can_be_changed(house: House, sandbox: Sandbox, header: str) -> None:
    order = await paid_order(house, sandbox)
    payment = await house.listener.one()
    name = next(name for name in payment.headers if name.lower() == f"wechatpay-{header}".lower())
    assert (await house.post(payment, headers={name: "1"})).status_code == 401
    kept = {each: value for each, value in payment.headers.items() if each != name}
    answer = await house.client.post(payment.path, content=payment.body, headers=kept)
    assert answer.status_code == 401
    await _assert_untouched(order)


@pytest.mark.parametrize("path", ["/callbacks/wechat-pay", "/callbacks/issuer"])
@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"[]", b"\xff", b"{" * 10_000, b'{"id": 1}'])
async def test_nonsense_is_refused(house: House, path: str, body: bytes) -> None:
    answer = await house.client.post(path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "FAIL")
    assert await ThirdPartyNotice.all().count() == 0


async def test_a_body_without_end_is_cut_off(house: House) -> None:
    answer = await house.client.post("/callbacks/issuer", content=b"x" * (house.settings.callback_body_max_bytes + 1))
    assert answer.status_code == 413


async def _assert_untouched(order: RechargeOrder) -> None:
    now = await RechargeOrder.get(id=order.id)
    assert (now.state, now.version) == (OrderState.PAYING, 2)
    assert await ThirdPartyNotice.all().count() == 0
    assert await LedgerEntry.all().count() == 0
    assert await Job.filter(kind="apply_notice").count() == 0
