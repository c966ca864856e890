"""`notices` and `ackNotice`: the same arrivals with the same cursors, without a subscription."""

from __future__ import annotations

from typing import Any

from domain.events.cursors import Cursor
from domain.events.queries import standing_of
from domain.events.streams import arrivals_stream
from models.events import NoticeAck
from models.orders import RechargeOrder
from schema.types.relay import global_id
from tests.factories import create_card, create_order
from tests.schema.conftest import Client
from tests.subscriptions.happenings import forget_history, recharge

NOTICES = """
query ($first: Int! = 20, $after: String) {
  notices(first: $first, after: $after) {
    edges { cursor node { amount { fen } arrivedAt text order { id state } } }
    gap { cursor reason complete arrivals { order { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
ACK = """
mutation ($device: String!, $cursor: String!) {
  answer: ackNotice(input: { device: $device, cursor: $cursor }) {
    __typename
    ... on AckNoticeSuccess { cursor }
    ... on UserError { code message }
    ... on LimitReached { maximum }
  }
}"""


async def recharged(client: Client, count: int) -> list[RechargeOrder]:
    assert client.viewer
    card = await create_card(client.viewer)
    orders = []
    for _ in range(count):
        orders.append(await create_order(client.viewer, card, yuan="100.00"))
        await recharge(orders[-1])
    return orders


async def cursor(client: Client, position: int) -> str:
    assert client.viewer
    return (await standing_of(arrivals_stream(client.viewer.user_id))).cursor(position)


async def page(client: Client, **variables: Any) -> Any:
    return (await client.ask(NOTICES, variables))["notices"]


class TestNotices:
    async def test_pages_tell_every_arrival_once_and_in_order(self, client: Client) -> None:
        orders = await recharged(client, 5)
        told, after, more = [], None, True
        while more:
            found = await page(client, first=2, after=after)
            assert found["gap"] is None
            told += [(edge["cursor"], edge["node"]["order"]["id"]) for edge in found["edges"]]
            after, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        assert told == [
            (await cursor(client, number), global_id("Order", order.id)) for number, order in enumerate(orders, 1)
        ]
        assert found["edges"][0]["node"] | {"arrivedAt": ""} == {
            "amount": {"fen": 10_000},
            "arrivedAt": "",
            "text": "¥100.00 已充值到您的油卡",
            "order": {"id": global_id("Order", orders[4].id), "state": "SUCCEEDED"},
        }

    async def test_an_empty_page_says_where_to_go_on(self, client: Client) -> None:
        empty = await page(client)
        assert (empty["edges"], empty["gap"]) == ([], None)
        assert empty["pageInfo"] == {
            "hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": await cursor(client, 0),
        }  # fmt: skip
        await recharged(client, 1)
        (edge,) = (await page(client, after=empty["pageInfo"]["endCursor"]))["edges"]
        again = await page(client, after=edge["cursor"])
        assert (again["edges"], again["pageInfo"]["endCursor"]) == ([], edge["cursor"])

    async def test_a_gap_is_told_with_what_is_true_now(self, client: Client) -> None:
        first, second = await recharged(client, 2)
        start = await cursor(client, 0)
        await forget_history()
        found = await page(client, after=start)
        assert found["edges"] == []
        assert found["gap"] == {
            "cursor": await cursor(client, 2),
            "reason": "HISTORY_GONE",
            "complete": True,
            "arrivals": [{"order": {"id": global_id("Order", order.id)}} for order in (second, first)],
        }
        assert found["pageInfo"]["endCursor"] == found["gap"]["cursor"]
        # Without a cursor nobody has anything to miss.
        assert (await page(client))["gap"] is None
        foreign = Cursor("0" * 12, Cursor.read(start).stream, 7).text
        assert (await page(client, after=foreign))["gap"]["reason"] == "EPOCH_CHANGED"

    async def test_others_and_nonsense_are_refused(self, client: Client, nobody: Client) -> None:
        other = await client.another_person()
        await recharged(other, 1)
        for after in (await cursor(other, 0), await cursor(client, 1), "x", ""):
            assert await client.code(NOTICES, {"after": after}) == "CURSOR_INVALID"
        for first in (0, 101):
            assert await client.code(NOTICES, {"first": first}) == "PAGE_SIZE_INVALID"
        assert await nobody.code(NOTICES) == "UNAUTHENTICATED"
        assert (await page(client))["edges"] == []


class TestAckNotice:
    async def test_a_position_is_kept_and_only_grows(self, client: Client) -> None:
        await recharged(client, 3)
        for given, kept in ((2, 2), (1, 2), (3, 3)):
            answer = (await client.ask(ACK, {"device": "watch", "cursor": await cursor(client, given)}))["answer"]
            assert answer == {"__typename": "AckNoticeSuccess", "cursor": await cursor(client, kept)}
        (row,) = await NoticeAck.all()
        assert client.viewer
        assert (row.user_id, row.device, row.position) == (client.viewer.user_id, "watch", 3)

    async def test_refusals_are_typed_and_nothing_changes(self, client: Client, nobody: Client) -> None:
        other = await client.another_person()
        await recharged(other, 2)
        await client.ask(ACK, {"device": "watch", "cursor": await cursor(client, 0)})
        for cursor_given in (await cursor(other, 1), await cursor(client, 1), "x"):
            answer = (await client.ask(ACK, {"device": "watch", "cursor": cursor_given}))["answer"]
            assert (answer["__typename"], answer["code"]) == ("CursorError", "CURSOR_INVALID")
            assert answer["message"] == "游标不属于这个订阅"
        answer = (await client.ask(ACK, {"device": "a b", "cursor": await cursor(client, 0)}))["answer"]
        assert (answer["__typename"], answer["code"]) == ("DeviceError", "DEVICE_INVALID")
        assert await nobody.code(ACK, {"device": "watch", "cursor": await cursor(client, 0)}) == "UNAUTHENTICATED"
        assert [(row.device, row.position) for row in await NoticeAck.all()] == [("watch", 0)]

    async def test_devices_are_bounded(self, client: Client) -> None:
        start = await cursor(client, 0)
        for number in range(20):
            await client.ask(ACK, {"device": f"device-{number}", "cursor": start})
        answer = (await client.ask(ACK, {"device": "one-more", "cursor": start}))["answer"]
        assert (answer["code"], answer["maximum"]) == ("TOO_MANY_DEVICES", 20)
        assert await NoticeAck.all().count() == 20
