"""Who delivers what: leases, turns, and outcomes that belong to one claim."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

from domain.identity.scopes import Scope
from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE
from domain.webhooks import delivering, operations
from domain.webhooks.delivering import WebhookLeaseLost
from domain.webhooks.policy import Policy
from domain.webhooks.ports import DeliveryError, Outcome
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import SuspensionReason, WebhookState
from models.webhooks import Webhook, WebhookDelivery
from tests.factories import create_staff
from tests.subscriptions.support import eventually
from tests.webhooks.receiver import Receiver, answering, holding
from tests.webhooks.support import Arrivals, amounts, create_partner, house

engines = pytest.mark.usefixtures("database")
any_engine = pytest.mark.usefixtures("sqlite_database")
LEASE = timedelta(seconds=3)
TAKEN = Outcome(status=204, latency_ms=1, error=None)
REFUSED = Outcome(status=500, latency_ms=1, error=DeliveryError.ANSWERED)
POLICY = Policy.of(Settings())


async def create_webhook(**values: Any) -> Webhook:
    given: dict[str, Any] = {
        "id": new_id(), "user_id": new_id(), "client_id": "tests", "scopes": ["webhooks"], "url": "http://127.0.0.1:9/",
        "document": "", "variables": {}, "event_type": "arrivals", "locale": "en", "state": WebhookState.ACTIVE,
        "attempt": 0, "next_attempt_at": utc_now(), "secret_sealed": b"sealed", "created_at": utc_now(),
    }  # fmt: skip
    return await Webhook.create(**(given | values))


async def claim(limit: int = 100, *, ahead: timedelta = timedelta()) -> list[Webhook]:
    return await delivering.claim(owner="tests", limit=limit, lease=LEASE, now=utc_now() + ahead)


@engines
async def test_a_webhook_is_claimed_once_until_its_lease_is_over() -> None:
    made = {(await create_webhook()).id for _ in range(12)}
    claims = await asyncio.gather(*(claim(4) for _ in range(4)))
    ids = [webhook.id for claimed in claims for webhook in claimed]
    # One that met another in the middle may have got fewer; what is left is there for the next.
    ids += [webhook.id for webhook in await claim()]
    assert len(ids) == len(set(ids)) == 12
    assert set(ids) == made
    assert await claim() == []
    assert {webhook.id for webhook in await claim(ahead=2 * LEASE)} == made


@engines
async def test_only_what_is_active_and_due_is_claimed_the_longest_waiting_first() -> None:
    now = utc_now()
    late, later = [await create_webhook(next_attempt_at=now - timedelta(minutes=wait)) for wait in (1, 2)]
    await create_webhook(next_attempt_at=now + timedelta(minutes=1))
    await create_webhook(state=WebhookState.PAUSED)
    await create_webhook(state=WebhookState.SUSPENDED, suspension_reason=SuspensionReason.GONE)
    assert [webhook.id for webhook in await claim(1)] == [later.id]
    assert [webhook.id for webhook in await claim()] == [late.id]


@engines
async def test_a_renewal_keeps_what_is_ours_and_only_that() -> None:
    await create_webhook()
    await create_webhook()
    ours, lost = await claim()
    await Webhook.filter(id=lost.id).update(lease_owner="another")
    assert await delivering.renew(webhooks=[ours, lost], lease=2 * LEASE, now=utc_now()) == {ours.id}
    assert await claim(ahead=1.5 * LEASE) != [ours]
    kept, given_away = await Webhook.get(id=ours.id), await Webhook.get(id=lost.id)
    assert kept.lease_until is not None
    assert given_away.lease_until != kept.lease_until


OUTCOMES: dict[str, Callable[[Webhook], Awaitable[Any]]] = {
    "delivered": lambda webhook: delivering.delivered(
        webhook, message_id="msg_1", cursor="later", outcome=TAKEN, now=utc_now()
    ),
    "failed": lambda webhook: delivering.failed(
        webhook, message_id="msg_1", cursor="later", outcome=REFUSED, policy=POLICY, jitter=0, now=utc_now()
    ),
    "release": lambda webhook: delivering.release(webhook, due_at=utc_now()),
    "suspend": lambda webhook: delivering.suspend(webhook, reason=SuspensionReason.GONE),
}


@engines
@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
async def test_an_outcome_of_a_lost_lease_changes_nothing(outcome: Callable[[Webhook], Awaitable[Any]]) -> None:
    await create_webhook(cursor="before")
    (ours,) = await claim()
    (theirs,) = await claim(ahead=2 * LEASE)
    before = await Webhook.filter(id=ours.id).values()
    with pytest.raises(WebhookLeaseLost):
        await outcome(ours)
    assert await Webhook.filter(id=ours.id).values() == before
    assert not await WebhookDelivery.exists()
    await outcome(theirs)
    assert await Webhook.filter(id=ours.id).values() != before


@engines
async def test_the_log_is_purged_by_age() -> None:
    webhook = await create_webhook()
    now = utc_now()
    for days in (1, 31, 32, 33):
        moment = now - timedelta(days=days)
        await operations.note(webhook, message_id="msg_1", cursor=None, attempt=1, outcome=TAKEN, now=moment)
    assert await delivering.purge_log(before=now - timedelta(days=30), limit=2) == 2
    assert await delivering.purge_log(before=now - timedelta(days=30), limit=2) == 1
    assert await WebhookDelivery.all().count() == 1


@engines
async def test_the_owners_changes_take_the_lease_and_leave_its_end() -> None:
    partner = await create_partner()
    await create_webhook(user_id=partner.user_id)
    (ours,) = await claim()
    paused = await operations.pause(viewer=partner, webhook_id=ours.id)
    assert (paused.lease_owner, paused.lease_until) == (None, ours.lease_until)
    with pytest.raises(WebhookLeaseLost):
        await delivering.delivered(ours, message_id="msg_1", cursor="later", outcome=TAKEN, now=utc_now())
    await Webhook.filter(id=ours.id).update(state=WebhookState.ACTIVE)
    assert await claim() == []
    assert len(await claim(ahead=2 * LEASE)) == 1


@engines
@pytest.mark.parametrize(
    "change",
    [
        {"state": WebhookState.SUSPENDED},
        {"suspension_reason": SuspensionReason.GONE},
        {"attempt": 1},
        {"attempt": -1},
        {"failing_since": utc_now()},
        {"previous_secret_sealed": b"sealed"},
        {"previous_secret_until": utc_now()},
    ],
    ids="-".join,
)
async def test_the_database_refuses_a_webhook_that_cannot_be(change: dict[str, Any]) -> None:
    webhook = await create_webhook()
    before = await Webhook.filter(id=webhook.id).values()
    with pytest.raises(IntegrityError):
        await Webhook.filter(id=webhook.id).update(**change)
    assert await Webhook.filter(id=webhook.id).values() == before


@engines
@pytest.mark.parametrize("of_staff", [False, True], ids=["user", "staff"])
async def test_nobody_registers_more_than_the_limit_at_once(receiver: Receiver, *, of_staff: bool) -> None:
    partner = await create_partner()
    if of_staff:
        member = await create_staff()
        scopes = frozenset({STAFF_SCOPE, Scope.WEBHOOKS})
        partner = replace(partner, user_id=member.id, client_id=STAFF_CLIENT_ID, scopes=scopes)
    async with house(webhooks_per_user_max=3) as here:
        registering = (here.register(partner, receiver.url) for _ in range(8))
        answers = await asyncio.gather(*registering, return_exceptions=True)
    assert sum(isinstance(answer, operations.TooManyWebhooks) for answer in answers) == 5
    assert await Webhook.filter(user_id=partner.user_id).count() == 3


@any_engine
async def test_more_webhooks_than_a_process_holds_take_turns(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house(webhooks_held_max=2, webhook_turn_s=0.1) as here:
        for _ in range(5):
            await here.register(partner, receiver.url)
        most = 0

        def all_came() -> bool:
            nonlocal most
            most = max(most, here.deliverer.holding)
            return len(receiver.taken()) == 5 * len(arrivals.amounts)

        await arrivals.happen(3)
        await eventually(all_came)
        await arrivals.happen(2)
        await eventually(all_came)
        assert most == 2
    assert len(receiver.requests) == len(receiver.taken())


@any_engine
async def test_no_more_requests_are_under_way_than_allowed(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    release = asyncio.Event()
    receiver.otherwise = holding(release, answering(204))
    async with house(webhooks_concurrent_max=2) as here:
        for _ in range(4):
            await here.register(partner, receiver.url)
        await arrivals.happen(1)
        await receiver.until(2)
        await eventually(lambda: here.deliverer._sending.locked() and here.deliverer.holding == 4)
        assert len(receiver.requests) == 2
        release.set()
        await receiver.until(4)


@engines
async def test_a_process_that_ends_gives_everything_back_at_once(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    release = asyncio.Event()
    async with house() as here:
        idle, busy = [await here.register(partner, receiver.url) for _ in range(2)]
        await eventually(lambda: here.deliverer.holding == 2)
        receiver.otherwise = holding(release, answering(204))
        await arrivals.happen(1)
        await receiver.until(2)
        asyncio.get_running_loop().call_later(0.3, release.set)
    # What was under way when it was asked to end has come to its end.
    assert len(receiver.requests) == 2
    for made in (idle, busy):
        webhook = await Webhook.get(id=made.webhook.id)
        assert (webhook.lease_owner, webhook.lease_until) == (None, None)
        assert webhook.cursor == receiver.requests[0].message["cursor"]
    async with house():
        await arrivals.happen(1)
        await receiver.until(4)
    assert sorted(amounts([request.message for request in receiver.requests])) == [1, 1, 2, 2]
