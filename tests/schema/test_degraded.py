"""While a third party hangs, the field that depends on it says so within its time, and the rest is answered."""

from __future__ import annotations

from typing import Any

from kernel.states import PaymentState
from models.messages import UserPhone
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import PAY, ask, bind_card, order
from tests.schema.test_large_orders import FACE
from tests.schema.test_messages import BIND as BIND_PHONE
from tests.schema.test_messages import REQUEST

PLACE = "{ latitude: 31.2, longitude: 121.45 }"
MAP = f"""{{
  serviceStatus {{ mode }}
  viewer {{ profile {{ displayName }} }}
  searchPlaces(text: "停车场", near: {PLACE}) {{ title }}
  placeAt(location: {PLACE}) {{ title }}
}}"""


async def answer(client: Client, mutation: str, **variables: Any) -> tuple[str, str, bool]:
    told = await ask(client, mutation, **variables)
    return told["__typename"], told["code"], told["retryable"]


async def unpaid() -> int:
    """Return how many attempts somebody could still pay."""
    return await PaymentAttempt.filter(state=PaymentState.OPEN).count()


async def test_the_map(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults(lbs="timeout")
    body = (await client.post(MAP)).json()
    assert body["data"]["searchPlaces"] is None
    assert body["data"]["placeAt"] is None
    assert body["data"]["serviceStatus"] == {"mode": "NORMAL"}
    assert body["data"]["viewer"]["profile"]["displayName"]
    told = {tuple(error["path"]): error["extensions"]["code"] for error in body["errors"]}
    assert told == {("searchPlaces",): "PLACES_UNAVAILABLE", ("placeAt",): "PLACES_UNAVAILABLE"}


async def test_the_payment_channel(client: Client, sandbox: Sandbox) -> None:
    made = await order(client, await bind_card(client))
    sandbox.faults(payment="timeout")
    asked = {"order": made["id"], "key": "pay-key-1"}
    assert await answer(client, PAY, **asked) == ("ChannelError", "PAYMENT_UNAVAILABLE", True)
    assert await unpaid() == 1
    # What is not known is neither paid nor failed, and the same request goes on where it was.
    assert (await RechargeOrder.get()).state == "PAYING"
    sandbox.clear_faults()
    assert (await ask(client, PAY, **asked))["__typename"] == "PayRechargeSuccess"
    assert await unpaid() == 1


async def test_face_verification(client: Client, sandbox: Sandbox) -> None:
    made = await order(client, await bind_card(client), amount="2500.00")
    sandbox.faults(face="timeout")
    assert await answer(client, FACE, order=made["id"]) == ("FaceCheckError", "FACE_VERIFICATION_UNAVAILABLE", True)
    asked = {"order": made["id"], "key": "pay-key-1", "face": "t" * 32}
    assert (await ask(client, PAY, **asked))["__typename"] == "FaceCheckError"
    assert (await RechargeOrder.get()).state == "PENDING_PAYMENT"
    assert not await PaymentAttempt.exists()


async def test_the_phone_that_the_mini_program_knows(client: Client, sandbox: Sandbox) -> None:
    code = sandbox.control("wx-phone", phone="13800001234")["code"]
    sandbox.faults(wechat_open="timeout")
    assert await answer(client, BIND_PHONE, code=code) == ("PhoneError", "PHONE_SERVICE_UNAVAILABLE", True)
    assert not await UserPhone.exists()


async def test_codes_by_sms(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults(sms="timeout")
    assert await answer(client, REQUEST, phone="13800001234") == ("PhoneError", "SMS_UNAVAILABLE", True)


async def test_what_a_breaker_refuses_is_told_in_the_same_words(client: Client, sandbox: Sandbox) -> None:
    """A client need not know why nobody was asked."""
    made = await order(client, await bind_card(client))
    sandbox.faults(payment="prepay_error_500")
    asked = {"order": made["id"], "key": "pay-key-1"}
    status = "{ serviceStatus { degraded { party } } }"
    degraded: list[Any] = []
    for _ in range(client.settings.third_party_failures_max):
        assert await answer(client, PAY, **asked) == ("ChannelError", "PAYMENT_UNAVAILABLE", True)
        degraded = (await client.ask(status))["serviceStatus"]["degraded"]
        if degraded:
            break
    assert {each["party"] for each in degraded} <= {"wechat_pay", "wechat_pay_backup"}
    assert degraded
    assert await answer(client, PAY, **asked) == ("ChannelError", "PAYMENT_UNAVAILABLE", True)
    assert await unpaid() == 1
