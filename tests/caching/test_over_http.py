"""Kept answers as a client and the caches on the way to it see them, asked of the whole application."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tortoise import Tortoise

from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import Product
from models.pricing import Price, PriceZone
from subscriptions import keeping
from tests.schema.conftest import Client, client, nobody  # noqa: F401 -- fixtures.

ACCOUNT = """query Account($first: Int!) { viewer { profile { displayName } wallet { balance { fen } held { fen } }
  cards { edges { node { id maskedNumber } } } orders(first: $first) { edges { node { id state refundState } } } } }"""
PRICES = "query Prices { prices(first: 5) { edges { node { id unitPrice { text } zone { name } } } } }"
BIND = """mutation Bind($input: BindCardInput!) { bindCard(input: $input) { __typename
  ... on BindCardSuccess { card { id } } } }"""
CREATE = """mutation Create($input: CreateRechargeInput!) { createRecharge(input: $input) { __typename
  ... on CreateRechargeSuccess { order { id } } } }"""
CANCEL = "mutation Cancel($input: CancelRechargeInput!) { cancelRecharge(input: $input) { __typename } }"
UNBIND = "mutation Unbind($input: UnbindCardInput!) { unbindCard(input: $input) { __typename } }"


class Lookups:
    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> dict[str, float]:
        return {each: keeping.LOOKUPS.labels(each)._value.get() for each in ("hit", "miss", "joined")}

    def since(self) -> dict[str, float]:
        before, self._before = self._before, self._now()
        return {name: value - before[name] for name, value in self._before.items() if value != before[name]}


@pytest.fixture
def lookups() -> Lookups:
    return Lookups()


async def fresh(asking: Client, text: str, variables: dict[str, Any] | None = None) -> Any:
    """Ask the same in words that nobody has used, which nothing that is kept can answer."""
    return await asking.ask(f"{text} # {uuid4().hex}", variables)


async def account(asking: Client) -> Any:
    """Return what is shown, which has to be what is true."""
    shown = await asking.ask(ACCOUNT, {"first": 20})
    assert shown == await fresh(asking, ACCOUNT, {"first": 20})
    return shown["viewer"]


async def create_price() -> None:
    zone = await PriceZone.create(
        id=new_id(), province_code="310000", province_name="上海市", code=uuid4().hex[:8], name="一价区"
    )
    now = utc_now()
    await Price.create(
        id=new_id(), zone_id=zone.id, product=Product.GASOLINE_92, milliyuan_per_litre=8_460, effective_from=now,
        source="s", source_url="u", created_at=now, updated_at=now,
    )  # fmt: skip


async def test_what_a_client_does_it_sees_at_once(client: Client, lookups: Lookups) -> None:  # noqa: F811
    before = await account(client)
    lookups.since()
    assert await account(client) == before
    assert lookups.since() == {"hit": 1, "miss": 1}
    number = "1000111100000000004"
    bound = (await client.ask(BIND, {"input": {"number": number}}))["bindCard"]
    assert bound["__typename"] == "BindCardSuccess", bound
    assert len((await account(client))["cards"]["edges"]) == 1
    order = {"cardId": bound["card"]["id"], "amount": "100.00", "idempotencyKey": uuid4().hex}
    made = (await client.ask(CREATE, {"input": order}))["createRecharge"]["order"]
    (edge,) = (await account(client))["orders"]["edges"]
    assert edge["node"]["state"] == "PENDING_PAYMENT"
    await client.ask(CANCEL, {"input": {"orderId": made["id"]}})
    (edge,) = (await account(client))["orders"]["edges"]
    assert edge["node"]["state"] == "FAILED"
    # What is somebody else's stays theirs.
    other = await client.another_person()
    assert (await account(other))["cards"]["edges"] == []
    await client.ask(BIND, {"input": {"number": number}})
    lookups.since()
    await other.ask(ACCOUNT, {"first": 20})
    assert lookups.since() == {"hit": 1}


async def test_a_request_in_the_same_letters_costs_what_it_did(nobody: Client, lookups: Lookups) -> None:  # noqa: F811
    await create_price()
    first, second = await nobody.post(PRICES), await nobody.post(PRICES)
    assert lookups.since() == {"miss": 1, "hit": 1}
    costs = [each.json()["extensions"]["cost"] for each in (first, second)]
    for name in ("requested", "fieldCost", "typeCost", "actual", "limit"):
        assert costs[0][name] == costs[1][name], name
    assert costs[1]["remaining"] <= costs[0]["remaining"]
    assert first.json()["data"] == second.json()["data"]
    assert first.headers["content-type"] == second.headers["content-type"]
    assert second.headers["cache-control"] == "no-store"
    assert "etag" not in second.headers
    assert "ratelimit" in second.headers
    await create_price()
    assert len((await nobody.ask(PRICES))["prices"]["edges"]) == 2


async def get(asking: Client, query: str, **headers: str) -> httpx.Response:
    return await asking.http.get("/graphql", params={"query": query}, headers={**asking.headers, **headers})


async def test_what_everybody_sees_may_be_kept_on_the_way(nobody: Client) -> None:  # noqa: F811
    await create_price()
    first = await get(nobody, PRICES)
    assert first.status_code == 200
    control = first.headers["cache-control"]
    assert control.startswith("public, max-age=")
    assert 55 <= int(control.rpartition("=")[2]) <= 60
    # One client's bucket is nothing to tell another.
    assert "ratelimit" not in first.headers
    assert "extensions" not in first.json()
    assert {"accept", "accept-language", "authorization"} <= set(first.headers["vary"].split(", "))
    tag = first.headers["etag"]
    for sent in (tag, f'"other", W/{tag}', "*"):
        again = await get(nobody, PRICES, **{"if-none-match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"].startswith("public, max-age=")
    assert (await get(nobody, PRICES, **{"if-none-match": '"other"'})).status_code == 200
    await create_price()
    changed = await get(nobody, PRICES, **{"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


async def test_what_is_somebodys_own_is_kept_by_them_alone_and_asked_for_each_time(client: Client) -> None:  # noqa: F811
    query = "{ viewer { profile { displayName } } }"
    mine = await get(client, query)
    assert mine.headers["cache-control"] == "private, no-cache"
    assert "ratelimit" in mine.headers
    assert (await get(client, query, **{"if-none-match": mine.headers["etag"]})).status_code == 304
    prices = await get(client, PRICES)
    assert prices.headers["cache-control"].startswith("private, max-age=")


async def test_what_may_not_be_kept_says_so(client: Client) -> None:  # noqa: F811
    for query in ("{ viewer { hasPaymentPassword } }", "{ __typename }", "{ nothing }"):
        answer = await get(client, query)
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


async def test_an_ended_session_gets_nothing_that_is_kept(client: Client) -> None:  # noqa: F811
    await account(client)
    refused = await client.post(ACCOUNT, {"first": 20}, Authorization="Bearer nonsense")
    assert refused.status_code == 401
    anonymous = await client.http.post("/graphql", json={"query": ACCOUNT, "variables": {"first": 20}})
    assert anonymous.json()["data"] == {"viewer": None}


async def test_a_deprecated_or_a_refused_request_is_looked_at_each_time(nobody: Client, lookups: Lookups) -> None:  # noqa: F811
    wrong = {"query": PRICES, "variables": [], "operationName": "Prices"}
    for _ in range(2):
        assert (await nobody.http.post("/graphql", json=wrong)).status_code == 400
    assert lookups.since() == {}
    plain = await nobody.http.post(
        "/graphql", content=json.dumps({"query": PRICES}), headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 415


async def test_a_statement_of_whoever_is_heard_of(client: Client) -> None:  # noqa: F811
    await account(client)
    await Tortoise.get_connection("default").execute_script("UPDATE user_account SET display_name = 'by hand'")
    assert (await account(client))["profile"]["displayName"] == "by hand"
