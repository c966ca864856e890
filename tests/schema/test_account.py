"""What belongs to the viewer: profile, wallet, cards, and orders in pages."""

from __future__ import annotations

from typing import Any

from kernel.states import OrderState
from models.orders import RechargeOrder
from tests.schema.conftest import Client
from tests.schema.test_bad_input import CANCEL, bind, create

ORDERS = """
query ($first: Int!, $after: String, $state: OrderState) {
  viewer {
    orders(first: $first, after: $after, state: $state) {
      edges { cursor node { id state amount { fen } card { id maskedNumber } } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}"""


async def orders(client: Client, **variables: Any) -> Any:
    return (await client.ask(ORDERS, {"first": 2, **variables}))["viewer"]["orders"]


async def test_a_new_person_has_an_empty_wallet(client: Client) -> None:
    data = await client.ask("{ viewer { profile { id displayName registeredAt } wallet { balance { fen text } } } }")
    assert data["viewer"]["wallet"]["balance"] == {"fen": 0, "text": "¥0.00"}
    profile = data["viewer"]["profile"]
    assert profile["registeredAt"].endswith("Z")
    again = "query ($id: ID!) { node(id: $id) { ... on Profile { id displayName registeredAt } } }"
    assert (await client.ask(again, {"id": profile["id"]}))["node"] == profile
    stranger = await client.another_person()
    assert (await stranger.ask(again, {"id": profile["id"]}))["node"] is None


async def test_cards_are_shown_masked(client: Client) -> None:
    first, second = await bind(client), await bind(client, "9012 3456 7890 1234")
    assert (await bind(client))["card"] == first["card"]
    data = await client.ask("{ viewer { cards { edges { node { id brand maskedNumber } } } } }")
    cards = [edge["node"] for edge in data["viewer"]["cards"]["edges"]]
    assert cards == [second["card"], first["card"]]
    assert [card["maskedNumber"] for card in cards] == ["**** 1234", "**** 0001"]


async def test_pages_of_orders_are_whole_and_newest_first(client: Client) -> None:
    card = (await bind(client))["card"]["id"]
    made = [(await create(client, card, f"{10 + n}.00", f"order-key-{n}"))["order"]["id"] for n in range(5)]
    seen: list[str] = []
    after = None
    for expected_more in (True, True, False):
        page = await orders(client, after=after)
        seen += [edge["node"]["id"] for edge in page["edges"]]
        assert page["pageInfo"]["hasNextPage"] is expected_more
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        after = page["pageInfo"]["endCursor"]
    assert seen == made[::-1]
    # An order made meanwhile does not move what was already read.
    await client.ask(CANCEL, {"id": made[0]})
    await create(client, card, "99.00", "order-key-new")
    page = await orders(client, after=after)
    assert page == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None},
    }


async def test_orders_can_be_asked_for_by_state(client: Client) -> None:
    card = (await bind(client))["card"]["id"]
    kept = (await create(client, card, key="order-key-1"))["order"]["id"]
    cancelled = (await create(client, card, key="order-key-2"))["order"]["id"]
    await client.ask(CANCEL, {"id": cancelled})
    for state, expected in (("PENDING_PAYMENT", [kept]), ("FAILED", [cancelled]), ("SUCCEEDED", [])):
        page = await orders(client, state=state)
        assert [edge["node"]["id"] for edge in page["edges"]] == expected
    assert await RechargeOrder.filter(state=OrderState.FAILED).count() == 1


async def test_every_object_is_found_again_by_its_id(client: Client) -> None:
    card = (await bind(client))["card"]["id"]
    order = (await create(client, card))["order"]["id"]
    data = await client.ask(
        "query ($o: ID!, $c: ID!) {"
        " o: node(id: $o) { __typename id ... on Order { card { id } } } c: node(id: $c) { __typename id } }",
        {"o": order, "c": card},
    )
    assert data["o"] == {"__typename": "Order", "id": order, "card": {"id": card}}
    assert data["c"] == {"__typename": "Card", "id": card}
