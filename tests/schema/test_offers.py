"""Offers, and the orders and drafts that take them, as clients see them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from domain.offers import operations as offers
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import CardBrand
from models.offers import Offer, OfferReservation
from models.orders import RechargeOrder
from schema.types.relay import global_id
from tests.audits import assert_audits_find_nothing
from tests.factories import create_offer
from tests.schema.conftest import Client
from tests.schema.support import (
    LANGUAGES,
    NODE,
    ORDER,
    ask,
    assert_message_is_whole,
    bind_card,
    order,
    refused,
    trace,
)

OFFERS = """
query ($first: Int!, $after: String) {
  offers(first: $first, after: $after) {
    edges { cursor node { id title brand amount { fen } price { fen } stockLeft perUserMax startsAt endsAt } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}"""
SYNC = """
mutation ($drafts: [DraftOrderInput!]!) {
  answer: syncDraftOrders(input: { drafts: $drafts }) {
    __typename
    ... on SyncDraftOrdersSuccess {
      results {
        clientId
        order { id amount { fen } price { fen } }
        error { __typename code message ... on PriceChangedError { price { fen } } }
      }
    }
    ... on UserError { code message }
    ... on LimitReached { maximum }
  }
}"""


def id_of(offer: Offer) -> str:
    return str(global_id("Offer", offer.id))


def draft(card: str, client_id: str = "draft-0001", **changes: Any) -> dict[str, Any]:
    return {"clientId": client_id, "cardId": card, "quotedPrice": "100.00", "amount": "100.00", **changes}


async def sync(client: Client, *drafts: dict[str, Any]) -> list[Any]:
    answer = await ask(client, SYNC, drafts=list(drafts))
    assert answer["__typename"] == "SyncDraftOrdersSuccess", answer
    return list(answer["results"])


class TestList:
    async def test_pages_hold_every_offer_that_can_be_taken_once_and_newest_first(self, nobody: Client) -> None:
        made = [await create_offer(title=f"第{number}个") for number in range(5)]
        seen: list[str] = []
        after = None
        for size, more in ((2, True), (2, True), (1, False)):
            page = (await nobody.ask(OFFERS, {"first": 2, "after": after}))["offers"]
            assert len(page["edges"]) == size
            assert page["pageInfo"]["hasNextPage"] is more
            assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
            seen += [edge["node"]["title"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            # One that is made meanwhile does not move what is still to be read.
            await create_offer(title="后来")
        assert seen == [offer.title for offer in reversed(made)]

    async def test_what_cannot_be_taken_now_is_not_listed_but_is_found_by_its_id(self, client: Client) -> None:
        now, hour = utc_now(), timedelta(hours=1)
        open_offer = await create_offer(brand=CardBrand.SINOPEC, stock=1)
        others = [
            await create_offer(starts_at=now - 2 * hour, ends_at=now - hour),
            await create_offer(starts_at=now + hour, ends_at=now + 2 * hour),
        ]
        (edge,) = (await client.ask(OFFERS, {"first": 10}))["offers"]["edges"]
        assert edge["node"] == {
            "id": id_of(open_offer),
            "title": "满减",
            "brand": "SINOPEC",
            "amount": {"fen": 50_000},
            "price": {"fen": 49_000},
            "stockLeft": 1,
            "perUserMax": 1,
            "startsAt": shown(now - hour, open_offer.starts_at),
            "endsAt": shown(now + hour, open_offer.ends_at),
        }
        await order(client, await bind_card(client), offer=id_of(open_offer))
        assert (await client.ask(OFFERS, {"first": 10}))["offers"]["edges"] == []
        for offer in (open_offer, *others):
            found = (await client.ask(NODE, {"id": id_of(offer)}))["node"]
            assert found == {"__typename": "Offer", "id": id_of(offer)}

    async def test_a_cursor_of_another_list_is_refused(self, nobody: Client) -> None:
        assert await nobody.code(OFFERS, {"first": 2, "after": "WzFd"}) == "CURSOR_INVALID"
        assert await nobody.code(OFFERS, {"first": 101}) == "PAGE_SIZE_INVALID"


def shown(about: Any, moment: Any) -> str:
    """Return a time as clients see it, having checked that it is the one meant."""
    assert abs(about - moment) < timedelta(minutes=1)
    return str(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


class TestOrdering:
    async def test_the_offers_price_is_paid_for_the_offers_amount(self, client: Client) -> None:
        offer = await create_offer(stock=3, per_user_max=3)
        card = await bind_card(client)
        first = await order(client, card, offer=id_of(offer))
        assert (first["amount"], first["price"]) == ({"fen": 50_000}, {"fen": 49_000})
        assert first["offer"] == {"id": id_of(offer), "stockLeft": 2}
        named = await order(client, card, key="order-key-2", offer=id_of(offer), amount="500.00")
        again = await order(client, card, key="order-key-2", offer=id_of(offer), amount="500.00")
        assert again["id"] == named["id"] != first["id"]
        assert (await Offer.get()).stock_left == 1
        await assert_audits_find_nothing()

    async def test_an_offer_is_refused_with_the_reason(self, client: Client) -> None:
        card, now, hour = await bind_card(client), utc_now(), timedelta(hours=1)
        refusals = {
            "OFFER_NOT_OPEN": await create_offer(starts_at=now + hour, ends_at=now + 2 * hour),
            "OFFER_NOT_FOR_CARD": await create_offer(brand=CardBrand.PETROCHINA),
            "OFFER_SOLD_OUT": await create_offer(stock=1),
            "OFFER_TAKEN_ALREADY": await create_offer(stock=9, per_user_max=1),
        }
        other = await client.another_person()
        await order(other, await bind_card(other), offer=id_of(refusals["OFFER_SOLD_OUT"]))
        await order(client, card, offer=id_of(refusals["OFFER_TAKEN_ALREADY"]))
        before = [await trace(), await OfferReservation.all().count()]
        for code, offer in refusals.items():
            answer = await refused(client, ORDER, card=card, key="order-key-2", offer=id_of(offer))
            assert answer == ("OfferError", code)
        assert [await trace(), await OfferReservation.all().count()] == before

    async def test_an_amount_is_the_offers_or_is_missing(self, client: Client) -> None:
        card, offer = await bind_card(client), await create_offer(amount_fen=50_000)
        other = {"card": card, "key": "order-key-1", "offer": id_of(offer), "amount": "400.00"}
        assert await refused(client, ORDER, **other) == ("InvalidAmount", "AMOUNT_NOT_OFFERED")
        answer = await ask(client, ORDER, **other)
        assert (answer["minimum"], answer["maximum"]) == ({"fen": 50_000}, {"fen": 50_000})
        missing = await refused(client, ORDER, card=card, key="order-key-1")
        assert missing == ("InvalidAmount", "AMOUNT_MISSING")
        assert await RechargeOrder.all().count() == 0

    async def test_what_is_no_offer_is_never_an_order_without_one(self, client: Client) -> None:
        card = await bind_card(client)
        for bad in (global_id("Offer", new_id()), card, "x", ""):
            answer = await refused(client, ORDER, card=card, key="order-key-1", offer=bad, amount="500.00")
            assert answer == ("NotFound", "OFFER_NOT_FOUND")
        assert await RechargeOrder.all().count() == 0

    async def test_the_last_piece_goes_to_one_of_many_who_ask_at_once(self, client: Client) -> None:
        offer = await create_offer(stock=1)
        people = [await client.another_person() for _ in range(8)]
        cards = [await bind_card(person) for person in people]
        answers = await asyncio.gather(
            *(
                ask(person, ORDER, card=card, key="order-key-1", offer=id_of(offer))
                for person, card in zip(people, cards, strict=True)
            )
        )
        assert sorted(each["__typename"] for each in answers) == ["CreateRechargeSuccess", *["OfferError"] * 7]
        assert {each.get("code") for each in answers} == {None, "OFFER_SOLD_OUT"}
        await assert_audits_find_nothing()


class TestDrafts:
    async def test_a_draft_becomes_one_order_however_often_it_is_synced(self, client: Client) -> None:
        card = await bind_card(client)
        drafts = [draft(card), draft(card, "draft-0002")]
        first = [result["order"]["id"] for result in await sync(client, *drafts)]
        again = await asyncio.gather(*(sync(client, *drafts) for _ in range(4)))
        assert all([result["order"]["id"] for result in results] == first for results in again)
        assert await RechargeOrder.all().count() == len(set(first)) == 2

    async def test_the_same_client_id_twice_in_one_sync_is_one_order_or_a_conflict(self, client: Client) -> None:
        card = await bind_card(client)
        dearer = draft(card, amount="200.00", quotedPrice="200.00")
        one, same, other = await sync(client, draft(card), draft(card), dearer)
        assert one["order"]["id"] == same["order"]["id"]
        assert (other["order"], other["error"]["__typename"]) == (None, "IdempotencyError")
        assert other["error"]["code"] == "IDEMPOTENCY_CONFLICT"
        assert await RechargeOrder.all().count() == 1

    async def test_a_price_that_has_changed_is_told_in_the_callers_language(self, client: Client) -> None:
        card, offer = await bind_card(client), await create_offer(amount_fen=10_000, price_fen=9_900)
        stale = {**draft(card, quotedPrice="98.00"), "offerId": id_of(offer), "amount": None}
        messages = []
        for language in LANGUAGES:
            answer = await client.post(SYNC, {"drafts": [stale]}, **{"Accept-Language": language})
            (result,) = answer.json()["data"]["answer"]["results"]
            assert result["order"] is None
            assert (result["error"]["__typename"], result["error"]["code"]) == ("PriceChangedError", "PRICE_CHANGED")
            assert result["error"]["price"] == {"fen": 9_900}
            assert "¥99.00" in result["error"]["message"]
            messages.append(result["error"]["message"])
        assert_message_is_whole(*messages)
        assert await RechargeOrder.all().count() == await OfferReservation.all().count() == 0
        (confirmed,) = await sync(client, {**stale, "quotedPrice": "99.00"})
        assert (confirmed["error"], confirmed["order"]["price"]) == (None, {"fen": 9_900})

    async def test_each_draft_stands_for_itself(self, client: Client) -> None:
        stranger = await client.another_person()
        card, theirs = await bind_card(client), await bind_card(stranger)
        sold_out = await create_offer(stock=1)
        await order(stranger, theirs, offer=id_of(sold_out))
        results = await sync(
            client,
            draft(card, "draft-0001"),
            draft(theirs, "draft-0002"),
            draft(card, "draft-0003", amount="1.00", quotedPrice="1.00"),
            draft(card, "short"),
            draft(card, "draft-0005", offerId=id_of(sold_out), amount=None, quotedPrice="490.00"),
            draft(card, "draft-0006", quotedPrice="100.01"),
            draft(card, "draft-0007", quotedPrice="0.001"),
            draft(card, "draft-0008"),
        )
        assert [result["clientId"] for result in results][3:5] == ["short", "draft-0005"]
        assert [result["error"] and (result["error"]["__typename"], result["error"]["code"]) for result in results] == [
            None,
            ("NotFound", "CARD_NOT_FOUND"),
            ("InvalidAmount", "AMOUNT_TOO_SMALL"),
            ("IdempotencyError", "IDEMPOTENCY_KEY_INVALID"),
            ("OfferError", "OFFER_SOLD_OUT"),
            ("PriceChangedError", "PRICE_CHANGED"),
            ("InvalidAmount", "AMOUNT_FRACTION_OF_FEN"),
            None,
        ]
        assert [result["order"] is not None for result in results] == [True, *[False] * 6, True]
        assert await RechargeOrder.all().count() == 3

    async def test_too_many_drafts_are_not_looked_at(self, client: Client) -> None:
        card = await bind_card(client)
        drafts = [draft(card, f"draft-{number:04d}") for number in range(21)]
        assert await refused(client, SYNC, drafts=drafts) == ("LimitReached", "TOO_MANY_DRAFTS")
        assert (await ask(client, SYNC, drafts=drafts))["maximum"] == 20
        assert await RechargeOrder.all().count() == 0
        assert await sync(client) == []

    async def test_more_drafts_than_unpaid_orders_are_allowed_are_refused_one_by_one(self, client: Client) -> None:
        card = await bind_card(client)
        results = await sync(client, *(draft(card, f"draft-{number:04d}") for number in range(7)))
        assert [result["order"] is not None for result in results] == [True] * 5 + [False] * 2
        assert {result["error"]["code"] for result in results[5:]} == {"TOO_MANY_UNPAID_ORDERS"}

    async def test_drafts_and_orders_have_keys_of_their_own(self, client: Client) -> None:
        card = await bind_card(client)
        made = await order(client, card, key="draft-0001", amount="100.00")
        (synced,) = await sync(client, draft(card, "draft-0001"))
        assert synced["order"]["id"] != made["id"]

    async def test_nobody_syncs_nothing(self, nobody: Client, client: Client) -> None:
        drafts = [draft(await bind_card(client))]
        assert await nobody.code(SYNC, {"drafts": drafts}) == "UNAUTHENTICATED"
        assert await RechargeOrder.all().count() == 0


async def test_released_pieces_are_listed_again(client: Client) -> None:
    offer = await create_offer(stock=1)
    made = await order(client, await bind_card(client), offer=id_of(offer))
    assert (await client.ask(OFFERS, {"first": 10}))["offers"]["edges"] == []
    cancel = "mutation ($id: ID!) { answer: cancelRecharge(input: { orderId: $id }) { __typename } }"
    assert (await ask(client, cancel, id=made["id"]))["__typename"] == "CancelRechargeSuccess"
    await offers.release(order_id=(await RechargeOrder.get()).id, now=utc_now())
    (edge,) = (await client.ask(OFFERS, {"first": 10}))["offers"]["edges"]
    assert edge["node"]["stockLeft"] == 1
