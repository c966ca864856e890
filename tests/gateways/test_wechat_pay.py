"""The payment port on the sandbox, over real HTTP with real signatures."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from domain.orders.ports import ThirdParties
from domain.payments.ports import (
    ChannelRefundState,
    ChannelRefused,
    ChannelUnavailable,
    PaymentChannel,
    PaymentParameters,
    TradeState,
)
from kernel.ids import new_id, numbered
from kernel.settings import Settings
from tests.gateways.stand_ins import (
    AMOUNT_FEN,
    TLS,
    Listener,
    channel_on,
    create_paid_order,
    create_prepay,
    create_refund,
    now,
    read_private_key,
)
from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def channel(parties: ThirdParties) -> PaymentChannel:
    return parties.channels.main


class TestPrepay:
    async def test_it_creates_a_merchant_order(
        self, channel: PaymentChannel, sandbox: Sandbox, listener: Listener
    ) -> None:
        request = create_prepay()
        prepay_id = await channel.prepay(request)
        assert prepay_id.startswith("wx20")
        assert len(prepay_id) == 36
        order = sandbox.payment(request.out_trade_no)
        assert (order["prepay_id"], order["total"], order["openid"]) == (prepay_id, AMOUNT_FEN, request.openid)
        assert order["notify_url"] == f"http://127.0.0.1:{listener.port}/callbacks/wechat-pay"
        assert datetime.fromisoformat(order["time_expire"]) == request.expires_at.replace(microsecond=0)
        assert order["time_expire"].endswith("+08:00")

    async def test_the_same_order_again_is_the_same_prepay_id(self, channel: PaymentChannel) -> None:
        request = create_prepay()
        assert await channel.prepay(request) == await channel.prepay(request)

    @pytest.mark.parametrize("change", [{"amount_fen": AMOUNT_FEN + 1}, {"openid": "somebody else"}])
    async def test_a_number_is_not_used_for_another_order(
        self, channel: PaymentChannel, sandbox: Sandbox, change: dict[str, object]
    ) -> None:
        request = create_prepay()
        await channel.prepay(request)
        with pytest.raises(ChannelRefused) as refused:
            await channel.prepay(create_prepay(out_trade_no=request.out_trade_no, **change))
        assert refused.value.code == "OUT_TRADE_NO_USED"
        assert refused.value.reason == "商户订单号重复"
        assert sandbox.payment(request.out_trade_no)["total"] == AMOUNT_FEN

    async def test_a_paid_order_is_refused(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        request = await create_paid_order(sandbox, channel)
        with pytest.raises(ChannelRefused, match="ORDERPAID"):
            await channel.prepay(request)

    async def test_a_closed_order_is_refused(self, channel: PaymentChannel) -> None:
        request = create_prepay()
        await channel.prepay(request)
        await channel.close(request.out_trade_no)
        with pytest.raises(ChannelRefused, match="ORDER_CLOSED"):
            await channel.prepay(request)

    @pytest.mark.parametrize("change", [{"amount_fen": 0}, {"out_trade_no": "short"}, {"openid": ""}])
    async def test_bad_parameters_are_refused(self, channel: PaymentChannel, change: dict[str, object]) -> None:
        with pytest.raises(ChannelRefused, match="PARAM_ERROR"):
            await channel.prepay(create_prepay(**change))

    async def test_a_long_description_is_cut_to_what_the_channel_takes(
        self, channel: PaymentChannel, sandbox: Sandbox
    ) -> None:
        request = create_prepay(description="油" * 200)
        await channel.prepay(request)
        assert sandbox.payment(request.out_trade_no)["description"] == "油" * 127


async def test_payment_parameters_are_signed_for_the_mini_program(channel: PaymentChannel, sandbox: Sandbox) -> None:
    """The four lines of 小程序调起支付, checked with the merchant's public key and nothing of the gateways."""
    at = datetime(2014, 10, 30, 3, 8, 19, 900_000, tzinfo=UTC)
    parameters = await channel.payment_parameters(prepay_id="wx201410272009395522657a690389285100", now=at)
    assert isinstance(parameters, PaymentParameters)
    assert (parameters.app_id, parameters.time_stamp, parameters.sign_type) == (channel.app_id, "1414638499", "RSA")
    assert parameters.package == "prepay_id=wx201410272009395522657a690389285100"
    assert len(parameters.nonce_str) == 32
    message = f"{channel.app_id}\n1414638499\n{parameters.nonce_str}\n{parameters.package}\n".encode()
    key = read_private_key(sandbox.keys / "wechat_pay_private_key.pem").public_key()
    key.verify(b64decode(parameters.pay_sign), message, PKCS1v15(), SHA256())
    another = await channel.payment_parameters(prepay_id="wx1", now=at)
    assert isinstance(another, PaymentParameters)
    assert another.nonce_str != parameters.nonce_str


