"""Answers of WeChat Pay that were altered on the way, are not signed, or that the sandbox would never give."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from domain.payments.ports import (
    ChannelRefundState,
    ChannelRefused,
    ChannelUnavailable,
    PaymentChannel,
    TradeState,
)
from kernel.settings import Settings
from tests.gateways.stand_ins import AMOUNT_FEN, TLS, Altering, Signer, channel_on, create_prepay, create_refund
from tests.sandbox_fixtures import Sandbox

Alter = Callable[[httpx.Headers, bytes], bytes]


def change_header(name: str, value: str | None) -> Alter:
    def alter(headers: httpx.Headers, body: bytes) -> bytes:
        if value is None:
            del headers[name]
        else:
            headers[name] = value
        return body

    return alter


def answering(platform: Signer, status: int, document: Any) -> httpx.MockTransport:
    """WeChat Pay, saying exactly this with a good signature."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return httpx.MockTransport(lambda _: httpx.Response(status, headers=platform.pay_headers(body), content=body))


def trade(settings: Settings, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sp_appid": settings.wechat_pay_sp_appid,
        "sp_mchid": settings.wechat_pay_sp_mchid,
        "sub_mchid": settings.wechat_pay_sub_mchid,
        "out_trade_no": "order-1",
        "trade_state": "SUCCESS",
        "transaction_id": "4200000000000000000000000001",
        "amount": {"total": AMOUNT_FEN},
    }
    return {**values, **changes}


def refund(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "out_trade_no": "order-1",
        "out_refund_no": "refund-1",
        "refund_id": "503",
        "status": "SUCCESS",
        "amount": {"refund": AMOUNT_FEN, "total": AMOUNT_FEN, "currency": "CNY"},
    }
    return {**values, **changes}


class TestAltered:
    @pytest.mark.parametrize(
        ("alter", "problem"),
        [
            (lambda _headers, body: body.replace(b"wx20", b"wx21"), "signature"),
            (lambda _headers, body: body + b" ", "signature"),
            (lambda _headers, _body: b"", "signature"),
            (change_header("Wechatpay-Signature", None), "unsigned"),
            (change_header("Wechatpay-Signature", "QUFBQQ=="), "signature"),
            (change_header("Wechatpay-Nonce", "another"), "signature"),
            (change_header("Wechatpay-Serial", "0000"), "unknown key"),
            (change_header("Wechatpay-Timestamp", str(int(time.time()) - 1_000)), "old"),
        ],
    )
    async def test_an_altered_answer_settles_nothing(
        self, settings: Settings, sandbox: Sandbox, alter: Alter, problem: str
    ) -> None:
        request = create_prepay()
        with capture_logs() as logs:
            async with channel_on(settings, Altering(alter)) as channel:
                with pytest.raises(ChannelUnavailable, match=problem):
                    await channel.prepay(request)
        assert sandbox.payment(request.out_trade_no) is not None
        unverified = [entry for entry in logs if entry["event"] == "wechat_pay.answer_unverified"]
        assert [entry["log_level"] for entry in unverified] == ["error"]

    async def test_an_altered_refusal_is_no_refusal(self, settings: Settings, sandbox: Sandbox) -> None:
        del sandbox
        async with channel_on(settings, Altering(lambda _, body: body.replace(b"PARAM", b"OTHER"))) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.prepay(create_prepay(out_trade_no="short"))

    async def test_nothing_found_must_be_signed(self, settings: Settings, sandbox: Sandbox) -> None:
        del sandbox
        async with channel_on(settings, Altering(change_header("Wechatpay-Signature", None))) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.query("no-such-order")
            with pytest.raises(ChannelUnavailable):
                await channel.query_refund("no-such-refund")
            with pytest.raises(ChannelUnavailable):
                await channel.close("no-such-order")

    async def test_our_own_bad_signature_is_told_to_the_operator(self, settings: Settings, sandbox: Sandbox) -> None:
        """The sandbox checks what we sign; its SIGN_ERROR is unsigned, so that it is logged and settles nothing."""
        other = settings.model_copy(update={"wechat_pay_certificate_serial": "ANOTHER"})
        with capture_logs() as logs:
            async with channel_on(other, httpx.AsyncHTTPTransport(verify=TLS)) as channel:
                with pytest.raises(ChannelUnavailable, match="unsigned"):
                    await channel.query("order-1")
        del sandbox
        assert {"status": 401, "said": "SIGN_ERROR"}.items() <= logs[0].items()


