"""What follows an organisation's order ends with the right to follow it, over WebSocket and event stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from domain.events.ports import HistoryGone, StoredEvent
from domain.events.queries import head
from domain.events.streams import ORGANISATIONS, order_stream
from domain.identity.viewer import Viewer
from domain.orders.lifecycle import Trigger
from domain.organisations import members, operations
from domain.organisations.rules import MemberLimits
from domain.organisations.watching import MembershipWatch, membership_watch
from kernel.clock import utc_now
from models.orders import RechargeOrder
from schema.types.relay import global_id
from tests.factories import create_card, create_order, create_viewer
from tests.organisations.support import ACCOUNTANT, ADMIN, DRIVER, Firm, create_firm
from tests.subscriptions.events import reading
from tests.subscriptions.happenings import arrive, step
from tests.subscriptions.listening import House, Listener, listening
from tests.subscriptions.serving import TIMEOUT_S, Client, bearer, services_of, serving
from tests.subscriptions.support import eventually, running, settings_for
from tests.subscriptions.test_streams import ARRIVALS, ORDER

GONE = "NOT_FOUND"


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    async with (
        running(settings_for()) as system,
        membership_watch(system.hub) as watch,
        serving(replace(services_of(system.hub), memberships=watch)) as address,
    ):
        yield House(address, system)


async def following(house: House, client: Client, order: RechargeOrder, *, clients: int = 1) -> None:
    """Follow an order, and return once its next event would be heard."""
    await client.subscribe(ORDER, variables={"id": global_id("Order", order.id)})
    assert (await client.data())["orderUpdated"]["order"]["state"] == "PENDING_PAYMENT"
    await listening(house, order_stream(order.id), clients)


async def cut(client: Client) -> None:
    """The stream ends with an error, and nothing was told before that."""
    message = await client.receive()
    assert message["type"] == "error", message
    assert message["payload"][0]["extensions"]["code"] == GONE


async def silent(client: Client) -> None:
    """Nothing is told up to here."""
    await client.send({"type": "ping"})
    assert await client.receive() == {"type": "pong"}


async def employed(firm: Firm) -> tuple[Viewer, RechargeOrder]:
    driver, _ = await firm.join(DRIVER)
    return driver, await create_order(driver, firm.card)


class TestEnding:
    async def test_a_removal_cuts_what_is_open(self, house: House) -> None:
        firm = await create_firm()
        driver, member = await firm.join(DRIVER)
        order = await create_order(driver, firm.card)
        async with Listener(house, driver) as client, Listener(house, firm.owner) as owner:
            await following(house, client, order)
            await following(house, owner, order, clients=2)
            await firm.remove(member)
            await cut(client)
            await step(order.id, Trigger.START_PAYMENT)
            assert (await owner.data())["orderUpdated"]["order"]["state"] == "PAYING"
            await silent(client)
            await client.subscribe(ORDER, id="2", variables={"id": global_id("Order", order.id)})
            assert (await client.receive())["payload"][0]["extensions"]["code"] == GONE

    async def test_it_cuts_an_event_stream_as_well(self, house: House) -> None:
        firm = await create_firm()
        driver, member = await firm.join(DRIVER)
        order = await create_order(driver, firm.card)
        wish = {"headers": bearer(driver), "variables": {"id": global_id("Order", order.id)}}
        async with reading(house.address, ORDER, **wish) as events:  # type: ignore[arg-type]
            assert (await events.data())["orderUpdated"]["order"]["state"] == "PENDING_PAYMENT"
            await listening(house, order_stream(order.id))
            await firm.remove(member)
            last = await events.next()
            assert last is not None
            assert last.payload["errors"][0]["extensions"]["code"] == GONE

    @pytest.mark.parametrize("ending", ["leave", "close", "demote"])
    async def test_so_does_every_other_end(self, house: House, ending: str) -> None:
        firm = await create_firm()
        _, order = await employed(firm)
        admin, member = await firm.join(ADMIN)
        async with Listener(house, admin) as client:
            await following(house, client, order)
            own = firm.organisation.id
            if ending == "leave":
                await members.leave(viewer=admin, organisation_id=own, now=utc_now())
            elif ending == "close":
                await operations.close(viewer=firm.owner, organisation_id=own, now=utc_now())
            else:
                await firm.change_role(member, DRIVER)
            await cut(client)

    async def test_whatever_else_changes_cuts_nothing(self, house: House) -> None:
        firm = await create_firm()
        driver, member = await firm.join(DRIVER)
        order = await create_order(driver, firm.card)
        async with Listener(house, driver) as client:
            await following(house, client, order)
            await firm.set_limits(member, MemberLimits(1))
            await firm.change_role(member, ACCOUNTANT)
            _, another = await firm.join(DRIVER)
            await firm.remove(another)
            await step(order.id, Trigger.START_PAYMENT)
            assert (await client.data())["orderUpdated"]["order"]["state"] == "PAYING"
            await silent(client)

    async def test_a_rival_is_not_told_of_and_ones_own_goes_on(self, house: House) -> None:
        firm, rival = await create_firm(), await create_firm(5)
        driver, member = await firm.join(DRIVER)
        await firm.join(DRIVER, viewer=rival.owner)
        order = await create_order(rival.owner, rival.card)
        own = await create_order(driver, await create_card(driver))
        async with Listener(house, rival.owner) as client, Listener(house, driver) as mine:
            await following(house, client, order)
            await following(house, mine, own)
            await firm.remove(member)
            for each in (order, own):
                await step(each.id, Trigger.START_PAYMENT)
            for listener in (client, mine):
                assert (await listener.data())["orderUpdated"]["order"]["state"] == "PAYING"

    async def test_strangers_never_begin(self, house: House) -> None:
        firm = await create_firm()
        _, order = await employed(firm)
        (colleague, _), stranger = await firm.join(DRIVER), await create_viewer()
        for viewer in (colleague, stranger):
            async with Listener(house, viewer) as client:
                await client.subscribe(ORDER, variables={"id": global_id("Order", order.id)})
                await cut(client)

    async def test_arrivals_of_the_organisation_are_not_told_any_more(self, house: House) -> None:
        firm = await create_firm()
        driver, member = await firm.join(DRIVER)
        theirs, own = await create_order(driver, firm.card), await create_order(driver, await create_card(driver))
        async with Listener(house, driver) as client:
            await client.subscribe(ARRIVALS)
            await listening(house, f"arrivals:{driver.user_id}")
            await arrive(theirs)
            assert (await client.data())["arrivals"]["notice"]["order"]["id"] == global_id("Order", theirs.id)
            await firm.remove(member)
            await arrive(theirs)
            await arrive(own)
            assert (await client.data())["arrivals"]["notice"]["order"]["id"] == global_id("Order", own.id)


async def test_every_process_hears_of_it(database: str, redis_url: str) -> None:
    """One process changes the organisation and relays that, another one watches."""
    settings = settings_for(redis_url)
    firm, rival = await create_firm(), await create_firm(5)
    _, member = await firm.join(DRIVER)
    async with running(settings), running(settings) as other, membership_watch(other.hub) as watch:
        async with asyncio.timeout(TIMEOUT_S):
            with watch.changes(firm.organisation.id) as changed, watch.changes(rival.organisation.id) as spared:
                await firm.remove(member)
                await changed.wait()
        assert not spared.is_set()
        assert watch._watchers == {}


class Forgetful:
    """A source whose history is gone at first; then it is silent."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        assert stream == ORGANISATIONS
        self.asked.append(after)
        if len(self.asked) == 1:
            raise HistoryGone
        await asyncio.Event().wait()
        yield StoredEvent(stream, 1, "", {}, utc_now())


@pytest.mark.usefixtures("database")
async def test_a_watch_that_has_missed_something_tells_everybody() -> None:
    firm, source, watch = await create_firm(), Forgetful(), MembershipWatch()
    with watch.changes(firm.organisation.id) as changed, watch.changes(uuid4()) as other:
        running_watch = asyncio.create_task(watch.run(source))
        async with asyncio.timeout(TIMEOUT_S):
            await changed.wait()
            await other.wait()
        await eventually(lambda: len(source.asked) == 2)
        running_watch.cancel()
        await asyncio.gather(running_watch, return_exceptions=True)
    assert source.asked == [0, await head(ORGANISATIONS)]
