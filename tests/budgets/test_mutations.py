"""Mutations that somebody asks for too often are answered with a typed error, and change nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from kernel.clock import utc_now
from models.cards import FuelCard
from models.messages import SmsCode
from models.orders import RechargeOrder
from schema import root
from schema.types.budgets import budget_of
from tests.budgets.conftest import Opening
from tests.factories import PETROCHINA_NUMBER
from tests.schema.conftest import Client
from tests.schema.support import LANGUAGES, ORDER, PAY, TOP_UP, ask, assert_message_is_whole, bind_card, order, trace
from tests.schema.test_voice import TURN, propose

# None comes back while a test runs.
MONEY = {"money_refill_s": 1_000.0}
RETRY = """
mutation ($card: ID!, $key: String!) {
  answer: createRecharge(input: { cardId: $card, amount: "500.00", idempotencyKey: $key }) {
    __typename
    ... on UserError { code message spoken(maxChars: 80) }
    ... on RateLimitedError { retryAt }
  }
}"""
CHECK = """
mutation ($card: ID!) {
  answer: checkCard(input: { cardId: $card }) { __typename ... on UserError { code } }
}"""
SMS = """
mutation ($phone: String!) {
  answer: requestSmsCode(input: { phone: $phone }) { __typename ... on UserError { code } }
}"""


async def ordering(client: Client, card: str, count: int, *, start: int = 0) -> list[str]:
    answers = [await ask(client, RETRY, card=card, key=f"order-key-{start + n}") for n in range(count)]
    return [answer["__typename"] for answer in answers]


class TestMoney:
    async def test_a_card_is_recharged_so_often_only(self, opening: Opening) -> None:
        client = await opening(money_per_card_max=2, **MONEY)
        card, other = await bind_card(client), await bind_card(client, PETROCHINA_NUMBER)
        assert await ordering(client, card, 2) == ["CreateRechargeSuccess"] * 2
        before = await trace()
        now = utc_now()
        answers = {}
        for language in LANGUAGES:
            asking = Client(
                client.http, client.settings, client.viewer, {**client.headers, "Accept-Language": language}
            )
            answers[language] = await ask(asking, RETRY, card=card, key="order-key-9")
            assert answers[language]["__typename"] == "RateLimitedError"
            assert answers[language]["code"] == "BUDGET_SPENT"
        assert_message_is_whole(answers["zh-CN"]["message"], answers["en"]["message"])
        retry_at = datetime.fromisoformat(answers["en"]["retryAt"])
        assert now + timedelta(seconds=900) < retry_at < now + timedelta(seconds=1_100)
        assert await trace() == before
        # The refusals have taken nothing of the user's, whose other card is recharged.
        assert await ordering(client, other, 1, start=20) == ["CreateRechargeSuccess"]

    async def test_the_budget_holds_beside_each_other(self, opening: Opening) -> None:
        client = await opening(money_per_user_max=4, unpaid_orders_per_user_max=50, **MONEY)
        card = await bind_card(client)
        answers = await asyncio.gather(*(ask(client, RETRY, card=card, key=f"order-key-{n}") for n in range(12)))
        assert sum(each["__typename"] == "CreateRechargeSuccess" for each in answers) == 4
        assert await RechargeOrder.all().count() == 4

    async def test_ordering_paying_and_filling_the_wallet_are_one_budget(self, opening: Opening) -> None:
        client = await opening(money_per_user_max=3, **MONEY)
        made = await order(client, await bind_card(client))
        assert (await ask(client, PAY, order=made["id"], key="pay-key-1"))["__typename"] == "PayRechargeSuccess"
        assert (await ask(client, TOP_UP, amount="100.00", key="top-up-key-1"))["__typename"] == "TopUpWalletSuccess"
        before = await trace()
        for text, variables in (
            (PAY, {"order": made["id"], "key": "pay-key-1"}),
            (TOP_UP, {"amount": "100.00", "key": "top-up-key-2"}),
            (ORDER, {"card": "x", "key": "order-key-3", "amount": "500.00"}),
        ):
            assert (await ask(client, text, **variables))["__typename"] == "RateLimitedError"
        assert await trace() == before

    async def test_somebody_else_is_not_touched(self, opening: Opening) -> None:
        client = await opening(money_per_user_max=1, **MONEY)
        assert await ordering(client, await bind_card(client), 2) == ["CreateRechargeSuccess", "RateLimitedError"]
        other = await client.another_person()
        assert await ordering(other, await bind_card(other), 1) == ["CreateRechargeSuccess"]

    async def test_time_gives_it_back(self, opening: Opening) -> None:
        client = await opening(money_per_user_max=1, money_refill_s=0.2)
        card = await bind_card(client)
        assert await ordering(client, card, 1) == ["CreateRechargeSuccess"]
        await asyncio.sleep(0.25)
        assert await ordering(client, card, 1, start=5) == ["CreateRechargeSuccess"]

    async def test_a_recharge_by_voice_takes_of_it_as_well(self, opening: Opening) -> None:
        client = await opening(money_per_card_max=1, **MONEY)
        card = await bind_card(client)
        token = await propose(client)
        assert await ordering(client, card, 1) == ["CreateRechargeSuccess"]
        before = await trace()
        answer = await ask(client, TURN, said="确认", session="session-1", token=token)
        assert (answer["__typename"], answer["code"]) == ("RateLimitedError", "BUDGET_SPENT")
        assert await trace() == before


class TestOthers:
    async def test_issuers_are_asked_so_often_only(self, opening: Opening) -> None:
        client = await opening(contact_per_user_max=2, contact_refill_s=1_000.0, card_check_interval_s=1.0)
        card = await bind_card(client)
        await ask(client, CHECK, card=card)
        checked = (await FuelCard.get()).checked_at
        await ask(client, CHECK, card=card)
        answer = await ask(client, CHECK, card=card)
        assert (answer["__typename"], answer["code"]) == ("RateLimitedError", "BUDGET_SPENT")
        assert (await FuelCard.get()).checked_at == checked

    async def test_codes_are_sent_so_often_only(self, opening: Opening) -> None:
        client = await opening(contact_per_user_max=1, contact_refill_s=1_000.0)
        await ask(client, SMS, phone="13800138000")
        sent = await SmsCode.all().count()
        assert (await ask(client, SMS, phone="13800138001"))["__typename"] == "RateLimitedError"
        assert await SmsCode.all().count() == sent

    async def test_without_a_user_the_address_talks(self, opening: Opening) -> None:
        client = await opening(voice_per_user_max=3, voice_refill_s=1_000.0)
        nobody = Client(client.http, client.settings)
        said: dict[str, Any] = {"said": "帮助", "session": "session-1"}
        answers = [(await ask(nobody, TURN, **said))["__typename"] for _ in range(4)]
        assert answers == ["VoiceTurnSuccess"] * 3 + ["RateLimitedError"]
        assert (await ask(client, TURN, **said))["__typename"] == "VoiceTurnSuccess"

    async def test_who_may_not_do_it_takes_nothing(self, opening: Opening) -> None:
        client = await opening(money_per_user_max=1, **MONEY)
        nobody = Client(client.http, client.settings)
        for _ in range(3):
            assert await nobody.code(ORDER, {"card": "x", "key": "order-key-1"}) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "name",
    [
        "createRecharge", "payRecharge", "topUpWallet", "syncDraftOrders", "createMandate", "checkCard",
        "startFaceCheck", "bindPhone", "requestSmsCode", "confirmPhone", "voiceTurn", "sendTestWebhook",
    ],
)  # fmt: skip
def test_what_moves_money_or_asks_a_third_party_has_a_budget(name: str) -> None:
    mutations = root.build().core.mutation_type
    assert mutations is not None
    assert budget_of(mutations.fields[name]) is not None
