"""What waits where a subscriber has spent what they may: the newest of its kind, or everything up to a limit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.budgets.operations import Budgets
from domain.identity.viewer import Viewer
from kernel.buckets import Draw
from kernel.settings import Settings
from schema.types.context import Context
from schema.types.delivery import DeliveryPolicy
from subscriptions.deliveries import Delivery
from subscriptions.tolls import Toll
from tests.factories import create_viewer
from tests.subscriptions.serving import JOURNAL, bearer, connecting, services_of, serving
from tests.subscriptions.support import eventually, running, settings_for, write

JOURNAL_ENTRIES = "subscription ($after: String) { ownJournal(after: $after) { cursor number } }"


class Heard:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.deliveries: list[str] = []
        self.ended: list[Any] = []

    def deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery.payload.decode())

    async def room(self) -> None:
        return

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        self.ended.append(errors)


def budgets_of(**values: Any) -> Budgets:
    return Budgets.of(Settings(rate_limit_factor=1, **values))


def toll_of(heard: Heard, budgets: Budgets, policy: DeliveryPolicy, *, held_max: int = 10) -> Toll:
    context = Context(services=services_of(), locale="en", connection="7")
    return Toll(heard, heard.deliver, budgets, context, policy=policy, held_max=held_max)


def delivery(name: str, *, key: str | None = None, cost: int = 5) -> Delivery:
    return Delivery(name.encode(), cursor=f"c-{name}", key=key, cost=cost)


QUICK = {"cost_anonymous_max": 10, "cost_anonymous_refill_per_s": 50}
NEVER = {"cost_anonymous_max": 10, "cost_anonymous_refill_per_s": 0.01}


async def test_of_what_replaces_each_other_the_newest_comes() -> None:
    heard = Heard()
    toll = toll_of(heard, budgets_of(**QUICK), DeliveryPolicy.LATEST)
    for name, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"), ("a3", "a"), ("a4", "a")):
        toll.deliver(delivery(name, key=key))
    assert heard.deliveries == ["a1", "b1"]
    await eventually(lambda: len(heard.deliveries) == 4)
    assert heard.deliveries == ["a1", "b1", "b2", "a4"]
    assert heard.ended == []


async def test_where_nothing_may_be_left_out_all_comes_in_order() -> None:
    heard = Heard()
    toll = toll_of(heard, budgets_of(**QUICK), DeliveryPolicy.LOSSLESS)
    for number in range(6):
        toll.deliver(delivery(str(number), key="same"))
    toll.end(None)
    assert heard.deliveries == ["0", "1"]
    assert heard.ended == []
    await toll.room()
    assert heard.deliveries == list("012345")
    await eventually(lambda: heard.ended == [None])


async def test_where_too_much_waits_the_stream_is_closed_with_its_cursor() -> None:
    heard = Heard()
    toll = toll_of(heard, budgets_of(**NEVER), DeliveryPolicy.LOSSLESS, held_max=3)
    for number in range(5):
        toll.deliver(delivery(str(number)))
    assert heard.ended == []
    toll.deliver(delivery("5"))
    ((error,),) = heard.ended
    assert heard.deliveries == ["0", "1"]
    values = error["extensions"]
    assert (values["code"], values["cursor"], values["cost"], values["limit"]) == ("RATE_LIMITED", "c-1", 5, 10)
    assert 0 < values["retryAfterMs"] <= 500_000


async def test_who_leaves_leaves_nothing_behind() -> None:
    heard = Heard()
    toll = toll_of(heard, budgets_of(**QUICK), DeliveryPolicy.LOSSLESS)
    for number in range(5):
        toll.deliver(delivery(str(number)))
    waiting = asyncio.create_task(toll.room())
    await asyncio.sleep(0)
    toll.close()
    await waiting
    await asyncio.sleep(0.3)
    assert heard.deliveries == ["0", "1"]


async def test_a_failure_does_not_wait() -> None:
    heard = Heard()
    toll = toll_of(heard, budgets_of(**NEVER), DeliveryPolicy.LOSSLESS)
    for number in range(4):
        toll.deliver(delivery(str(number)))
    toll.end([{"message": "no"}])
    assert heard.ended == [[{"message": "no"}]]


async def test_one_event_that_is_dearer_than_the_bucket_takes_all_of_it() -> None:
    heard = Heard()
    toll = toll_of(heard, budgets_of(**NEVER), DeliveryPolicy.LATEST)
    toll.deliver(delivery("huge", cost=10_000))
    assert heard.deliveries == ["huge"]


def left(budgets: Budgets, viewer: Viewer) -> int:
    draw: Draw = budgets.draw(viewer=viewer, address="", cost=0)
    return budgets.buckets.peek(draw).remaining


@pytest.mark.parametrize("subscribers", [1, 3])
async def test_each_subscriber_of_a_cohort_is_charged(sqlite_database: str, subscribers: int) -> None:
    """One execution serves them all; its cost is taken once for each."""
    viewer = await create_viewer()
    limits = {"rate_limit_factor": 1, "cost_partner_max": 200, "cost_partner_refill_per_s": 0.01}
    async with running(settings_for()) as system:
        services = services_of(system.hub, **limits)
        async with serving(services) as address, connecting(address) as client:
            await client.initialise(bearer(viewer))
            for number in range(subscribers):
                await client.subscribe(JOURNAL_ENTRIES, id=str(number))
            await eventually(lambda: address.listeners(JOURNAL) == subscribers)
            assert address.cohorts == 1
            begun = left(services.budgets, viewer)
            await write(JOURNAL, 10)
            for _ in range(10 * subscribers):
                assert (await client.receive())["type"] == "next"
            # The subscription, its field and the entry are 3, and a little has come back meanwhile.
            spent = begun - left(services.budgets, viewer)
            assert 30 * subscribers - 8 <= spent <= 30 * subscribers


async def test_a_stream_that_is_closed_is_resumed_with_its_cursor(sqlite_database: str) -> None:
    viewer = await create_viewer()
    limits = {"rate_limit_factor": 1, "cost_partner_max": 14, "cost_partner_refill_per_s": 20}
    async with running(settings_for()) as system:
        services = services_of(system.hub, subscription_queue_size_max=4, **limits)
        async with serving(services) as address, connecting(address) as client:
            await client.initialise(bearer(viewer))
            await client.subscribe(JOURNAL_ENTRIES)
            await eventually(lambda: address.listeners(JOURNAL) == 1)
            written = await write(JOURNAL, 30)
            seen: list[int] = []
            message = await client.receive()
            while message["type"] == "next":
                seen.append(message["payload"]["data"]["ownJournal"]["number"])
                message = await client.receive()
            (error,) = message["payload"]
            assert error["extensions"]["code"] == "RATE_LIMITED"
            assert len(seen) < 30
            await eventually(lambda: left(services.budgets, viewer) >= 10)
            await client.subscribe(JOURNAL_ENTRIES, id="2", variables={"after": error["extensions"]["cursor"]})
            while len(seen) < 30:
                seen.append((await client.data())["ownJournal"]["number"])
            assert seen == written
