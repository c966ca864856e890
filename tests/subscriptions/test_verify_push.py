"""Whatever a subscription tells is what changed: a stale snapshot with its events laid over is the fresh snapshot.

Each field of Subscription has a case here; one without fails the first test. A snapshot is what a gap would give.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from domain.events.cursors import Cursor
from domain.events.queries import standing_of
from domain.events.streams import ALERTS, PRICES, EventType, arrivals_stream, order_stream
from domain.identity.staff import Staff
from domain.identity.viewer import Viewer
from domain.orders.lifecycle import Trigger
from kernel.states import Product
from models.cards import FuelCard
from models.orders import RechargeOrder
from models.pricing import PriceZone
from schema.root import build
from schema.types.relay import global_id
from tests.factories import create_card, create_order, create_staff, create_viewer
from tests.subscriptions.happenings import (
    await_review,
    change_price,
    create_zone,
    open_case,
    park_work,
    recharge,
    step,
)
from tests.subscriptions.listening import House, Listener, staff_viewer
from tests.subscriptions.serving import Client

NOTICE = "order { id } amount { fen } arrivedAt"
ORDER = "id state reviewState refundState updatedAt"
PRICE = "product unitPrice { milliyuan } effectiveFrom source zone { id }"
ALERT = "... on CaseAlert { case { id } } ... on ReviewAlert { review { id } } ... on WorkAlert { work { id } }"

State = dict[Any, Any]


@dataclass
class World:
    """Everything that the cases change."""

    viewer: Viewer
    card: FuelCard
    staff: Staff
    order: RechargeOrder
    zones: list[PriceZone]
    orders: list[RechargeOrder] = field(default_factory=list)

    @classmethod
    async def create(cls) -> World:
        viewer = await create_viewer()
        card = await create_card(viewer)
        zones = [await create_zone("yunnan-1"), await create_zone("yunnan-2")]
        return cls(viewer, card, await create_staff(), await create_order(viewer, card), zones)

    async def one_more(self, yuan: str = "100.00") -> RechargeOrder:
        self.orders.append(await create_order(self.viewer, self.card, yuan=yuan))
        return self.orders[-1]


@dataclass(frozen=True)
class Case:
    """How to follow one field, what its snapshot is, how an event changes that, and what happens meanwhile."""

    query: str
    stream: Callable[[World], str]
    who: Callable[[World], Viewer | None]
    snapshot: Callable[[dict[str, Any]], State]
    apply: Callable[[State, dict[str, Any]], None]
    happen: list[Callable[[World], Awaitable[Any]]]
    types: set[EventType]


def _alert_id(alert: dict[str, Any]) -> str:
    (subject,) = alert.values()
    return str(subject["id"])


async def _price(world: World, zone: int, product: Product, milliyuan: int, days_ago: int) -> None:
    await change_price(world.zones[zone], product, milliyuan, days_ago=days_ago)


async def _case(world: World) -> None:
    order = await world.one_more()
    await recharge(order)
    await open_case(world.staff, order)


async def _recharge_one(world: World) -> None:
    await recharge(await world.one_more())


async def _review_one(world: World) -> None:
    await await_review(await world.one_more("2500.00"))


CASES = {
    "arrivals": Case(
        query=f"""subscription ($after: String!) {{ arrivals(after: $after) {{ ... on StreamEvent {{ cursor }}
          ... on ArrivalEvent {{ notice {{ {NOTICE} }} }} ... on ArrivalGap {{ arrivals {{ {NOTICE} }} }} }} }}""",
        stream=lambda world: arrivals_stream(world.viewer.user_id),
        who=lambda world: world.viewer,
        snapshot=lambda gap: {notice["order"]["id"]: notice for notice in gap["arrivals"]},
        apply=lambda state, event: state.update({event["notice"]["order"]["id"]: event["notice"]}),
        happen=[_recharge_one] * 4,
        types={EventType.RECHARGE_ARRIVED},
    ),
    "orderUpdated": Case(
        query=f"""subscription ($after: String!, $order: ID!) {{ orderUpdated(id: $order, after: $after) {{
          ... on StreamEvent {{ cursor }} ... on OrderEvent {{ order {{ {ORDER} }} }}
          ... on OrderGap {{ order {{ {ORDER} }} }} }} }}""",
        stream=lambda world: order_stream(world.order.id),
        who=lambda world: world.viewer,
        snapshot=lambda gap: dict(gap["order"]),
        apply=lambda state, event: state.update(event["order"]),
        happen=[
            lambda world: step(world.order.id, Trigger.START_PAYMENT),
            lambda world: step(world.order.id, Trigger.CLOSE_ATTEMPT),
            lambda world: step(world.order.id, Trigger.START_PAYMENT, Trigger.CONFIRM_PAYMENT),
            lambda world: step(world.order.id, Trigger.SUBMIT_RECHARGE, Trigger.CONFIRM_RECHARGE),
        ],
        types={EventType.ORDER_CHANGED},
    ),
    "priceChanges": Case(
        query=f"""subscription ($after: String!) {{ priceChanges(after: $after) {{ ... on StreamEvent {{ cursor }}
          ... on PriceChangeEvent {{ price {{ {PRICE} }} }} ... on PriceGap {{ prices {{ {PRICE} }} }} }} }}""",
        stream=lambda _world: PRICES,
        who=lambda _world: None,
        snapshot=lambda gap: {(price["zone"]["id"], price["product"]): price for price in gap["prices"]},
        apply=lambda state, event: state.update(
            {(event["price"]["zone"]["id"], event["price"]["product"]): event["price"]}
        ),
        happen=[
            lambda world: _price(world, 0, Product.GASOLINE_92, 8_460, 9),
            lambda world: _price(world, 1, Product.GASOLINE_92, 8_470, 9),
            lambda world: _price(world, 0, Product.GASOLINE_92, 8_465, 7),
            # The notice of a day is corrected, and one of before comes late: that is not in force any more.
            lambda world: _price(world, 0, Product.GASOLINE_92, 8_466, 7),
            lambda world: _price(world, 0, Product.GASOLINE_92, 8_000, 8),
            lambda world: _price(world, 1, Product.DIESEL_0, 7_990, 5),
        ],
        types={EventType.PRICE_CHANGED},
    ),
    "alerts": Case(
        query=f"""subscription ($after: String!) {{ alerts(after: $after) {{ ... on StreamEvent {{ cursor }}
          ... on AlertEvent {{ alert {{ {ALERT} }} }} ... on AlertGap {{ alerts {{ {ALERT} }} }} }} }}""",
        stream=lambda _world: ALERTS,
        who=lambda world: staff_viewer(world.staff),
        snapshot=lambda gap: {_alert_id(alert): alert for alert in gap["alerts"]},
        apply=lambda state, event: state.update({_alert_id(event["alert"]): event["alert"]}),
        happen=[_case, lambda _world: park_work(), _review_one, lambda _world: park_work()],
        types={EventType.ALERT_RAISED},
    ),
}
# Followed by this house itself, and by no client.
INTERNAL = {
    EventType.STATIONS_CHANGED, EventType.LEDGER_POSTED, EventType.SWITCH_TURNED, EventType.ORGANISATION_CHANGED,
}  # fmt: skip


def test_every_field_and_every_event_type_has_a_case() -> None:
    subscription = build()._schema.subscription_type
    assert subscription is not None
    assert CASES.keys() == subscription.fields.keys()
    assert set().union(*(case.types for case in CASES.values())) | INTERNAL == set(EventType)


@pytest.mark.parametrize("name", CASES)
async def test_events_bring_a_stale_snapshot_up_to_date(house: House, name: str) -> None:
    await verify_push(house, CASES[name], await World.create())


async def verify_push(house: House, case: Case, world: World) -> None:
    """Lay the events behind each stale snapshot's cursor over it, and compare with the fresh one.

    The first one is brought up to date by a client that listens all the time, the others by clients that come later.
    """
    async with Listener(house, case.who(world)) as witness:
        first = await snapshot(house, case, world)
        await witness.subscribe(case.query, variables=variables(world, first[0]))
        stale = []
        for happen in case.happen:
            stale.append(await snapshot(house, case, world))
            await happen(world)
        _, fresh = await snapshot(house, case, world)
        assert first[1] != fresh
        assert await caught_up(witness, case, world, *first) == fresh
    for cursor, state in stale:
        async with Listener(house, case.who(world)) as client:
            await client.subscribe(case.query, variables=variables(world, cursor))
            assert await caught_up(client, case, world, cursor, state) == fresh


async def caught_up(client: Client, case: Case, world: World, cursor: str, state: State) -> State:
    """Apply events until the one at the head of the stream."""
    newest = (await standing_of(case.stream(world))).cursor()
    while cursor != newest:
        (event,) = (await client.data()).values()
        case.apply(state, event)
        cursor = event["cursor"]
    return state


async def snapshot(house: House, case: Case, world: World) -> tuple[str, State]:
    """Have a gap, by a cursor of an epoch that never was, and return its cursor and what it holds."""
    foreign = Cursor("0" * 12, case.stream(world), 0).text
    async with Listener(house, case.who(world)) as client:
        await client.subscribe(case.query, variables=variables(world, foreign))
        (gap,) = (await client.data()).values()
    return gap["cursor"], case.snapshot(gap)


def variables(world: World, after: str) -> dict[str, Any]:
    # A variable that a document does not declare is left alone.
    return {"after": after, "order": global_id("Order", world.order.id)}