class TestQuery:
    async def test_unknown(self, channel: PaymentChannel) -> None:
        number = numbered(new_id(), 1)
        facts = await channel.query(number)
        assert (facts.out_trade_no, facts.state, facts.amount_fen) == (number, TradeState.NOT_FOUND, 0)
        assert facts.transaction_id is None

    async def test_unpaid(self, channel: PaymentChannel) -> None:
        request = create_prepay()
        await channel.prepay(request)
        facts = await channel.query(request.out_trade_no)
        assert (facts.state, facts.transaction_id, facts.paid_at) == (TradeState.UNPAID, None, None)

    async def test_paid(self, channel: PaymentChannel, sandbox: Sandbox, settings: Settings) -> None:
        request = await create_paid_order(sandbox, channel)
        facts = await channel.query(request.out_trade_no)
        assert (facts.state, facts.amount_fen, facts.out_trade_no) == (
            TradeState.SUCCESS,
            AMOUNT_FEN,
            request.out_trade_no,
        )
        assert (facts.app_id, facts.mchid, facts.sub_mchid) == (
            settings.wechat_pay_sp_appid,
            settings.wechat_pay_sp_mchid,
            settings.wechat_pay_sub_mchid,
        )
        assert facts.transaction_id is not None
        assert len(facts.transaction_id) == 28
        assert facts.paid_at is not None
        assert abs(facts.paid_at - now()) < timedelta(seconds=5)

    async def test_closed(self, channel: PaymentChannel) -> None:
        request = create_prepay()
        await channel.prepay(request)
        await channel.close(request.out_trade_no)
        assert (await channel.query(request.out_trade_no)).state is TradeState.CLOSED

    async def test_an_order_with_a_refund_was_still_paid(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        paid = await create_paid_order(sandbox, channel)
        await channel.refund(create_refund(paid))
        assert sandbox.payment(paid.out_trade_no)["state"] == "REFUND"
        assert (await channel.query(paid.out_trade_no)).state is TradeState.REFUNDED


class TestClose:
    async def test_closed_once_or_twice_it_cannot_be_paid(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        request = create_prepay()
        prepay_id = await channel.prepay(request)
        await channel.close(request.out_trade_no)
        await channel.close(request.out_trade_no)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            sandbox.pay(prepay_id)
        assert sandbox.payment(request.out_trade_no)["state"] == "CLOSED"

    async def test_unknown_succeeds(self, channel: PaymentChannel) -> None:
        await channel.close(numbered(new_id(), 1))

    async def test_paid_is_refused_and_stays_paid(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        paid = await create_paid_order(sandbox, channel)
        with pytest.raises(ChannelRefused) as refused:
            await channel.close(paid.out_trade_no)
        assert refused.value.code == "ORDERPAID"
        assert (await channel.query(paid.out_trade_no)).state is TradeState.SUCCESS


class TestRefund:
    async def test_it_is_accepted_and_then_succeeds(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        request = create_refund(await create_paid_order(sandbox, channel))
        accepted = await channel.refund(request)
        assert (accepted.state, accepted.amount_fen) == (ChannelRefundState.PROCESSING, AMOUNT_FEN)
        assert (accepted.out_trade_no, accepted.out_refund_no) == (request.out_trade_no, request.out_refund_no)
        await sandbox.wait_until(lambda: sandbox.refund(request.out_refund_no)["status"] == "SUCCESS")
        facts = await channel.query_refund(request.out_refund_no)
        assert (facts.state, facts.refund_id) == (ChannelRefundState.SUCCESS, accepted.refund_id)

    async def test_the_same_number_refunds_once(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        request = create_refund(await create_paid_order(sandbox, channel))
        assert (await channel.refund(request)).refund_id == (await channel.refund(request)).refund_id
        mine = [each for each in sandbox.state()["refunds"] if each["out_trade_no"] == request.out_trade_no]
        assert len(mine) == 1

    async def test_never_more_than_was_paid(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        paid = await create_paid_order(sandbox, channel)
        await channel.refund(create_refund(paid, amount_fen=AMOUNT_FEN - 1))
        with pytest.raises(ChannelRefused, match="NOT_ENOUGH"):
            await channel.refund(create_refund(paid, amount_fen=2))

    async def test_unpaid_is_refused(self, channel: PaymentChannel) -> None:
        request = create_prepay()
        await channel.prepay(request)
        with pytest.raises(ChannelRefused, match="INVALID_REQUEST"):
            await channel.refund(create_refund(request))

    async def test_unknown(self, channel: PaymentChannel) -> None:
        number = numbered(new_id(), 2)
        facts = await channel.query_refund(number)
        assert (facts.state, facts.out_refund_no) == (ChannelRefundState.NOT_FOUND, number)

    async def test_abnormal(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(refund="abnormal", times=1)
        request = create_refund(await create_paid_order(sandbox, channel))
        assert (await channel.refund(request)).state is ChannelRefundState.PROCESSING
        await sandbox.wait_until(lambda: sandbox.refund(request.out_refund_no)["status"] == "ABNORMAL")
        assert (await channel.query_refund(request.out_refund_no)).state is ChannelRefundState.ABNORMAL

    async def test_a_closed_refund_needs_a_person_too(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(refund="processing", times=1)
        request = create_refund(await create_paid_order(sandbox, channel))
        await channel.refund(request)
        sandbox.control("settle", out_refund_no=request.out_refund_no, state="CLOSED")
        assert (await channel.query_refund(request.out_refund_no)).state is ChannelRefundState.ABNORMAL


class TestUnavailable:
    async def test_errors_of_the_platform_settle_nothing(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        paid = await create_paid_order(sandbox, channel)
        sandbox.faults(payment="error_500", refund="error_500")
        request = create_prepay()
        for call in (
            channel.prepay(request),
            channel.query(request.out_trade_no),
            channel.close(request.out_trade_no),
            channel.refund(create_refund(paid)),
            channel.query_refund("refund-1"),
        ):
            with pytest.raises(ChannelUnavailable, match="status 500"):
                await call
        assert sandbox.payment(request.out_trade_no) is None

    async def test_a_short_failure_is_bridged(self, channel: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(payment="error_500", times=2)
        assert (await channel.prepay(create_prepay())).startswith("wx")

    async def test_a_lost_answer_leaves_an_order_that_is_found_again(
        self, channel: PaymentChannel, hasty_parties: ThirdParties, sandbox: Sandbox
    ) -> None:
        sandbox.faults(payment="timeout", times=1)
        request = create_prepay()
        with pytest.raises(ChannelUnavailable, match="prepay"):
            await hasty_parties.channels.main.prepay(request)
        assert await channel.prepay(request) == sandbox.payment(request.out_trade_no)["prepay_id"]

    async def test_nobody_listens(self, settings: Settings, free_port: int) -> None:
        absent = settings.model_copy(update={"sandbox_port": free_port})
        async with channel_on(absent, httpx.AsyncHTTPTransport(verify=TLS)) as channel:
            with pytest.raises(ChannelUnavailable, match="ConnectError"):
                await channel.query("order-1")


async def test_every_try_is_signed_over_what_is_sent(settings: Settings, sandbox: Sandbox) -> None:
    """The Authorization header of a request on the wire, checked line by line as 签名生成 says."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500)

    async with channel_on(settings, httpx.MockTransport(handler)) as channel:
        with pytest.raises(ChannelUnavailable):
            await channel.prepay(create_prepay())
        with pytest.raises(ChannelUnavailable):
            await channel.query("订单 1/2")
    key = read_private_key(sandbox.keys / "wechat_pay_private_key.pem").public_key()
    nonces = set()
    for request in seen:
        scheme, _, rest = request.headers["Authorization"].partition(" ")
        assert scheme == "WECHATPAY2-SHA256-RSA2048"
        given = dict(part.split("=", 1) for part in rest.split(","))
        values = {name: json.loads(value) for name, value in given.items()}
        assert values["mchid"] == settings.wechat_pay_sp_mchid
        assert values["serial_no"] == (sandbox.keys / "wechat_pay_certificate_serial").read_text()
        lines = [request.method, request.url.raw_path.decode(), values["timestamp"], values["nonce_str"]]
        message = "".join(f"{line}\n" for line in lines).encode() + request.content + b"\n"
        key.verify(b64decode(values["signature"]), message, PKCS1v15(), SHA256())
        nonces.add(values["nonce_str"])
    assert len(nonces) == len(seen) == 6
    assert seen[-1].url.raw_path == (
        b"/v3/pay/partner/transactions/out-trade-no/%E8%AE%A2%E5%8D%95%201%2F2?sp_mchid=1900000109&sub_mchid=1900000209"
    )
