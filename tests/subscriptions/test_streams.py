"""The fields of Subscription, over a real WebSocket: who may listen, from where, and what is delivered."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.events.queries import standing_of
from domain.events.streams import arrivals_stream, order_stream
from domain.orders import arrivals
from domain.orders.arrivals import Arrival
from domain.orders.lifecycle import Trigger
from kernel.opaque import pack
from schema.types.relay import global_id
from tests.factories import create_card, create_order, create_viewer
from tests.subscriptions.happenings import arrive, step
from tests.subscriptions.listening import House, Listener, cursor_of, listening

ARRIVALS = """subscription ($after: String, $device: String) { arrivals(after: $after, device: $device) {
  ... on StreamEvent { cursor }
  ... on ArrivalEvent { notice { text arrivedAt amount { fen yuan } order { id state card { brand } } } }
  ... on ArrivalGap { reason complete arrivals { order { id } amount { fen } } } } }"""
ORDER = """subscription ($id: ID!, $after: String) { orderUpdated(id: $id, after: $after) {
  ... on StreamEvent { cursor } ... on StreamGap { reason }
  ... on OrderEvent { order { id state } } ... on OrderGap { order { id state } } } }"""

FEN = 50_000


class TestArrivals:
    async def test_money_that_arrives_is_told_at_once(self, house: House) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        async with Listener(house, viewer) as client, Listener(house, viewer, locale="en") as english:
            for each in (client, english):
                await each.subscribe(ARRIVALS)
            await listening(house, arrivals_stream(viewer.user_id), clients=2)
            await arrive(order)
            notice = (await client.data())["arrivals"]["notice"]
            assert (await english.data())["arrivals"]["notice"]["text"] == "¥500.00 has arrived on your fuel card"
        assert notice["text"] == "¥500.00 已充值到您的油卡"
        assert notice["amount"] == {"fen": FEN, "yuan": "500.00"}
        assert notice["order"] == {
            "id": global_id("Order", order.id),
            "state": "PENDING_PAYMENT",
            "card": {"brand": "SINOPEC"},
        }
        assert notice["arrivedAt"].endswith("Z")

    async def test_nobody_hears_of_another_persons_money(self, house: House) -> None:
        viewer, other = await create_viewer(), await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        async with Listener(house, other) as client:
            await client.subscribe(ARRIVALS)
            await listening(house, arrivals_stream(other.user_id))
            await arrive(order)
            await client.send({"type": "ping"})
            assert await client.receive() == {"type": "pong"}
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.receive()

    async def test_a_cursor_resumes_without_loss_or_repetition(self, house: House) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        stream = arrivals_stream(viewer.user_id)
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS)
            await listening(house, stream)
            await arrive(order)
            cursor = (await client.data())["arrivals"]["cursor"]
        for _ in range(3):
            await arrive(order)
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS, variables={"after": cursor})
            cursors = [(await client.data())["arrivals"]["cursor"] for _ in range(3)]
            await arrive(order)
            cursors.append((await client.data())["arrivals"]["cursor"])
        assert cursors == [await cursor_of(stream, position) for position in (2, 3, 4, 5)]

    async def test_nobody_may_listen_unknown(self, house: House) -> None:
        async with Listener(house) as client:
            await client.subscribe(ARRIVALS)
            assert await client.error_code() == "UNAUTHENTICATED"
        assert house.system.hub._channels == {}

    async def test_a_cursor_that_is_not_of_this_stream_is_refused(self, house: House) -> None:
        viewer, other = await create_viewer(), await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        await arrive(order)
        mine, epoch = arrivals_stream(viewer.user_id), (await standing_of("prices")).epoch
        refused = [
            "", "x", "=", "é", "x" * 600, pack(epoch, mine), pack(epoch, mine, "1"), pack(epoch, mine, 1.0),
            pack(epoch, mine, True), pack(epoch, mine, None), pack(epoch, mine, -1), pack(epoch, mine, 2),
            pack(epoch, mine, 2**62), pack(epoch, mine, 1, 1), pack(mine, 1), pack("", mine, 1), pack(1, mine, 1),
            pack("x" * 12, mine, 1), pack(epoch, 1, 1), pack(epoch, arrivals_stream(other.user_id), 0),
            pack("0" * 12, arrivals_stream(other.user_id), 0), pack(epoch, "prices", 0),
            pack(epoch, order_stream(order.id), 1),
        ]  # fmt: skip
        async with Listener(house, viewer) as client:
            for cursor in refused:
                await client.subscribe(ARRIVALS, variables={"after": cursor})
                assert await client.error_code() == "CURSOR_INVALID", cursor
            await client.subscribe(ARRIVALS, variables={"after": pack(epoch, mine, 0)})
            assert (await client.data())["arrivals"]["cursor"] == pack(epoch, mine, 1)


class TestOrderUpdated:
    async def test_it_begins_with_the_order_as_it_is(self, house: House) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        await step(order.id, Trigger.START_PAYMENT)
        async with Listener(house, viewer) as client:
            await client.subscribe(ORDER, variables={"id": global_id("Order", order.id)})
            first = (await client.data())["orderUpdated"]
            assert first["order"] == {"id": global_id("Order", order.id), "state": "PAYING"}
            assert first["cursor"] == await cursor_of(order_stream(order.id), 2)
            await listening(house, order_stream(order.id))
            states = []
            for trigger in (Trigger.CONFIRM_PAYMENT, Trigger.SUBMIT_RECHARGE, Trigger.CONFIRM_RECHARGE):
                await step(order.id, trigger)
                states.append((await client.data())["orderUpdated"]["order"]["state"])
        assert states == ["RECHARGING", "RECHARGING", "SUCCEEDED"]

    async def test_steps_of_one_moment_are_joined_and_the_last_is_shown(self, house: House) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        async with Listener(house, viewer) as client:
            await client.subscribe(ORDER, variables={"id": global_id("Order", order.id)})
            await client.data()
            await listening(house, order_stream(order.id))
            await step(order.id, Trigger.START_PAYMENT, Trigger.CONFIRM_PAYMENT, Trigger.SUBMIT_RECHARGE)
            assert (await client.data())["orderUpdated"]["order"]["state"] == "RECHARGING"
            await step(order.id, Trigger.CONFIRM_RECHARGE)
            assert (await client.data())["orderUpdated"]["order"]["state"] == "SUCCEEDED"

    async def test_whenever_somebody_subscribes_the_end_is_seen(self, house: House) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        order = await create_order(viewer, card)
        identifier = global_id("Order", order.id)
        async with Listener(house, viewer) as client:
            stepping = asyncio.create_task(self._step_slowly(order.id))
            for number in range(12):
                await client.subscribe(ORDER, id=str(number), variables={"id": identifier})
                await asyncio.sleep(0.004)
            await stepping
            last: dict[str, str] = {}
            while set(last.values()) != {"SUCCEEDED"} or len(last) < 12:
                message = await client.receive()
                last[message["id"]] = message["payload"]["data"]["orderUpdated"]["order"]["state"]

    @staticmethod
    async def _step_slowly(order_id: UUID) -> None:
        for trigger in (
            Trigger.START_PAYMENT, Trigger.CONFIRM_PAYMENT, Trigger.SUBMIT_RECHARGE, Trigger.CONFIRM_RECHARGE
        ):  # fmt: skip
            await step(order_id, trigger)
            await asyncio.sleep(0.01)

    async def test_a_cursor_resumes_without_the_order_as_it_is(self, house: House) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        identifier = global_id("Order", order.id)
        newest = await cursor_of(order_stream(order.id), 1)
        async with Listener(house, viewer) as client:
            await client.subscribe(ORDER, variables={"id": identifier, "after": newest})
            await listening(house, order_stream(order.id))
            await step(order.id, Trigger.START_PAYMENT)
            event = (await client.data())["orderUpdated"]
            assert event["order"]["state"] == "PAYING"
            assert event["cursor"] == await cursor_of(order_stream(order.id), 2)

    async def test_unknown_and_foreign_orders_look_alike(self, house: House) -> None:
        viewer, other = await create_viewer(), await create_viewer()
        card = await create_card(other)
        foreign = await create_order(other, card)
        cursor = await cursor_of(order_stream(foreign.id), 0)
        answers = []
        async with Listener(house, viewer, locale="en") as client:
            for identifier in (global_id("Order", foreign.id), global_id("Order", uuid4())):
                for after in (None, cursor, "nonsense"):
                    await client.subscribe(ORDER, variables={"id": identifier, "after": after})
                    answers.append((await client.receive())["payload"])
            for nonsense in ("", "x", str(foreign.id), global_id("Card", card.id)):
                await client.subscribe(ORDER, variables={"id": nonsense})
                answers.append((await client.receive())["payload"])
        assert answers[0][0]["extensions"] == {"code": "NOT_FOUND"}
        assert all(answer == answers[0] for answer in answers)
        assert house.system.hub._channels == {}

    async def test_nobody_may_listen_unknown(self, house: House) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        async with Listener(house) as client:
            await client.subscribe(ORDER, variables={"id": global_id("Order", order.id)})
            assert await client.error_code() == "UNAUTHENTICATED"


async def test_an_error_of_the_database_does_not_end_a_stream(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer))
    of_events, failures = arrivals.of_events, 0

    async def unreliable(**values: Any) -> list[Arrival | None]:
        nonlocal failures
        failures += 1
        if failures <= 2:
            raise OSError("the database is gone")
        return await of_events(**values)

    async with Listener(house, viewer) as client:
        await client.subscribe(ARRIVALS)
        await listening(house, arrivals_stream(viewer.user_id))
        monkeypatch.setattr(arrivals, "of_events", unreliable)
        await arrive(order)
        assert (await client.data())["arrivals"]["notice"]["amount"]["fen"] == FEN
    assert failures == 3
