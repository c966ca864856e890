"""The viewer's phone and the messages that they accept, over GraphQL."""

from __future__ import annotations

import pytest

from domain.identity import phones
from domain.step_up.rules import Content
from kernel import keys
from kernel.settings import SANDBOX_ARRIVAL_TEMPLATE_ID, SANDBOX_PRICE_TEMPLATE_ID
from models.messages import MessageConsent, UserPhone
from tests.factories import create_grant
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import ask, refused

BIND = """
mutation ($code: String!, $grant: String) {
  answer: bindPhone(input: { code: $code, stepUpGrant: $grant }) {
    __typename
    ... on BindPhoneSuccess { phone { maskedNumber } }
    ... on UserError { code message }
    ... on PhoneError { retryable }
  }
}"""
GRANT = """
mutation ($ids: [ID!]!, $key: String!) {
  answer: grantMessageConsent(input: { templateIds: $ids, idempotencyKey: $key }) {
    __typename
    ... on MessageConsentSuccess { consents { template templateId left } }
    ... on UserError { code message }
  }
}"""
WITHDRAW = """
mutation ($ids: [ID!]!) {
  answer: withdrawMessageConsent(input: { templateIds: $ids }) {
    __typename
    ... on MessageConsentSuccess { consents { template left } }
    ... on UserError { code message }
  }
}"""
MINE = "query { viewer { phone { maskedNumber } messageConsents { template templateId left } } }"


async def test_a_phone_is_bound_sealed_and_masked(client: Client, sandbox: Sandbox) -> None:
    assert (await client.ask(MINE))["viewer"]["phone"] is None
    answer = await ask(client, BIND, code=sandbox.control("wx-phone", phone="13800001234")["code"])
    assert answer["phone"] == {"maskedNumber": "138****1234"}
    again = {"phone": "13900005678"}
    without = await ask(client, BIND, code=sandbox.control("wx-phone", **again)["code"])
    assert (without["__typename"], without["code"]) == ("StepUpError", "STEP_UP_NEEDED")
    assert client.viewer is not None
    content, sealer = Content.of_phone("+8613900005678"), keys.sealer(client.settings)
    grant = await create_grant(client.viewer, content, sealer=sealer)
    await ask(client, BIND, code=sandbox.control("wx-phone", **again)["code"], grant=grant)
    assert (await client.ask(MINE))["viewer"]["phone"] == {"maskedNumber": "139****5678"}
    row = await UserPhone.get()
    assert b"13900005678" not in bytes(row.phone_sealed)
    assert phones.open_phone(row, keys.sealer(client.settings)) == "+8613900005678"


@pytest.mark.parametrize("lie", [{"appid": "wx0000000000000000"}, {"age_s": 3_600}])
async def test_a_phone_of_somebody_else_is_refused(client: Client, sandbox: Sandbox, lie: dict[str, object]) -> None:
    answer = await ask(client, BIND, code=sandbox.control("wx-phone", **lie)["code"])
    assert (answer["__typename"], answer["code"], answer["retryable"]) == ("PhoneError", "PHONE_CODE_REFUSED", False)
    assert await UserPhone.all().count() == 0


async def test_consents_are_granted_listed_and_withdrawn(client: Client) -> None:
    granted = await ask(client, GRANT, ids=[SANDBOX_ARRIVAL_TEMPLATE_ID], key="grant-key-1")
    arrival = {"template": "ARRIVAL", "templateId": SANDBOX_ARRIVAL_TEMPLATE_ID, "left": 1}
    none = {"template": "PRICE_CHANGE", "templateId": SANDBOX_PRICE_TEMPLATE_ID, "left": 0}
    assert granted["consents"] == [arrival, none]
    await ask(client, GRANT, ids=[SANDBOX_ARRIVAL_TEMPLATE_ID], key="grant-key-1")
    assert (await client.ask(MINE))["viewer"]["messageConsents"] == [arrival, none]
    withdrawn = await ask(client, WITHDRAW, ids=[SANDBOX_ARRIVAL_TEMPLATE_ID])
    assert [each["left"] for each in withdrawn["consents"]] == [0, 0]


async def test_refusals(client: Client) -> None:
    unknown = await refused(client, GRANT, ids=["nonsense"], key="grant-key-1")
    assert unknown == ("MessageTemplateError", "MESSAGE_TEMPLATE_UNKNOWN")
    which = await refused(client, GRANT, ids=[SANDBOX_PRICE_TEMPLATE_ID], key="grant-key-1")
    assert which == ("MessageTemplateError", "PRICE_WATCH_MISSING")
    key = await refused(client, GRANT, ids=[SANDBOX_ARRIVAL_TEMPLATE_ID], key="x")
    assert key == ("IdempotencyError", "IDEMPOTENCY_KEY_INVALID")
    assert await MessageConsent.all().count() == 0


REQUEST = """
mutation ($phone: String!) {
  answer: requestSmsCode(input: { phone: $phone }) {
    __typename
    ... on RequestSmsCodeSuccess { expiresAt }
    ... on UserError { code message }
    ... on PhoneError { retryable }
  }
}"""
CONFIRM = """
mutation ($phone: String!, $code: String!) {
  answer: confirmPhone(input: { phone: $phone, code: $code }) {
    __typename
    ... on BindPhoneSuccess { phone { maskedNumber } }
    ... on UserError { code message }
  }
}"""


async def test_a_phone_is_bound_by_a_code(client: Client, sandbox: Sandbox) -> None:
    assert (await ask(client, REQUEST, phone="13800001234"))["__typename"] == "RequestSmsCodeSuccess"
    code = sandbox.state()["sms"][0]["parameters"][0]
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert await refused(client, CONFIRM, phone="13800001234", code=wrong) == ("PhoneError", "SMS_CODE_WRONG")
    assert await UserPhone.all().count() == 0
    answer = await ask(client, CONFIRM, phone="13800001234", code=code)
    assert answer["phone"] == {"maskedNumber": "138****1234"}
    assert await refused(client, CONFIRM, phone="13800001234", code=code) == ("PhoneError", "SMS_CODE_GONE")
    assert await refused(client, REQUEST, phone="13800001234") == ("PhoneError", "SMS_TOO_SOON")
    assert await refused(client, REQUEST, phone="5") == ("PhoneError", "PHONE_INVALID")