class TestStatuses:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 302])
    async def test_unavailable(self, settings: Settings, platform: Signer, status: int) -> None:
        document = {"code": "ORDER_NOT_EXIST", "message": "订单不存在"}
        async with channel_on(settings, answering(platform, status, document)) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.query("order-1")

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
    async def test_refused_with_its_code(self, settings: Settings, platform: Signer, status: int) -> None:
        document = {"code": "RULE_LIMIT", "message": "业务规则限制"}
        async with channel_on(settings, answering(platform, status, document)) as channel:
            for call in calls(channel):
                with pytest.raises(ChannelRefused) as refused:
                    await call
                assert (refused.value.code, refused.value.reason) == ("RULE_LIMIT", "业务规则限制")

    @pytest.mark.parametrize("document", [b"", b"<html>", b"[]", {}, {"code": 5}, {"code": ""}])
    async def test_a_refusal_without_a_code_settles_nothing(
        self, settings: Settings, platform: Signer, document: Any
    ) -> None:
        async with channel_on(settings, answering(platform, 404, document)) as channel:
            for call in calls(channel):
                with pytest.raises(ChannelUnavailable):
                    await call

    @pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"])
    async def test_both_spellings_of_an_unknown_order(self, settings: Settings, platform: Signer, code: str) -> None:
        async with channel_on(settings, answering(platform, 404, {"code": code})) as channel:
            assert (await channel.query("order-1")).state is TradeState.NOT_FOUND
            await channel.close("order-1")

    @pytest.mark.parametrize("code", ["ORDER_CLOSED", "ORDERCLOSED"])
    async def test_both_spellings_of_a_closed_order(self, settings: Settings, platform: Signer, code: str) -> None:
        async with channel_on(settings, answering(platform, 400, {"code": code})) as channel:
            await channel.close("order-1")

    async def test_an_unknown_order_is_no_unknown_refund(self, settings: Settings, platform: Signer) -> None:
        async with channel_on(settings, answering(platform, 404, {"code": "ORDER_NOT_EXIST"})) as channel:
            with pytest.raises(ChannelRefused):
                await channel.query_refund("refund-1")


class TestDocuments:
    @pytest.mark.parametrize(
        ("word", "state"),
        [
            ("NOTPAY", TradeState.UNPAID),
            ("USERPAYING", TradeState.UNPAID),
            ("ACCEPT", TradeState.UNPAID),
            ("PAYERROR", TradeState.UNPAID),
            ("SUCCESS", TradeState.SUCCESS),
            ("REFUND", TradeState.REFUNDED),
            ("CLOSED", TradeState.CLOSED),
            ("REVOKED", TradeState.CLOSED),
        ],
    )
    async def test_trade_states(self, settings: Settings, platform: Signer, word: str, state: TradeState) -> None:
        async with channel_on(settings, answering(platform, 200, trade(settings, trade_state=word))) as channel:
            assert (await channel.query("order-1")).state is state

    @pytest.mark.parametrize(
        ("word", "state"),
        [
            ("PROCESSING", ChannelRefundState.PROCESSING),
            ("SUCCESS", ChannelRefundState.SUCCESS),
            ("ABNORMAL", ChannelRefundState.ABNORMAL),
            ("CLOSED", ChannelRefundState.ABNORMAL),
        ],
    )
    async def test_refund_states(
        self, settings: Settings, platform: Signer, word: str, state: ChannelRefundState
    ) -> None:
        async with channel_on(settings, answering(platform, 200, refund(status=word))) as channel:
            assert (await channel.query_refund("refund-1")).state is state
            wanted = create_refund(create_prepay(out_trade_no="order-1"), out_refund_no="refund-1")
            assert (await channel.refund(wanted)).state is state

    async def test_an_unpaid_order_may_leave_its_amount_out(self, settings: Settings, platform: Signer) -> None:
        document = trade(settings, trade_state="CLOSED")
        del document["amount"], document["transaction_id"]
        async with channel_on(settings, answering(platform, 200, document)) as channel:
            assert (await channel.query("order-1")).amount_fen == 0

    @pytest.mark.parametrize(
        "changes",
        [
            {"trade_state": "PAID"},
            {"amount": {"total": 500.0}},
            {"amount": {"total": "50000"}},
            {"transaction_id": None},
            {"out_trade_no": "order-2"},
        ],
    )
    async def test_a_payment_that_is_not_understood_settles_nothing(
        self, settings: Settings, platform: Signer, changes: dict[str, Any]
    ) -> None:
        async with channel_on(settings, answering(platform, 200, trade(settings, **changes))) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.query("order-1")

    @pytest.mark.parametrize(
        "changes", [{"status": "DONE"}, {"amount": {"refund": 1.5}}, {"refund_id": None}, {"out_refund_no": "refund-2"}]
    )
    async def test_a_refund_that_is_not_understood_settles_nothing(
        self, settings: Settings, platform: Signer, changes: dict[str, Any]
    ) -> None:
        async with channel_on(settings, answering(platform, 200, refund(**changes))) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.query_refund("refund-1")
            with pytest.raises(ChannelUnavailable):
                await channel.refund(create_refund(create_prepay(out_trade_no="order-1"), out_refund_no="refund-1"))

    @pytest.mark.parametrize("document", [b"", b"null", {}, {"prepay_id": ""}, {"prepay_id": 5}])
    async def test_a_prepay_without_an_id_settles_nothing(
        self, settings: Settings, platform: Signer, document: Any
    ) -> None:
        async with channel_on(settings, answering(platform, 200, document)) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.prepay(create_prepay())


def calls(channel: PaymentChannel) -> list[Any]:
    request = create_prepay()
    return [
        channel.prepay(request),
        channel.query("order-1"),
        channel.close("order-1"),
        channel.refund(create_refund(request)),
        channel.query_refund("refund-1"),
    ]
