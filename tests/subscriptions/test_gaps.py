"""What cannot be told event by event: the gap comes first, with what is true now, and then the stream goes on."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events import acks, purging
from domain.events.streams import ALERTS, PRICES, arrivals_stream, order_stream
from domain.orders.lifecycle import Trigger
from kernel.clock import utc_now
from kernel.states import Product
from models.events import EventStream
from schema.types.relay import global_id
from tests.factories import create_card, create_order, create_staff, create_viewer
from tests.subscriptions.happenings import (
    await_review,
    change_price,
    create_station,
    create_zone,
    forget_history,
    open_case,
    park_work,
    recharge,
    step,
)
from tests.subscriptions.listening import House, Listener, cursor_of, listening, staff_viewer
from tests.subscriptions.test_alerts import ALERTS_QUERY
from tests.subscriptions.test_price_stream import PRICES as PRICES_QUERY
from tests.subscriptions.test_streams import ARRIVALS, ORDER

REASONS = ["HISTORY_GONE", "EPOCH_CHANGED"]


async def lose(reason: str) -> None:
    if reason == "EPOCH_CHANGED":
        await purging.new_epoch(now=utc_now())
    else:
        await forget_history()


@pytest.mark.parametrize("reason", REASONS)
class TestGap:
    async def test_arrivals(self, house: House, reason: str) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        stream = arrivals_stream(viewer.user_id)
        orders = [await create_order(viewer, card) for _ in range(3)]
        for order in orders[:2]:
            await recharge(order)
        kept = await cursor_of(stream, 1)
        await lose(reason)
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS, variables={"after": kept})
            gap = (await client.data())["arrivals"]
            assert (gap["reason"], gap["complete"]) == (reason, True)
            told = [global_id("Order", order.id) for order in (orders[1], orders[0])]
            assert [arrival["order"]["id"] for arrival in gap["arrivals"]] == told
            assert gap["cursor"] == await cursor_of(stream, 2)
            await recharge(orders[2])
            event = (await client.data())["arrivals"]
            assert event["notice"]["order"]["id"] == global_id("Order", orders[2].id)
            assert event["cursor"] == await cursor_of(stream, 3)
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS, variables={"after": gap["cursor"]})
            assert (await client.data())["arrivals"] == event

    async def test_an_order(self, house: House, reason: str) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        stream = order_stream(order.id)
        kept = await cursor_of(stream, 1)
        await step(order.id, Trigger.START_PAYMENT)
        await lose(reason)
        identifier = global_id("Order", order.id)
        async with Listener(house, viewer) as client:
            await client.subscribe(ORDER, variables={"id": identifier, "after": kept})
            gap = (await client.data())["orderUpdated"]
            assert gap == {
                "cursor": await cursor_of(stream, 2),
                "reason": reason,
                "order": {"id": identifier, "state": "PAYING"},
            }
            await step(order.id, Trigger.CONFIRM_PAYMENT)
            event = (await client.data())["orderUpdated"]
            assert (event["order"]["state"], event["cursor"]) == ("RECHARGING", await cursor_of(stream, 3))

    async def test_prices(self, house: House, reason: str) -> None:
        one, other = await create_zone("yunnan-1"), await create_zone("yunnan-2")
        station = await create_station(one)
        for number in range(2):
            await change_price(one, Product.GASOLINE_92, 8_460 + number, days_ago=9 - number)
            await change_price(other, Product.DIESEL_0, 7_990 + number, days_ago=9 - number)
        kept = await cursor_of(PRICES, 0)
        await lose(reason)
        places: list[tuple[dict[str, Any], list[int]]] = [
            ({"product": "GASOLINE_92"}, [8_461]),
            ({}, [8_461, 7_991]),
            ({"stations": [global_id("Station", station.id)]}, [8_461]),
            ({"near": {"latitude": 25.0, "longitude": 102.7}}, [8_461]),
            ({"zone": global_id("PriceZone", other.id)}, [7_991]),
        ]
        async with Listener(house) as client:
            for number, (place, prices) in enumerate(places):
                await client.subscribe(PRICES_QUERY, id=str(number), variables={**place, "after": kept})
                gap = (await client.data())["priceChanges"]
                assert (gap["reason"], gap["complete"], gap["cursor"]) == (reason, True, await cursor_of(PRICES, 4))
                assert [price["unitPrice"]["milliyuan"] for price in gap["prices"]] == prices
                await client.send({"id": str(number), "type": "complete"})
            await client.subscribe(PRICES_QUERY, variables={"after": gap["cursor"]})
            await change_price(one, Product.GASOLINE_92, 8_470, days_ago=1)
            assert (await client.data())["priceChanges"]["previous"] == {"milliyuan": 8_461}

    async def test_alerts(self, house: House, reason: str) -> None:
        viewer, staff = await create_viewer(), await create_staff()
        card = await create_card(viewer)
        done, large = await create_order(viewer, card), await create_order(viewer, card, yuan="2500.00")
        await recharge(done)
        case, job = await open_case(staff, done), await park_work()
        review = await await_review(large)
        kept = await cursor_of(ALERTS, 0)
        await lose(reason)
        async with Listener(house, staff_viewer(staff)) as client:
            await client.subscribe(ALERTS_QUERY, variables={"after": kept})
            gap = (await client.data())["alerts"]
            assert (gap["reason"], gap["complete"], gap["cursor"]) == (reason, True, await cursor_of(ALERTS, 3))
            assert gap["alerts"] == [
                {"review": {"id": global_id("OrderReview", review.id), "order": {"id": global_id("Order", large.id)}}},
                {"case": {"id": global_id("Case", case.id), "order": {"id": global_id("Order", done.id)}}},
                {"work": {"jobId": str(job.id), "kind": "query_payment", "reason": "nobody answers"}},
            ]
            again = await park_work()
            assert (await client.data())["alerts"]["alert"]["work"]["jobId"] == str(again.id)


class TestBounds:
    @pytest.fixture
    def bounds(self) -> dict[str, int]:
        return {"snapshot_arrivals_max": 2, "snapshot_prices_max": 2, "snapshot_alerts_max": 2}

    async def test_a_snapshot_is_bounded_and_says_so(self, narrow_house: House) -> None:
        viewer, staff, zone = await create_viewer(), await create_staff(), await create_zone("yunnan-1")
        card = await create_card(viewer)
        orders = [await create_order(viewer, card) for _ in range(3)]
        for order, product in zip(orders, [Product.GASOLINE_92, Product.GASOLINE_95, Product.DIESEL_0], strict=True):
            await recharge(order)
            await park_work()
            await change_price(zone, product, 8_000, days_ago=1)
        kept = {name: await cursor_of(name, 0) for name in (arrivals_stream(viewer.user_id), PRICES, ALERTS)}
        await forget_history()
        asked: list[tuple[Any, str, str, str]] = [
            (viewer, ARRIVALS, "arrivals", arrivals_stream(viewer.user_id)),
            (None, PRICES_QUERY, "priceChanges", PRICES),
            (staff_viewer(staff), ALERTS_QUERY, "alerts", ALERTS),
        ]
        for who, query, field, stream in asked:
            async with Listener(narrow_house, who) as client:
                await client.subscribe(query, variables={"after": kept[stream]})
                gap = (await client.data())[field]
                assert gap["complete"] is False
                assert len(gap["prices" if field == "priceChanges" else field]) == 2


class TestInTheMiddle:
    async def test_history_that_goes_while_one_listens(self, house: House) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        first, second = await create_order(viewer, card), await create_order(viewer, card)
        stream = arrivals_stream(viewer.user_id)
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS)
            await listening(house, stream)
            # As if this process had been cut off for longer than history is kept.
            await EventStream.create(name=stream, position=7, purged=7)
            await recharge(first)
            gap = (await client.data())["arrivals"]
            assert (gap["reason"], gap["cursor"]) == ("HISTORY_GONE", await cursor_of(stream, 8))
            assert [arrival["order"]["id"] for arrival in gap["arrivals"]] == [global_id("Order", first.id)]
            await recharge(second)
            assert (await client.data())["arrivals"]["cursor"] == await cursor_of(stream, 9)


class TestDevices:
    async def test_a_device_goes_on_where_it_has_acknowledged_to_be(self, house: House) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        stream = arrivals_stream(viewer.user_id)
        orders = [await create_order(viewer, card) for _ in range(3)]
        for order in orders:
            await recharge(order)
        await acks.ack(
            user_id=viewer.user_id, device="watch", cursor=await cursor_of(stream, 1), devices_max=5,
            forget_after=utc_now() - utc_now(), now=utc_now(),
        )  # fmt: skip
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS, variables={"device": "watch"})
            cursors = [(await client.data())["arrivals"]["cursor"] for _ in range(2)]
            assert cursors == [await cursor_of(stream, position) for position in (2, 3)]
            await client.subscribe(ARRIVALS, id="after", variables={"device": "watch", "after": cursors[0]})
            assert (await client.data())["arrivals"]["cursor"] == cursors[1]
            await client.subscribe(ARRIVALS, id="new", variables={"device": "new"})
            await listening(house, stream, clients=3)
            order = await create_order(viewer, card)
            await recharge(order)
            newest = {(await client.data())["arrivals"]["cursor"] for _ in range(3)}
            assert newest == {await cursor_of(stream, 4)}

    async def test_a_device_whose_history_is_gone_is_told(self, house: House) -> None:
        viewer = await create_viewer()
        stream = arrivals_stream(viewer.user_id)
        order = await create_order(viewer, await create_card(viewer))
        cursor = await cursor_of(stream, 0)
        now = utc_now()
        await acks.ack(
            user_id=viewer.user_id, device="watch", cursor=cursor, devices_max=5, forget_after=now - now, now=now
        )
        await recharge(order)
        await forget_history()
        async with Listener(house, viewer) as client:
            await client.subscribe(ARRIVALS, variables={"device": "watch"})
            gap = (await client.data())["arrivals"]
            assert (gap["reason"], len(gap["arrivals"])) == ("HISTORY_GONE", 1)

    async def test_a_device_has_a_name(self, house: House) -> None:
        async with Listener(house, await create_viewer()) as client:
            for device in ("", "a b", "x" * 65):
                await client.subscribe(ARRIVALS, variables={"device": device})
                assert await client.error_code() == "DEVICE_INVALID"
        assert house.system.hub._channels == {}
