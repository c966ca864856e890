"""The wallet, and what paying answers, as clients see it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kernel.ids import new_id
from kernel.states import OrderState, PaymentState
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, WalletTopUp
from schema.types.relay import global_id
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import NODE, PAY, TOP_UP, WALLET, ask, bind_card, order, refused, trace, work

CANCEL = """
mutation ($id: ID!) {
  answer: cancelRecharge(input: { orderId: $id }) { __typename ... on UserError { code } }
}"""


async def wallet(client: Client) -> tuple[int, int]:
    """Return what can be spent and what is held, in fen."""
    shown = (await client.ask(WALLET))["viewer"]["wallet"]
    return shown["balance"]["fen"], shown["held"]["fen"]


async def filled(client: Client, sandbox: Sandbox, yuan: str = "1000.00", key: str = "top-up-key-1") -> None:
    """Pay money into the wallet, like a user."""
    started = await ask(client, TOP_UP, amount=yuan, key=key)
    sandbox.pay(started["payment"]["package"])
    await work(client)


async def pay(client: Client, made: Any, key: str = "pay-key-1", **how: Any) -> Any:
    return await ask(client, PAY, order=made["id"], key=key, **how)


class TestTopUp:
    async def test_what_is_paid_in_can_be_spent(self, client: Client, sandbox: Sandbox) -> None:
        started = await ask(client, TOP_UP, amount="1000.00", key="top-up-key-1")
        assert started["topUp"]["state"] == "OPEN"
        assert await wallet(client) == (0, 0)
        sandbox.pay(started["payment"]["package"])
        await work(client)
        assert await wallet(client) == (100_000, 0)
        again = await ask(client, TOP_UP, amount="1000.00", key="top-up-key-1")
        assert (again["topUp"]["id"], again["topUp"]["state"]) == (started["topUp"]["id"], "PAID")
        assert again["payment"] is None
        assert await WalletTopUp.all().count() == 1

    async def test_a_repeated_request_continues_one_top_up_even_at_once(self, client: Client) -> None:
        answers = await asyncio.gather(*(ask(client, TOP_UP, amount="50", key="top-up-key-1") for _ in range(6)))
        assert len({each["topUp"]["id"] for each in answers}) == 1
        assert len({each["payment"]["package"] for each in answers}) == 1
        conflict = await refused(client, TOP_UP, amount="51", key="top-up-key-1")
        assert conflict == ("IdempotencyError", "IDEMPOTENCY_CONFLICT")
        malformed = await refused(client, TOP_UP, amount="51", key="short")
        assert malformed == ("IdempotencyError", "IDEMPOTENCY_KEY_INVALID")
        assert await WalletTopUp.all().count() == 1

    @pytest.mark.parametrize(
        ("amount", "code"),
        [
            ("0", "AMOUNT_NOT_POSITIVE"),
            ("-100", "AMOUNT_NOT_POSITIVE"),
            ("0.001", "AMOUNT_FRACTION_OF_FEN"),
            ("9.99", "AMOUNT_TOO_SMALL"),
            ("5000.01", "AMOUNT_TOO_LARGE"),
            ("999999999999", "AMOUNT_TOO_LARGE"),
        ],
    )
    async def test_amounts_that_cannot_be_paid_in(self, client: Client, amount: str, code: str) -> None:
        assert await refused(client, TOP_UP, amount=amount, key="top-up-key-1") == ("InvalidAmount", code)
        assert await trace() == [0] * 6

    async def test_a_wallet_takes_no_more_than_its_limit(self, client: Client, sandbox: Sandbox) -> None:
        for number in range(2):
            await filled(client, sandbox, "4999.00", f"top-up-key-{number}")
        before = await trace()
        assert await refused(client, TOP_UP, amount="10", key="top-up-key-9") == ("InvalidAmount", "WALLET_TOO_FULL")
        answer = await ask(client, TOP_UP, amount="10", key="top-up-key-9")
        assert answer["maximum"] == {"fen": 200}
        assert await trace() == before

    async def test_a_channel_that_is_down_is_told_and_the_same_request_continues(
        self, client: Client, sandbox: Sandbox
    ) -> None:
        sandbox.faults(payment="prepay_error_500")
        answer = await ask(client, TOP_UP, amount="100", key="top-up-key-1")
        assert (answer["__typename"], answer["code"], answer["retryable"]) == (
            "ChannelError",
            "PAYMENT_UNAVAILABLE",
            True,
        )
        sandbox.clear_faults()
        again = await ask(client, TOP_UP, amount="100", key="top-up-key-1")
        assert again["payment"]["package"].startswith("prepay_id=")
        assert await WalletTopUp.all().count() == 1

    async def test_pages_of_top_ups_are_whole_newest_first_and_the_viewers_alone(self, client: Client) -> None:
        made = [
            (await ask(client, TOP_UP, amount=f"{10 + number}", key=f"top-up-key-{number}"))["topUp"]["id"]
            for number in range(3)
        ]
        stranger = await client.another_person()
        theirs = (await ask(stranger, TOP_UP, amount="99", key="top-up-key-0"))["topUp"]["id"]
        seen: list[str] = []
        after = None
        for more in (True, False):
            page = (await client.ask(WALLET, {"first": 2, "after": after}))["viewer"]["wallet"]["topUps"]
            seen += [edge["node"]["id"] for edge in page["edges"]]
            assert page["pageInfo"]["hasNextPage"] is more
            after = page["pageInfo"]["endCursor"]
        assert seen == made[::-1]
        assert (await client.ask(NODE, {"id": made[0]}))["node"] == {"__typename": "TopUp", "id": made[0]}
        assert (await client.ask(NODE, {"id": theirs}))["node"] is None
        assert (await stranger.ask(NODE, {"id": made[0]}))["node"] is None

    async def test_nobody_has_no_wallet(self, nobody: Client) -> None:
        assert await nobody.ask(WALLET) == {"viewer": None}
        assert await nobody.code(TOP_UP, {"amount": "100", "key": "top-up-key-1"}) == "UNAUTHENTICATED"
        assert await trace() == [0] * 6


class TestPayingFromTheWallet:
    async def test_the_wallet_pays_at_once_and_once(self, client: Client, sandbox: Sandbox) -> None:
        await filled(client, sandbox)
        made = await order(client, await bind_card(client), amount="300.00")
        answers = await asyncio.gather(*(pay(client, made, method="WALLET") for _ in range(5)))
        for answer in answers:
            assert answer["__typename"] == "PayRechargeSuccess"
            assert (answer["order"]["state"], answer["payment"]) == ("RECHARGING", None)
        assert await wallet(client) == (70_000, 0)
        assert await PaymentAttempt.all().count() == 1
        other_key = await refused(client, PAY, order=made["id"], key="pay-key-2", method="WALLET")
        assert other_key == ("OrderStateError", "ORDER_NOT_PAYABLE")
        other_way = await refused(client, PAY, order=made["id"], key="pay-key-1")
        assert other_way == ("IdempotencyError", "IDEMPOTENCY_CONFLICT")
        await work(client)
        assert await wallet(client) == (70_000, 0)

    async def test_what_is_not_there_is_named_and_nothing_happens(self, client: Client, sandbox: Sandbox) -> None:
        await filled(client, sandbox, "100.00")
        made = await order(client, await bind_card(client), amount="300.00")
        before = await trace()
        answer = await refused(client, PAY, order=made["id"], key="pay-key-1", method="WALLET")
        assert answer == ("InsufficientBalance", "WALLET_INSUFFICIENT")
        shown = await pay(client, made, method="WALLET")
        assert (shown["balance"], shown["missing"]) == ({"fen": 10_000}, {"fen": 20_000})
        assert await trace() == before
        assert (await RechargeOrder.get()).state is OrderState.PENDING_PAYMENT
        # The key is free still, because nothing was begun under it.
        assert (await pay(client, made))["payment"]["package"].startswith("prepay_id=")

    async def test_nobody_pays_with_somebody_elses_wallet(self, client: Client, sandbox: Sandbox) -> None:
        await filled(client, sandbox)
        stranger = await client.another_person()
        made = await order(stranger, await bind_card(stranger), amount="300.00")
        assert await refused(client, PAY, order=made["id"], key="pay-key-1", method="WALLET") == (
            "NotFound",
            "ORDER_NOT_FOUND",
        )
        answer = await pay(stranger, made, method="WALLET")
        assert (answer["__typename"], answer["balance"]) == ("InsufficientBalance", {"fen": 0})
        assert await wallet(client) == (100_000, 0)

    async def test_another_way_to_pay_closes_the_first_one(self, client: Client, sandbox: Sandbox) -> None:
        await filled(client, sandbox)
        made = await order(client, await bind_card(client), amount="300.00")
        package = (await pay(client, made))["payment"]["package"]
        assert (await pay(client, made, "pay-key-2", method="WALLET"))["order"]["state"] == "RECHARGING"
        first, second = await PaymentAttempt.all().order_by("number")
        assert (first.state, second.state) == (PaymentState.CLOSED, PaymentState.PAID)
        with pytest.raises(Exception, match="409"):
            sandbox.pay(package)
        await work(client)
        assert await wallet(client) == (70_000, 0)

    async def test_an_order_that_is_over_cannot_be_paid(self, client: Client, sandbox: Sandbox) -> None:
        await filled(client, sandbox)
        made = await order(client, await bind_card(client), amount="300.00")
        assert (await ask(client, CANCEL, id=made["id"]))["__typename"] == "CancelRechargeSuccess"
        for method in ("WALLET", "WECHAT_PAY"):
            answer = await refused(client, PAY, order=made["id"], key="pay-key-1", method=method)
            assert answer == ("OrderStateError", "ORDER_NOT_PAYABLE")
        assert await wallet(client) == (100_000, 0)


class TestPayingByTheChannel:
    async def test_a_channel_that_is_down_is_told_and_the_same_request_continues(
        self, client: Client, sandbox: Sandbox
    ) -> None:
        made = await order(client, await bind_card(client))
        sandbox.faults(payment="error_500")
        answer = await pay(client, made)
        assert (answer["__typename"], answer["code"]) == ("ChannelError", "PAYMENT_UNAVAILABLE")
        assert answer["retryable"] is True
        sandbox.clear_faults()
        sandbox.pay((await pay(client, made))["payment"]["package"])
        await work(client)
        assert (await RechargeOrder.get()).state in {OrderState.RECHARGING, OrderState.SUCCEEDED}

    async def test_ids_that_name_nothing(self, client: Client) -> None:
        stranger = await client.another_person()
        theirs = (await order(stranger, await bind_card(stranger)))["id"]
        before = await trace()
        for bad in (theirs, str(global_id("Order", new_id())), str(global_id("Card", new_id())), "x", ""):
            for method in ("WALLET", "WECHAT_PAY"):
                answer = await refused(client, PAY, order=bad, key="pay-key-1", method=method)
                assert answer == ("NotFound", "ORDER_NOT_FOUND")
            assert (await ask(client, CANCEL, id=bad))["code"] == "ORDER_NOT_FOUND"
        assert await trace() == before
