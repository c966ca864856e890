"""Mandates over GraphQL: begun in the mini-program, spent by voice, revoked from anywhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from domain.risk import rules as risk
from domain.step_up.rules import Content
from kernel import keys
from kernel.states import MandateState
from models.jobs import Job
from models.mandates import Mandate
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from schema.types.relay import key_of
from tests.factories import PETROCHINA_NUMBER, create_grant
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import NODE, PAY, ask, bind_card, order, refused, trace, work
from tests.schema.test_voice import fill_wallet, say, with_scopes

CREATE = """
mutation ($each: Yuan!, $daily: Yuan!, $cards: [ID!]!, $key: String!, $grant: String) {
  answer: createMandate(input: {
    transactionMax: $each, dailyMax: $daily, cardIds: $cards, idempotencyKey: $key, stepUpGrant: $grant
  }) {
    __typename
    ... on CreateMandateSuccess {
      mandate { id state transactionMax { fen } dailyMax { fen } cards { id } signedAt }
      signing { appId path extraData { name value } }
    }
    ... on UserError { code message }
    ... on MandateError { maximum { fen } }
  }
}"""
LOWER = """
mutation ($id: ID!, $each: Yuan!, $daily: Yuan!) {
  answer: lowerMandateCaps(input: { mandateId: $id, transactionMax: $each, dailyMax: $daily }) {
    __typename
    ... on LowerMandateCapsSuccess { mandate { transactionMax { fen } dailyMax { fen } } }
    ... on UserError { code message }
    ... on MandateError { maximum { fen } }
  }
}"""
REVOKE = """
mutation ($id: ID!) {
  answer: revokeMandate(input: { mandateId: $id }) {
    __typename
    ... on RevokeMandateSuccess { mandate { state endedAt } underWay { id } }
    ... on UserError { code message }
  }
}"""
MANDATES = """
query ($first: Int! = 20, $after: String) {
  viewer {
    mandates(first: $first, after: $after) {
      edges { node { id state cards { id } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""


async def begin(client: Client, card: str, **changes: Any) -> Any:
    given = {"each": "500.00", "daily": "800.00", "cards": [card], "key": "mandate-key-1"} | changes
    assert client.viewer is not None
    content = Content.of_mandate(
        transaction_fen=risk.amount_of(Decimal(given["each"])).fen,
        daily_fen=risk.amount_of(Decimal(given["daily"])).fen,
        card_ids=[key for key in (key_of(each, "Card") for each in given["cards"]) if key],
        expires_at=None,
    )
    grant = await create_grant(client.viewer, content, sealer=keys.sealer(client.settings))
    return await ask(client, CREATE, **given, grant=grant)


async def create_signed(client: Client, sandbox: Sandbox, card: str) -> str:
    answer = await begin(client, card)
    assert answer["__typename"] == "CreateMandateSuccess", answer
    row = await Mandate.get(state=MandateState.PENDING)
    sandbox.control("contract", out_contract_code=row.out_contract_code, wish="sign")
    await work(client)
    return str(answer["mandate"]["id"])


class TestMandates:
    async def test_it_is_begun_signed_listed_and_revoked(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        begun = await begin(client, card)
        assert begun["mandate"]["state"] == "PENDING"
        assert begun["mandate"]["cards"] == [{"id": card}]
        assert [each["name"] for each in begun["signing"]["extraData"]] == ["pre_entrustweb_id"]
        mandate = await create_signed(client, sandbox, card)
        (edge,) = (await client.ask(MANDATES))["viewer"]["mandates"]["edges"]
        assert edge["node"] == {"id": mandate, "state": "ACTIVE", "cards": [{"id": card}]}
        assert (await client.ask(NODE, {"id": mandate}))["node"] == {"__typename": "Mandate", "id": mandate}
        lowered = await ask(client, LOWER, id=mandate, each="100.00", daily="300.00")
        assert lowered["mandate"] == {"transactionMax": {"fen": 10_000}, "dailyMax": {"fen": 30_000}}
        by_car = with_scopes(client, "recharge:voice")
        revoked = await ask(by_car, REVOKE, id=mandate)
        assert (revoked["mandate"]["state"], revoked["underWay"]) == ("REVOKED", [])

    async def test_it_is_its_owners_own(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        mandate = await create_signed(client, sandbox, card)
        other = await client.another_person()
        assert (await client.ask(NODE, {"id": mandate}))["node"]
        assert (await other.ask(NODE, {"id": mandate}))["node"] is None
        assert await refused(other, REVOKE, id=mandate) == ("NotFound", "MANDATE_NOT_FOUND")
        lower = {"each": "1.00", "daily": "1.00"}
        assert await refused(other, LOWER, id=mandate, **lower) == ("NotFound", "MANDATE_NOT_FOUND")
        row = await Mandate.get()
        assert (row.state, row.transaction_max_fen) == (MandateState.ACTIVE, 50_000)

    async def test_what_is_refused_says_why_and_begins_nothing(self, client: Client) -> None:
        card = await bind_card(client)
        given = {"each": "500.00", "daily": "800.00", "cards": [card], "key": "mandate-key-1"}
        wrong: list[tuple[dict[str, Any], tuple[str, str]]] = [
            ({"daily": "2000.01"}, ("MandateError", "MANDATE_CAP_INVALID")),
            ({"cards": []}, ("MandateError", "MANDATE_CARDS_INVALID")),
            ({"cards": ["nonsense"]}, ("MandateError", "MANDATE_CARDS_INVALID")),
            ({"key": "short"}, ("IdempotencyError", "IDEMPOTENCY_KEY_INVALID")),
        ]
        for changes, told in wrong:
            assert await refused(client, CREATE, **(given | changes)) == told
        by_car = with_scopes(client, "recharge:voice")
        assert await refused(by_car, CREATE, **given) == ("Forbidden", "MANDATE_SCOPE_MISSING")
        assert await Mandate.all().count() == 0

    async def test_over_a_cap_the_order_stays_as_it_is(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        await create_signed(client, sandbox, card)
        made = await order(client, card, amount="500.01")
        before = await trace()
        pay = {"order": made["id"], "key": "pay-key-1", "method": "MANDATE"}
        assert await refused(client, PAY, **pay) == ("MandateError", "MANDATE_CAP_EXCEEDED")
        assert await trace() == before
        assert await PaymentAttempt.all().count() == 0


class TestVoice:
    async def test_sign_speak_confirm_arrive(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        await create_signed(client, sandbox, card)
        by_car = with_scopes(client, "recharge:voice")
        first = await say(by_car, "给我的油卡充三百")
        assert first["speech"] == "用免密支付给尾号零零零一的中石化卡充值三百元，确认吗？"
        assert first["display"] == "用免密支付给中石化卡 **** 0001充值¥300.00，确认吗？"
        assert await RechargeOrder.all().count() == 0
        token = first["proposal"]["confirmToken"]
        second = await say(by_car, "确认", token=token)
        assert second["order"]["state"] == "PAYING"
        assert second["speech"].startswith("正在用免密支付扣款三百元")
        again = await say(by_car, "确认", token=token)
        assert again["order"]["id"] == second["order"]["id"]
        attempt = await PaymentAttempt.get()
        assert attempt.mandate_id is not None
        await sandbox.wait_until(lambda: sandbox.payment(attempt.out_trade_no)["state"] == "SUCCESS")
        await Job.filter(kind="settle_deduction").update(due_at=attempt.created_at)
        await work(client)
        assert (await say(by_car, "刚才那笔到账了吗"))["order"]["state"] in {"RECHARGING", "SUCCEEDED"}
        assert await PaymentAttempt.all().count() == 1

    async def test_a_wallet_that_holds_enough_comes_first(self, client: Client, sandbox: Sandbox) -> None:
        await create_signed(client, sandbox, await bind_card(client))
        await fill_wallet(client, sandbox)
        first = await say(client, "给我的油卡充三百")
        assert "免密" not in first["speech"]
        second = await say(client, "确认", token=first["proposal"]["confirmToken"])
        assert second["speech"].startswith("已从钱包支付三百元")

    async def test_what_it_does_not_cover_is_not_spoken_of(self, client: Client, sandbox: Sandbox) -> None:
        await create_signed(client, sandbox, await bind_card(client))
        over = await say(client, "给我的油卡充六百")
        assert "免密" not in over["speech"]
        await bind_card(client, PETROCHINA_NUMBER)
        other = await say(client, "给中石油卡充三百", session="session-2")
        assert "免密" not in other["speech"]

    async def test_revoked_between_the_two_turns_it_is_left_to_the_user(self, client: Client, sandbox: Sandbox) -> None:
        mandate = await create_signed(client, sandbox, await bind_card(client))
        first = await say(client, "给我的油卡充三百")
        await ask(client, REVOKE, id=mandate)
        second = await say(client, "确认", token=first["proposal"]["confirmToken"])
        assert second["order"]["state"] == "PENDING_PAYMENT"
        assert "小程序" in second["speech"]
        assert await PaymentAttempt.all().count() == 0
