"""Second proofs over GraphQL, with the sandbox's text messages and faces; the payment password behind the wallet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.account.payment_passwords import Keeper, PasswordPolicy, set_first
from domain.identity import phones
from domain.identity.phone_numbers import read_phone
from domain.step_up.rules import Content
from kernel import keys
from kernel.access_states import StepUpAction
from kernel.clock import utc_now
from models.cards import FuelCard
from models.messages import UserPhone
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from models.step_up import PaymentPassword, StepUpChallenge
from models.step_up import SpendingLimits as LimitsRow
from tests.factories import create_grant
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import ORDER, ask, bind_card, order, refused
from tests.schema.test_voice import fill_wallet, say

PHONE, PASSWORD = "13987654321", "739154"
ERROR = "... on UserError { code message } ... on StepUpError { retryable }"
START = f"""
mutation ($input: StartStepUpInput!) {{
  answer: startStepUp(input: $input) {{
    __typename
    ... on StartStepUpSuccess {{ challengeId maskedPhone faceToken faceUrl expiresAt }}
    {ERROR}
  }}
}}"""
CONFIRM = f"""
mutation ($id: ID!, $code: String!, $face: String!) {{
  answer: confirmStepUp(input: {{ challengeId: $id, code: $code, faceToken: $face }}) {{
    __typename
    ... on ConfirmStepUpSuccess {{ grant expiresAt }}
    {ERROR}
  }}
}}"""
UNBIND = f"""
mutation ($card: ID!, $grant: String) {{
  answer: unbindCard(input: {{ cardId: $card, stepUpGrant: $grant }}) {{
    __typename
    ... on UnbindCardSuccess {{ card {{ id unboundAt }} }}
    {ERROR}
  }}
}}"""
LIMIT = f"""
mutation ($each: Yuan, $day: Yuan, $grant: String) {{
  answer: setSpendingLimits(input: {{ perRecharge: $each, perDay: $day, stepUpGrant: $grant }}) {{
    __typename
    ... on SetSpendingLimitsSuccess {{ spendingLimits {{ perRecharge {{ fen }} perDay {{ fen }} }} }}
    {ERROR}
  }}
}}"""
PASSWORDS = f"""
mutation ($new: String!, $grant: String) {{
  answer: setPaymentPassword(input: {{ password: $new, stepUpGrant: $grant }}) {{
    __typename
    ... on PaymentPasswordSuccess {{ hasPaymentPassword }}
    {ERROR}
  }}
}}"""
CHANGE = f"""
mutation ($old: String!, $new: String!, $grant: String) {{
  answer: changePaymentPassword(input: {{ currentPassword: $old, password: $new, stepUpGrant: $grant }}) {{
    __typename
    ... on PaymentPasswordSuccess {{ hasPaymentPassword }}
    {ERROR}
    ... on PaymentPasswordError {{ attemptsLeft retryAt }}
  }}
}}"""
RESET = f"""
mutation ($new: String!, $grant: String) {{
  answer: resetPaymentPassword(input: {{ password: $new, stepUpGrant: $grant }}) {{
    __typename
    ... on PaymentPasswordSuccess {{ hasPaymentPassword }}
    {ERROR}
  }}
}}"""
PAY_BY_WALLET = """
mutation ($order: ID!, $key: String!, $password: String) {
  answer: payRecharge(input: { orderId: $order, method: WALLET, idempotencyKey: $key, paymentPassword: $password }) {
    __typename
    ... on PayRechargeSuccess { order { state } }
    ... on UserError { code message }
    ... on PaymentPasswordError { attemptsLeft retryAt }
  }
}"""
BIND_PHONE = """
mutation ($phone: String!, $grant: String) {
  answer: confirmPhone(input: { phone: $phone, code: "123456", stepUpGrant: $grant }) {
    __typename
    ... on UserError { code message }
  }
}"""
MINE = """
{
  viewer { hasPaymentPassword spendingLimits { perRecharge { fen } perDay { fen } } cards { edges { node { id } } } }
}"""


async def with_phone(client: Client) -> None:
    assert client.viewer is not None
    sealer = keys.sealer(client.settings)
    await phones.keep(user_id=client.viewer.user_id, phone=read_phone(PHONE), sealer=sealer, now=utc_now())


async def granted(client: Client, content: Content) -> str:
    assert client.viewer is not None
    return await create_grant(client.viewer, content, sealer=keys.sealer(client.settings))


async def with_password(client: Client) -> None:
    assert client.viewer is not None
    keeper = Keeper(keys.sealer(client.settings), PasswordPolicy.of(client.settings))
    grant = await granted(client, Content(StepUpAction.SET_PAYMENT_PASSWORD))
    await set_first(viewer=client.viewer, password=PASSWORD, grant=grant, keeper=keeper, now=utc_now())


async def mine(client: Client) -> Any:
    return (await client.ask(MINE))["viewer"]


class TestStepUp:
    async def test_from_the_code_to_the_card(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        begin = {"input": {"action": "UNBIND_CARD", "cardId": card}}
        assert await refused(client, START, **begin) == ("StepUpError", "STEP_UP_PHONE_MISSING")
        assert await refused(client, UNBIND, card=card) == ("StepUpError", "STEP_UP_NEEDED")
        await with_phone(client)
        started = await ask(client, START, **begin)
        assert started["maskedPhone"] == "139****4321"
        proofs = {
            "id": started["challengeId"],
            "code": sandbox.state()["sms"][0]["parameters"][0],
            "face": started["faceToken"],
        }
        waiting = await ask(client, CONFIRM, **proofs)
        assert (waiting["code"], waiting["retryable"]) == ("STEP_UP_FACE_NOT_FINISHED", True)
        sandbox.verify_face(started["faceToken"])
        grant = (await ask(client, CONFIRM, **proofs))["grant"]
        unbound = await ask(client, UNBIND, card=card, grant=grant)
        assert unbound["card"]["unboundAt"]
        assert (await mine(client))["cards"]["edges"] == []
        assert await refused(client, ORDER, card=card, key="order-key-1", amount="500.00") == (
            "NotFound",
            "CARD_NOT_FOUND",
        )
        assert await bind_card(client) == card
        assert await refused(client, UNBIND, card=card, grant=grant) == ("StepUpError", "STEP_UP_GRANT_INVALID")
        assert (await FuelCard.get()).unbound_at is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"action": "UNBIND_CARD"},
            {"action": "UNBIND_CARD", "cardId": "nonsense"},
            {"action": "SET_PAYMENT_PASSWORD", "phone": PHONE},
            {"action": "CHANGE_PHONE"},
            {"action": "CREATE_MANDATE", "cardId": "Q2FyZDox"},
            {"action": "CREATE_MANDATE", "mandate": {"transactionMax": "1", "dailyMax": "2", "cardIds": ["nonsense"]}},
        ],
    )
    async def test_what_is_proved_has_to_be_said(self, client: Client, wrong: dict[str, Any]) -> None:
        await with_phone(client)
        assert await refused(client, START, input=wrong) == ("StepUpError", "STEP_UP_CONTENT_INVALID")
        assert await StepUpChallenge.all().count() == 0

    async def test_no_grant_of_somebody_elses(self, client: Client) -> None:
        card = await bind_card(client)
        other = await client.another_person()
        row = await FuelCard.get()
        theirs = await granted(other, Content.of_card(row.id))
        assert await refused(client, UNBIND, card=card, grant=theirs) == ("StepUpError", "STEP_UP_GRANT_INVALID")
        assert await refused(other, UNBIND, card=card, grant=theirs) == ("NotFound", "CARD_NOT_FOUND")
        assert await refused(client, CONFIRM, id="nonsense", code="1", face="x") == ("StepUpError", "STEP_UP_GONE")

    async def test_another_phone_takes_a_grant_before_its_code_is_looked_at(self, client: Client) -> None:
        await with_phone(client)
        before = await UserPhone.all().values()
        assert await refused(client, BIND_PHONE, phone="13800138000") == ("StepUpError", "STEP_UP_NEEDED")
        assert await refused(client, BIND_PHONE, phone="13800138000", grant="ysg_any") == (
            "PhoneError",
            "SMS_CODE_GONE",
        )
        assert await UserPhone.all().values() == before


class TestLimits:
    async def test_they_are_shown_kept_to_and_raised_with_a_proof(self, client: Client) -> None:
        card = await bind_card(client)
        assert (await mine(client))["spendingLimits"] == {"perRecharge": None, "perDay": None}
        await ask(client, LIMIT, each="100.00", day="200.00")
        assert await refused(client, ORDER, card=card, key="order-key-1", amount="100.01") == (
            "InvalidAmount",
            "OWN_LIMIT_EXCEEDED",
        )
        for higher in ({"each": "200.00", "day": "200.00"}, {"each": "100.00"}, {}):
            assert await refused(client, LIMIT, **higher) == ("StepUpError", "STEP_UP_NEEDED")
        assert await refused(client, LIMIT, each="0") == ("InvalidAmount", "AMOUNT_NOT_POSITIVE")
        assert (await mine(client))["spendingLimits"] == {"perRecharge": {"fen": 10_000}, "perDay": {"fen": 20_000}}
        assert await RechargeOrder.all().count() == 0
        grant = await granted(client, Content.of_limits(per_recharge_fen=20_000, per_day_fen=20_000))
        await ask(client, LIMIT, each="200.00", day="200.00", grant=grant)
        assert (await LimitsRow.get()).per_recharge_fen == 20_000


class TestPaymentPassword:
    async def test_it_is_set_changed_and_reset(self, client: Client, capfd: pytest.CaptureFixture[str]) -> None:
        assert await refused(client, PASSWORDS, new=PASSWORD) == ("StepUpError", "STEP_UP_NEEDED")
        assert await refused(client, PASSWORDS, new="123456") == ("PaymentPasswordError", "PAYMENT_PASSWORD_WEAK")
        assert await PaymentPassword.all().count() == 0
        grants = [await granted(client, Content(action)) for action in list(StepUpAction)[:3]]
        assert (await ask(client, PASSWORDS, new=PASSWORD, grant=grants[0]))["hasPaymentPassword"]
        assert (await mine(client))["hasPaymentPassword"]
        wrong = await ask(client, CHANGE, old="402867", new="402867", grant=grants[1])
        assert (wrong["code"], wrong["attemptsLeft"]) == ("PAYMENT_PASSWORD_WRONG", 4)
        await ask(client, CHANGE, old=PASSWORD, new="402867", grant=grants[1])
        await ask(client, RESET, new="958203", grant=grants[2])
        printed = "".join(capfd.readouterr())
        for secret in (PASSWORD, "402867", "958203", *grants):
            assert secret not in printed

    async def test_the_wallet_takes_it_and_a_voice_cannot(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        await fill_wallet(client, sandbox)
        await with_password(client)
        made = await order(client, card, amount="100.00")
        pay = {"order": made["id"], "key": "pay-key-1"}
        assert await refused(client, PAY_BY_WALLET, **pay) == ("PaymentPasswordError", "PAYMENT_PASSWORD_NEEDED")
        wrong = await ask(client, PAY_BY_WALLET, **pay, password="402867")
        assert (wrong["code"], wrong["attemptsLeft"]) == ("PAYMENT_PASSWORD_WRONG", 4)
        assert await PaymentAttempt.all().count() == 0
        paid = await ask(client, PAY_BY_WALLET, **pay, password=PASSWORD)
        assert paid["order"]["state"] == "RECHARGING"
        first = await say(client, "给我的油卡充三百")
        second = await say(client, "确认", token=first["proposal"]["confirmToken"])
        assert second["order"]["state"] == "PENDING_PAYMENT"
        assert "小程序" in second["speech"]
        assert await PaymentAttempt.all().count() == 1

    async def test_locked_it_pays_nothing(self, client: Client, sandbox: Sandbox) -> None:
        card = await bind_card(client)
        await fill_wallet(client, sandbox)
        await with_password(client)
        made = await order(client, card, amount="100.00")
        pay = {"order": made["id"], "key": "pay-key-1"}
        for _ in range(5):
            await ask(client, PAY_BY_WALLET, **pay, password="402867")
        locked = await ask(replace(client), PAY_BY_WALLET, **pay, password=PASSWORD)
        assert (locked["code"], locked["attemptsLeft"]) == ("PAYMENT_PASSWORD_LOCKED", None)
        assert locked["retryAt"]
        assert await PaymentAttempt.all().count() == 0
