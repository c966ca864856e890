"""Paying by Alipay as a client asks for it, and what it is told where that cannot be."""

from __future__ import annotations

from domain.payments.payers import PayerUnknown
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import PAY, ask, bind_card, order, refused, trace, work

STATE = "query ($id: ID!) { order(id: $id) { state } }"


async def test_a_mini_program_of_alipay_pays(client: Client, sandbox: Sandbox) -> None:
    wanted = await order(client, await bind_card(client))
    asked = {"order": wanted["id"], "key": "pay-key-1", "method": "ALIPAY", "code": sandbox.alipay_code()}
    answer = await ask(client, PAY, **asked)
    assert (answer["__typename"], answer["payment"]) == ("PayRechargeSuccess", None)
    assert (await ask(client, PAY, **asked))["alipay"] == answer["alipay"]
    sandbox.pay_alipay(answer["alipay"]["tradeNo"])
    await work(client)
    assert (await client.ask(STATE, {"id": wanted["id"]}))["order"]["state"] in {"RECHARGING", "SUCCEEDED"}


async def test_what_cannot_be_is_told_and_changes_nothing(client: Client) -> None:
    wanted = await order(client, await bind_card(client))
    before = await trace()
    asked = {"order": wanted["id"], "key": "pay-key-1"}
    unknown = ("PaymentMethodError", PayerUnknown.code)
    assert await refused(client, PAY, **asked, method="ALIPAY") == unknown
    assert await refused(client, PAY, **asked, method="ALIPAY", code="invented") == unknown
    unavailable = ("PaymentMethodError", "PAYMENT_METHOD_UNAVAILABLE")
    assert await refused(client, PAY, **asked, alternatives=["WALLET"]) == unavailable
    assert await refused(client, PAY, **asked, method="WALLET", alternatives=["ALIPAY"]) == unavailable
    assert await trace() == before


async def test_the_other_channel_is_taken_where_the_client_can(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults(payment="prepay_error_500")
    wanted = await order(client, await bind_card(client))
    answer = await ask(
        client, PAY, order=wanted["id"], key="pay-key-1", alternatives=["ALIPAY"], code=sandbox.alipay_code()
    )
    assert (answer["payment"], bool(answer["alipay"])) == (None, True)
