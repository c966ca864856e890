"""Events reach the receiver in order, signed, and until it has taken them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from domain.webhooks import operations
from kernel.clock import utc_now
from kernel.states import SuspensionReason, WebhookState
from models.identity import User
from models.webhooks import Webhook
from tests.factories import SEALER
from tests.subscriptions.support import eventually
from tests.webhooks.receiver import Receiver, answering, dripping, flooding, hanging_up, holding, receiving
from tests.webhooks.support import Arrivals, amounts, create_partner, house, log_of, suspended

engines = pytest.mark.usefixtures("database")
any_engine = pytest.mark.usefixtures("sqlite_database")


@engines
async def test_events_are_delivered_in_order_and_signed(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    await arrivals.happen(2)
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(3)
        await receiver.until(3)
        await arrivals.happen(2)
        requests = await receiver.until(5)
        messages = [request.verified(made.secret) for request in requests]
        assert amounts(messages) == [3, 4, 5, 6, 7]
        assert len(set(receiver.ids)) == 5
        for request, message in zip(requests, messages, strict=True):
            assert (request.method, request.path) == ("POST", "/hooks?tenant=7")
            assert request.headers["content-type"] == "application/json; charset=utf-8"
            assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
            assert message.keys() == {"type", "timestamp", "cursor", "data"}
            assert message["type"] == "arrivals"
            assert message["cursor"] == message["data"]["arrivals"]["cursor"]
            assert utc_now() - datetime.fromisoformat(message["timestamp"]) < timedelta(minutes=1)
        last = messages[-1]["cursor"]

        async def taken() -> bool:
            return bool((await Webhook.get(id=made.webhook.id)).cursor == last)

        await eventually(taken)
        log = await log_of(made.webhook.id)
        assert [(each.message_id, each.attempt, each.status, each.error) for each in log] == [
            (request.id, 1, 204, None) for request in requests
        ]


@engines
async def test_nothing_is_lost_while_the_receiver_is_down(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.script.extend([answering(500), hanging_up, answering(404), answering(503)])
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(3)
        for attempt in range(1, 5):
            failing = await here.retried(made.webhook.id, attempt=attempt)
            assert failing.cursor == made.webhook.cursor
        requests = await receiver.until(7)
        assert len(set(receiver.ids[:5])) == 1
        assert len({request.headers["webhook-timestamp"] for request in requests[:5]}) == 5
        assert {request.message["timestamp"] for request in requests[:5]} == {requests[0].message["timestamp"]}
        assert amounts([request.message for request in receiver.taken()]) == [1, 2, 3]

        async def noted() -> bool:
            return len(await log_of(made.webhook.id)) == 7

        await eventually(noted)
        log = await log_of(made.webhook.id)
        assert [each.attempt for each in log] == [1, 2, 3, 4, 5, 1, 1]
        assert [each.error for each in log][:5] == ["ANSWERED", "PROTOCOL", "ANSWERED", "ANSWERED", None]
        assert [each.status for each in log] == [500, None, 404, 503, 204, 204, 204]
        again = await Webhook.get(id=made.webhook.id)
        assert (again.attempt, again.failing_since, again.state) == (0, None, WebhookState.ACTIVE)


@any_engine
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [(dripping, "TIMEOUT"), (holding(asyncio.Event(), answering(200)), "TIMEOUT"), (answering(302), "ANSWERED")],
    ids=["slow-body", "silence", "redirect"],
)
async def test_what_is_no_success_is_tried_again(receiver: Receiver, behaviour: object, error: str) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with receiving() as elsewhere, house(webhook_timeout_s=0.3) as here:
        redirect = answering(302, location=elsewhere.url)
        receiver.script.append(redirect if error == "ANSWERED" else behaviour)  # type: ignore[arg-type]
        made = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        await here.retried(made.webhook.id, attempt=1)
        await receiver.until(2)
        assert len(set(receiver.ids)) == 1
        assert (await log_of(made.webhook.id))[0].error == error
        assert elsewhere.requests == []


@any_engine
async def test_an_answer_without_an_end_is_left(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.script.append(flooding)
    async with house() as here:
        await here.register(partner, receiver.url)
        await arrivals.happen(2)
        await receiver.until(2)
        assert amounts([request.message for request in receiver.requests]) == [1, 2]


@engines
async def test_gone_suspends_at_once(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.script.append(answering(410))
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(2)
        webhook = await suspended(made.webhook.id)
        assert webhook.suspension_reason is SuspensionReason.GONE
        assert webhook.cursor == made.webhook.cursor
        assert len(receiver.requests) == 1
        await here.resume(partner, webhook.id)
        await receiver.until(3)
        assert amounts([request.message for request in receiver.taken()]) == [1, 2]


@engines
async def test_after_a_day_of_failures_it_is_suspended_with_its_cursor(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.otherwise = answering(500)
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        attempt, began = 0, utc_now()
        while (await Webhook.get(id=made.webhook.id)).state is WebhookState.ACTIVE:
            attempt += 1
            webhook = await here.retried(made.webhook.id, attempt=attempt)
            assert webhook.cursor == made.webhook.cursor
        webhook = await suspended(made.webhook.id)
        assert webhook.suspension_reason is SuspensionReason.FAILING
        assert timedelta(hours=24) <= here.clock() - began < timedelta(hours=24, minutes=1)
        # 5 s, 30 s, 2 min, 10 min, 30 min, then hours drawn up to a fifth longer, and the last at the day's end.
        assert 25 <= len(receiver.requests) <= 30
        assert len(set(receiver.ids)) == 1
        receiver.otherwise = answering(200)
        await here.resume(partner, webhook.id)
        requests = await receiver.until(len(receiver.requests) + 1)
        assert requests[-1].id == requests[0].id


@any_engine
async def test_retry_after_is_honoured_up_to_a_bound(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.script.extend([answering(503, retry_after="600"), answering(429, retry_after="999999999")])
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        for attempt, wait_s in ((1, 600), (2, 3_600)):
            before = here.clock()
            webhook = await here.retried(made.webhook.id, attempt=attempt)
            assert timedelta(0) <= webhook.next_attempt_at - before - timedelta(seconds=wait_s) < timedelta(minutes=1)
        await receiver.until(3)


@engines
async def test_a_rotated_secret_signs_beside_the_one_before(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house() as here:
        made = await here.register(partner, receiver.url)
        assert here.services.webhooks is not None
        rotated = await operations.rotate_secret(
            viewer=partner,
            webhook_id=made.webhook.id,
            sealer=SEALER,
            policy=here.services.webhooks.policy,
            now=here.clock(),
        )
        assert rotated.secret != made.secret
        await arrivals.happen(1)
        (request,) = await receiver.until(1)
        assert len(request.signatures) == 2
        assert amounts([request.verified(made.secret), request.verified(rotated.secret)]) == [1, 1]
        sealed = await Webhook.get(id=made.webhook.id)
        for secret in (made.secret, rotated.secret):
            assert secret.encode() not in bytes(sealed.secret_sealed) + bytes(sealed.previous_secret_sealed or b"")
        here.clock.ahead = timedelta(hours=25)
        assert operations.secrets_of(sealed, sealer=SEALER, now=here.clock()) == [rotated.secret]


@engines
async def test_a_cursor_of_before_delivers_again_and_one_of_now_passes_by(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(3)
        first, second, third = [request.message["cursor"] for request in await receiver.until(3)]
        await here.resume(partner, made.webhook.id, after=first)
        requests = await receiver.until(5)
        assert amounts([request.message for request in requests]) == [1, 2, 3, 2, 3]
        assert receiver.ids[3:] == receiver.ids[1:3]
        assert (second, third) == tuple(request.message["cursor"] for request in requests[3:])
        receiver.otherwise = answering(500)
        await arrivals.happen(2)
        await here.retried(made.webhook.id, attempt=1)
        poisonous = receiver.requests[-1].message["cursor"]
        receiver.otherwise = answering(204)
        await here.resume(partner, made.webhook.id, after=poisonous)
        await eventually(lambda: amounts([receiver.requests[-1].message]) == [5])


@engines
async def test_a_paused_webhook_is_silent_and_goes_on_where_it_was(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        await receiver.until(1)
        await operations.pause(viewer=partner, webhook_id=made.webhook.id)
        await arrivals.happen(2)
        await eventually(lambda: here.deliverer.holding == 0)
        assert amounts([request.message for request in receiver.taken()]) == [1]
        await here.resume(partner, made.webhook.id)
        # The first may come once more, where it was paused before its outcome was written down.
        await eventually(lambda: len(receiver.taken()) == 3)
        assert amounts([request.message for request in receiver.taken()]) == [1, 2, 3]


@engines
async def test_deleting_while_it_is_delivering_ends_it(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.otherwise = holding(asyncio.Event(), answering(204))
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(2)
        await receiver.until(1)
        await operations.delete(viewer=partner, webhook_id=made.webhook.id)
        await eventually(lambda: here.deliverer.holding == 0)
        assert not await Webhook.exists(id=made.webhook.id)
        assert len(receiver.requests) == 1


@any_engine
async def test_another_url_gets_what_is_being_retried(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    receiver.otherwise = answering(500)
    async with receiving() as moved, house() as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(1)
        await receiver.until(1)
        assert here.services.webhooks is not None
        await operations.update(
            viewer=partner,
            webhook_id=made.webhook.id,
            url=moved.url,
            sender=here.services.webhooks.sender,
            now=here.clock(),
        )
        here.poked.set()
        await moved.until(1)
        assert moved.ids == receiver.ids[:1]


@any_engine
async def test_an_owner_who_is_gone_suspends(receiver: Receiver) -> None:
    partner = await create_partner()
    async with house() as here:
        made = await here.register(partner, receiver.url)
        await eventually(lambda: here.deliverer.holding == 1)
        await User.filter(id=partner.user_id).delete()
        await here.resume(partner, made.webhook.id)
        webhook = await suspended(made.webhook.id)
        assert webhook.suspension_reason is SuspensionReason.OWNER_GONE
        assert receiver.requests == []
