"""Bad input gets a clear typed error in the caller's language, and nothing changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.pricing.operations import load_prices, load_zones
from domain.pricing.records import PriceRecord, ZoneRecord
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import Product
from models.events import Event
from models.identity import User
from models.jobs import Job
from models.orders import RechargeOrder
from models.pricing import Price
from schema.types.relay import global_id
from tests.schema.conftest import Client

BIND = """
mutation ($number: String!) {
  bindCard(input: { number: $number }) {
    __typename
    ... on BindCardSuccess { card { id maskedNumber brand } }
    ... on UserError { code message }
  }
}"""
CREATE = """
mutation ($card: ID!, $amount: Yuan!, $key: String!) {
  createRecharge(input: { cardId: $card, amount: $amount, idempotencyKey: $key }) {
    __typename
    ... on CreateRechargeSuccess { order { id state amount { fen yuan text } card { maskedNumber } } }
    ... on UserError { code message }
    ... on InvalidAmount { minimum { fen } maximum { fen } }
  }
}"""
CANCEL = """
mutation ($id: ID!) {
  cancelRecharge(input: { orderId: $id }) { __typename ... on UserError { code } }
}"""
PAY = """
mutation ($id: ID!, $key: String!) {
  payRecharge(input: { orderId: $id, idempotencyKey: $key }) { __typename ... on UserError { code } }
}"""

BY_ID = "query ($id: ID!) { station(id: $id) { id } order(id: $id) { id } node(id: $id) { id } }"


async def bind(client: Client, number: str = "1000111100000000001") -> Any:
    return (await client.ask(BIND, {"number": number}))["bindCard"]


async def create(client: Client, card: str, amount: Any = "500.00", key: str = "order-key-1") -> Any:
    return (await client.ask(CREATE, {"card": card, "amount": amount, "key": key}))["createRecharge"]


async def nothing_changed() -> bool:
    return not any([await RechargeOrder.all().count(), await Event.all().count(), await Job.all().count()])


@pytest.mark.parametrize("number", ["", "12", "1000111100000000", "900000000000000x", "9" * 5_000])
async def test_wrong_card_digits(client: Client, number: str) -> None:
    refused = await bind(client, number)
    assert (refused["__typename"], refused["code"]) == ("InvalidCardNumber", "CARD_NUMBER_INVALID")
    assert number not in refused["message"] or not number


@pytest.mark.parametrize(
    ("amount", "code", "limit"),
    [
        ("0", "AMOUNT_NOT_POSITIVE", None),
        (0, "AMOUNT_NOT_POSITIVE", None),
        ("-0.01", "AMOUNT_NOT_POSITIVE", None),
        (-500, "AMOUNT_NOT_POSITIVE", None),
        ("0.001", "AMOUNT_FRACTION_OF_FEN", None),
        (0.001, "AMOUNT_FRACTION_OF_FEN", None),
        ("0.01", "AMOUNT_TOO_SMALL", ("minimum", 1_000)),
        ("5000.01", "AMOUNT_TOO_LARGE", ("maximum", 500_000)),
        ("999999999999", "AMOUNT_TOO_LARGE", ("maximum", 500_000)),
    ],
)
async def test_amounts_that_cannot_be_recharged(
    client: Client, amount: Any, code: str, limit: tuple[str, int] | None
) -> None:
    card = (await bind(client))["card"]["id"]
    refused = await create(client, card, amount)
    assert (refused["__typename"], refused["code"]) == ("InvalidAmount", code)
    if limit:
        assert refused[limit[0]]["fen"] == limit[1]
    assert await nothing_changed()


@pytest.mark.parametrize(
    "amount", ["NaN", "Infinity", "-Infinity", "1e400", "1e3", "five", "", " 5", "5元", "９", 1e15, True, None, [], {}]
)
async def test_what_is_no_number_is_refused_by_the_scalar(client: Client, amount: Any) -> None:
    card = (await bind(client))["card"]["id"]
    answer = await client.post(CREATE, {"card": card, "amount": amount, "key": "order-key-1"})
    body = answer.json()
    assert body.get("data") is None
    assert body["errors"][0]["extensions"]["code"] in {"AMOUNT_NOT_A_NUMBER", "GRAPHQL_VALIDATION_FAILED"}
    assert await nothing_changed()


@pytest.mark.parametrize("literal", ["500", "500.00", '"500.00"', "5e2"])
async def test_amount_literals_are_read_as_written(client: Client, literal: str) -> None:
    card = (await bind(client))["card"]["id"]
    mutation = CREATE.replace("$amount: Yuan!, ", "").replace("$amount", literal)
    body = (await client.post(mutation, {"card": card, "key": "order-key-1"})).json()
    if literal == "5e2":
        assert body["errors"][0]["extensions"]["code"] == "AMOUNT_NOT_A_NUMBER"
    else:
        assert body["data"]["createRecharge"]["order"]["amount"] == {
            "fen": 50_000,
            "yuan": "500.00",
            "text": "¥500.00",
        }


async def test_messages_are_in_the_callers_language(client: Client) -> None:
    card = (await bind(client))["card"]["id"]
    variables = {"card": card, "amount": "5001", "key": "order-key-1"}
    for language, message in (
        ("zh-CN", "单笔充值不能超过¥5,000.00"),
        ("en", "The amount must be ¥5,000.00 at most"),
        ("en-GB,en;q=0.9", "The amount must be ¥5,000.00 at most"),
        ("fr", "单笔充值不能超过¥5,000.00"),
    ):
        body = (await client.post(CREATE, variables, **{"Accept-Language": language})).json()
        assert body["data"]["createRecharge"]["message"] == message


async def test_unknown_things_are_null_or_typed(client: Client) -> None:
    unknown = {name: global_id(name, new_id()) for name in ("Station", "Order", "Card", "Price", "PriceZone", "User")}
    for bad in [*unknown.values(), "", "x", "%%%", "U3RhdGlvbjox", "é" * 200]:
        data = await client.ask(BY_ID, {"id": bad})
        assert data == {"station": None, "order": None, "node": None}
    for bad in [unknown["Card"], unknown["Order"], "x"]:
        refused = await create(client, bad)
        assert (refused["__typename"], refused["code"]) == ("NotFound", "CARD_NOT_FOUND")
        for query, more in ((CANCEL, {}), (PAY, {"key": "some-key-1"})):
            (payload,) = (await client.ask(query, {"id": bad, **more})).values()
            assert (payload["__typename"], payload["code"]) == ("NotFound", "ORDER_NOT_FOUND")
    assert await nothing_changed()


async def test_another_persons_order_and_card_are_not_there(client: Client) -> None:
    card = (await bind(client))["card"]["id"]
    order = (await create(client, card))["order"]["id"]
    stranger = await client.another_person()
    data = await stranger.ask(
        "query ($o: ID!, $c: ID!) { order(id: $o) { id } o: node(id: $o) { id } c: node(id: $c) { id } }",
        {"o": order, "c": card},
    )
    assert data == {"order": None, "o": None, "c": None}
    assert (await create(stranger, card, key="other-key-1"))["code"] == "CARD_NOT_FOUND"
    assert (await stranger.ask(CANCEL, {"id": order}))["cancelRecharge"]["code"] == "ORDER_NOT_FOUND"
    assert (await stranger.ask(PAY, {"id": order, "key": "some-key-1"}))["payRecharge"]["code"] == "ORDER_NOT_FOUND"
    assert (await RechargeOrder.get()).version == 1


async def test_the_same_key_with_another_body_is_a_conflict(client: Client) -> None:
    card = (await bind(client))["card"]["id"]
    first = await create(client, card)
    assert (await create(client, card))["order"]["id"] == first["order"]["id"]
    refused = await create(client, card, "500.01")
    assert (refused["__typename"], refused["code"]) == ("IdempotencyError", "IDEMPOTENCY_CONFLICT")
    refused = await create(client, card, key="short")
    assert (refused["__typename"], refused["code"]) == ("IdempotencyError", "IDEMPOTENCY_KEY_INVALID")
    assert await RechargeOrder.all().count() == 1


@pytest.mark.parametrize("mutation", [BIND, CREATE, PAY, CANCEL])
async def test_nobody_can_do_anything(nobody: Client, mutation: str) -> None:
    given = {"number": "9012345678901234", "card": "x", "amount": "500", "key": "some-key-1", "id": "x"}
    variables = {name: value for name, value in given.items() if f"${name}" in mutation}
    assert await nobody.code(mutation, variables) == "UNAUTHENTICATED"
    assert await nothing_changed()


async def test_somebody_whose_account_is_gone_must_sign_in_again(client: Client) -> None:
    assert client.viewer is not None
    await User.filter(id=client.viewer.user_id).delete()
    assert await client.code(BIND, {"number": "9012345678901234"}) == "UNAUTHENTICATED"
    assert await client.ask("{ viewer { profile { id } } }") == {"viewer": None}
    assert await nothing_changed()


async def test_nobody_is_nobody(nobody: Client) -> None:
    assert await nobody.ask("{ viewer { profile { id } } }") == {"viewer": None}
    assert await nobody.code('{ order(id: "x") { id } }') == "UNAUTHENTICATED"


async def test_expired_and_foreign_tokens_are_refused_before_anything_runs(client: Client) -> None:
    foreign = client.token(token_issuer="somebody-else")
    expired = client.token(lifetime=timedelta(seconds=-60))
    for token, code in ((expired, "TOKEN_EXPIRED"), (foreign, "TOKEN_INVALID"), ("x", "TOKEN_INVALID")):
        answer = await client.post(BIND, {"number": "9012345678901234"}, Authorization=f"Bearer {token}")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["errors"][0]["extensions"]["code"] == code
    assert (await client.ask("{ viewer { cards { edges { cursor } } } }"))["viewer"]["cards"]["edges"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ viewer { orders(first: 0) { edges { cursor } } } }", "PAGE_SIZE_INVALID"),
        ("{ viewer { orders(first: 101) { edges { cursor } } } }", "PAGE_SIZE_INVALID"),
        ("{ viewer { cards(first: -1) { edges { cursor } } } }", "PAGE_SIZE_INVALID"),
        ('{ viewer { orders(after: "x") { edges { cursor } } } }', "CURSOR_INVALID"),
        ('{ viewer { orders(after: "WzFd") { edges { cursor } } } }', "CURSOR_INVALID"),
        ("{ stations(first: 101) { edges { cursor } } }", "PAGE_SIZE_INVALID"),
        ("{ stations(near: {latitude: 91, longitude: 0}) { edges { cursor } } }", "LOCATION_INVALID"),
        ("{ stations(near: {latitude: 0, longitude: 0}, radius: 0) { edges { cursor } } }", "RADIUS_INVALID"),
        ("{ stations(near: {latitude: 0, longitude: 0}, sort: PRICE) { edges { cursor } } }", "PRODUCT_REQUIRED"),
        ("{ stations(near: {latitude: 1e400, longitude: 0}) { edges { cursor } } }", "LOCATION_INVALID"),
    ],
)
async def test_arguments_out_of_range(client: Client, query: str, code: str) -> None:
    assert await client.code(query) == code


@pytest.mark.parametrize(
    "query",
    [
        "query ($v: Int) { stations(first: $v) { edges { cursor } } }",
        "query ($v: Int) { stations(radius: $v) { edges { cursor } } }",
        "query ($v: StationSort) { stations(sort: $v) { edges { cursor } } }",
        "query ($v: Int) { viewer { orders(first: $v) { edges { cursor } } } }",
        "query ($v: Boolean = true) { viewer { profile @include(if: $v) { id } } }",
    ],
)
async def test_a_null_where_only_a_default_was_allowed_is_the_clients_mistake(
    client: Client, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Such a query is valid, so that only its execution finds the null."""
    assert await client.code(query, {"v": None}) == "GRAPHQL_VALIDATION_FAILED"
    assert "errors" not in (await client.post(query)).json()
    assert not caplog.records


