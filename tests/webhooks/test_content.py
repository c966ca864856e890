"""What is delivered: from where it starts, in which language, and what stands in for what cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

import pytest

from domain.events.ports import StoredEvent
from domain.events.streams import arrivals_stream
from domain.webhooks.ports import DocumentReason, WebhookDocumentInvalid
from kernel.clock import utc_now
from kernel.sealing import Sealer
from kernel.states import SuspensionReason, WebhookState
from models.webhooks import Webhook
from resolvers import loaders
from schema.extensions.trusted import hash_of
from schema.types.relay import global_id
from subscriptions.execution import Executor
from subscriptions.webhooks import Deliverer
from tests.subscriptions.listening import cursor_of
from tests.subscriptions.support import eventually
from tests.webhooks.receiver import Receiver
from tests.webhooks.support import ARRIVALS, SCHEMA, Arrivals, amounts, create_partner, house, log_of, suspended

ORDER = """
subscription ($id: ID!, $after: String) {
  changes: orderUpdated(id: $id, after: $after) { ... on OrderEvent { cursor order { state } } }
}"""

engines = pytest.mark.usefixtures("database")
any_engine = pytest.mark.usefixtures("sqlite_database")


@engines
async def test_what_happens_before_the_first_delivery_is_not_missed(receiver: Receiver) -> None:
    """Nobody follows between the registration and the first claim, and a process may end in between."""
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    await arrivals.happen(1)
    async with house() as here:
        await here.deliverer.stop()
        made = await here.register(partner, receiver.url)
        assert made.webhook.cursor == await cursor_of(arrivals_stream(partner.user_id), 1)
        await arrivals.happen(2)
    async with house():
        await receiver.until(2)
    assert amounts([request.message for request in receiver.requests]) == [2, 3]


@any_engine
async def test_a_webhook_may_start_behind_any_cursor(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    await arrivals.happen(4)
    async with house() as here:
        await here.register(partner, receiver.url, after=await cursor_of(arrivals_stream(partner.user_id), 2))
        await receiver.until(2)
    assert amounts([request.message for request in receiver.requests]) == [3, 4]


@any_engine
async def test_what_begins_with_the_state_of_things_sends_that_once(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    variables = {"id": global_id("Order", arrivals.order.id)}
    async with house() as here:
        made = await here.register(partner, receiver.url, document=ORDER, variables=variables)
        assert made.webhook.cursor is None
        await receiver.until(1)

        async def noted() -> bool:
            return (await Webhook.get(id=made.webhook.id)).cursor is not None

        await eventually(noted)
    async with house() as here:
        await eventually(lambda: here.deliverer.holding == 1)
        other = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        await receiver.until(2)
    state, arrival = receiver.requests
    message = state.verified(made.secret)
    assert message["type"] == "orderUpdated"
    assert message["data"]["changes"]["order"] == {"state": "PENDING_PAYMENT"}
    assert arrival.verified(other.secret)["type"] == "arrivals"


@any_engine
async def test_where_only_persisted_documents_are_executed_no_other_feeds_a_webhook(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house(trusted_documents_only=True) as here:
        with pytest.raises(WebhookDocumentInvalid) as refused:
            await here.register(partner, receiver.url, document=ARRIVALS + " ")
        assert refused.value.values["reason"] is DocumentReason.NOT_PERSISTED
        assert await Webhook.all().count() == 0
        made = await here.register(partner, receiver.url, document=None, document_id=hash_of(ARRIVALS))
        assert made.webhook.document == ARRIVALS
        await arrivals.happen(1)
        await receiver.until(1)


@any_engine
async def test_the_language_is_that_of_the_registration(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house() as here:
        await here.register(partner, receiver.url, locale="zh-CN")
        await arrivals.happen(1)
        (request,) = await receiver.until(1)
    assert request.message["data"]["arrivals"]["notice"]["text"] == "¥0.01 已充值到您的油卡"


@any_engine
async def test_an_error_stands_in_for_what_is_too_large(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    fields = " ".join(f"text{number}: text" for number in range(45))
    notice = f"... on ArrivalEvent {{ notice {{ {fields} }} }}"
    document = f"subscription ($after: String) {{ arrivals(after: $after) {{ {notice} }} }}"
    async with house(webhook_payload_size_max_bytes=1_024) as here:
        made = await here.register(partner, receiver.url, document=document)
        await arrivals.happen(2)
        requests = await receiver.until(2)
        for request in requests:
            assert len(request.body) <= 1_024
            message = request.verified(made.secret)
            assert message["data"] is None
            (error,) = message["errors"]
            assert error["extensions"] == {"code": "PAYLOAD_TOO_LARGE", "maximum": 1_024}
        assert len({request.message["cursor"] for request in requests}) == 2


@any_engine
async def test_a_subscription_that_is_refused_by_now_suspends(receiver: Receiver) -> None:
    partner = await create_partner()
    await Arrivals.of(partner)
    async with house() as here:
        await here.deliverer.stop()
        made = await here.register(partner, receiver.url)
        ahead = await cursor_of(arrivals_stream(partner.user_id), 999)
        await Webhook.filter(id=made.webhook.id).update(cursor=ahead)
    async with house():
        webhook = await suspended(made.webhook.id)
    assert webhook.suspension_reason is SuspensionReason.REFUSED
    assert webhook.cursor == ahead
    assert receiver.requests == []


class Broken:
    """An event source that fails where something is read from it."""

    def __init__(self) -> None:
        self.works = False

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        while not self.works:
            raise RuntimeError("the password is hunter2")
        yield StoredEvent(stream, 0, "", {}, utc_now())


@any_engine
async def test_what_fails_on_our_side_is_tried_again_and_sends_nothing(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house() as here:
        await here.deliverer.stop()
        made = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        broken = Deliverer(
            Executor(SCHEMA, loaders=loaders.build),
            services=dataclasses.replace(here.services, events=Broken()),
            sender=here.services.webhooks.sender,  # type: ignore[union-attr]
            clock=here.clock,
        )
        broken.start()
        webhook = await here.retried(made.webhook.id, attempt=1)
        await broken.stop()
        assert (webhook.state, webhook.cursor) == (WebhookState.ACTIVE, made.webhook.cursor)
        (attempt,) = await log_of(webhook.id)
        assert (attempt.error, attempt.status, attempt.message_id) == ("EXECUTION", None, None)
        assert receiver.requests == []
        ahead = here.clock.ahead
    async with house() as here:
        here.clock.ahead = ahead
        await receiver.until(1)
    assert made.secret not in capfd.readouterr().out


@any_engine
async def test_a_secret_that_does_not_open_is_a_failure_and_nothing_is_sent(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house() as here:
        await here.deliverer.stop()
        made = await here.register(partner, receiver.url)
        await Webhook.filter(id=made.webhook.id).update(secret_sealed=Sealer(b"x" * 32).seal("whsec_x", owner="other"))
        await arrivals.happen(1)
    async with house() as here:
        await here.retried(made.webhook.id, attempt=1)
    assert next(attempt.error for attempt in await log_of(made.webhook.id)) == "EXECUTION"
    assert receiver.requests == []