@pytest.mark.parametrize(
    ("query", "chinese", "english"),
    [
        ('{ order(id: "x") { id } }', "请先登录", "Sign in first"),
        ("{ stations(first: 0) { edges { cursor } } }", "first须在1至100之间", "first must be from 1 to 100"),
        ('{ prices(after: "x") { edges { cursor } } }', "游标不属于这个列表", "The cursor is not one of this list"),
        (
            CREATE.replace("$amount: Yuan!, ", "").replace("$amount", '"five"'),
            "金额须为以元为单位的普通十进制数，如500.00：最多12位整数和6位小数",
            "The amount must be a plain decimal in yuan, such as 500.00: at most 12 digits and 6 decimal places",
        ),
    ],
)
async def test_errors_without_a_payload_are_in_the_callers_language(
    nobody: Client, query: str, chinese: str, english: str
) -> None:
    # The second round takes the document from the cache, whatever the language was then.
    for language, message in (("zh-CN", chinese), ("en", english), ("zh-CN", chinese)):
        answer = await nobody.post(query, {"card": "x", "key": "some-key-1"}, **{"Accept-Language": language})
        assert answer.json()["errors"][0]["message"] == message


async def test_a_price_that_is_yet_to_come_is_not_there(client: Client) -> None:
    await load_zones(zones=[ZoneRecord("310000", "上海市", "default", "默认价区")])
    record = PriceRecord("310000", "default", Product.GASOLINE_92, 8_460, "发改委", "https://example.com/notice")
    for days, is_there in ((-1, True), (1, False)):
        moment = utc_now() + timedelta(days=days)
        await load_prices(prices=[record], effective_from=moment, clock=utc_now)
        price = await Price.get(effective_from=moment)
        found = (await client.ask(BY_ID, {"id": global_id("Price", price.id)}))["node"]
        assert (found is not None) is is_there
