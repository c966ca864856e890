"""Alipay's gateway against the sandbox's, and against answers that are altered on their way."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from domain.orders.ports import ThirdParties
from domain.payments.ports import (
    AlipayParameters,
    ChannelRefundState,
    ChannelRefused,
    ChannelUnavailable,
    PayerCodeRefused,
    TradeState,
)
from gateways.alipay import Alipay
from gateways.alipay_facts import fen_of, state_of
from gateways.alipay_signing import nodes
from gateways.documents import Malformed
from kernel.settings import Settings
from kernel.states import PaymentMethod
from tests.gateways.alipay_stand_ins import PAYER, Hand, alipay_on, create_paid_trade
from tests.gateways.stand_ins import Altering, create_prepay, create_refund, now, read_private_key
from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def channel(parties: ThirdParties) -> Alipay:
    (found,) = parties.channels.by([PaymentMethod.ALIPAY])
    assert isinstance(found, Alipay)
    return found


@pytest.fixture
def hasty(hasty_parties: ThirdParties) -> Alipay:
    (found,) = hasty_parties.channels.by([PaymentMethod.ALIPAY])
    assert isinstance(found, Alipay)
    return found


@pytest.fixture
def hand(sandbox: Sandbox) -> Hand:
    return Hand(read_private_key(sandbox.keys / "own_alipay_key.pem"))


class TestTrades:
    async def test_a_trade_is_made_once_and_found_again(self, channel: Alipay, sandbox: Sandbox) -> None:
        request = create_prepay(openid=PAYER)
        trade_no = await channel.prepay(request)
        assert await channel.prepay(request) == trade_no
        assert await channel.payment_parameters(prepay_id=trade_no, now=now()) == AlipayParameters(trade_no)
        facts = await channel.query(request.out_trade_no)
        assert (facts.state, facts.amount_fen, facts.paid_at) == (TradeState.UNPAID, request.amount_fen, None)
        assert sandbox.alipay_payment(request.out_trade_no)["payer"] == PAYER

    async def test_another_amount_under_its_number_is_refused(self, channel: Alipay) -> None:
        request = create_prepay(openid=PAYER)
        await channel.prepay(request)
        other = create_prepay(openid=PAYER, out_trade_no=request.out_trade_no, amount_fen=1)
        with pytest.raises(ChannelRefused, match=re.escape("ACQ.CONTEXT_INCONSISTENT")):
            await channel.prepay(other)

    async def test_what_is_paid_says_so(self, channel: Alipay, sandbox: Sandbox) -> None:
        paid = await create_paid_trade(sandbox, channel)
        facts = await channel.query(paid.out_trade_no)
        assert (facts.state, facts.amount_fen) == (TradeState.SUCCESS, paid.amount_fen)
        assert facts.transaction_id == sandbox.alipay_payment(paid.out_trade_no)["trade_no"]
        assert facts.paid_at is not None
        assert abs((facts.paid_at - now()).total_seconds()) < 60

    async def test_closing(self, channel: Alipay, sandbox: Sandbox) -> None:
        """Alipay answers the same of what is closed and of what is paid, and only one of them is closed."""
        request = create_prepay(openid=PAYER)
        await channel.close(request.out_trade_no)
        await channel.prepay(request)
        for _ in range(2):
            await channel.close(request.out_trade_no)
        assert (await channel.query(request.out_trade_no)).state is TradeState.CLOSED
        with pytest.raises(ChannelRefused, match=re.escape("ACQ.TRADE_HAS_CLOSE")):
            await channel.prepay(request)
        paid = await create_paid_trade(sandbox, channel)
        with pytest.raises(ChannelRefused, match=re.escape("ACQ.TRADE_STATUS_ERROR")):
            await channel.close(paid.out_trade_no)
        assert (await channel.query(paid.out_trade_no)).state is TradeState.SUCCESS

    @pytest.mark.parametrize("fault", ["timeout", "prepay_error_500", "error_500"])
    async def test_without_an_answer_nothing_is_known(
        self, channel: Alipay, hasty: Alipay, sandbox: Sandbox, fault: str
    ) -> None:
        sandbox.faults(alipay=fault)
        request = create_prepay(openid=PAYER)
        with pytest.raises(ChannelUnavailable):
            await hasty.prepay(request)
        made = sandbox.alipay_payment(request.out_trade_no)
        assert bool(made) is (fault == "timeout")
        sandbox.clear_faults()
        assert await channel.prepay(request) == sandbox.alipay_payment(request.out_trade_no)["trade_no"]

    async def test_the_platforms_own_trouble_is_no_refusal(self, settings: Settings, hand: Hand) -> None:
        for code, sub_code in (("40004", "ACQ.SYSTEM_ERROR"), ("20000", "isp.unknow-error")):
            node = json.dumps({"code": code, "sub_code": sub_code})
            transport = answering(f'{{"alipay_trade_close_response":{node},"sign":"{hand.sign(node.encode())}"}}')
            async with alipay_on(settings, transport) as channel:
                with pytest.raises(ChannelUnavailable):
                    await channel.close("order-1")


class TestRefunds:
    async def test_a_refund_is_asked_for_twice_and_paid_once(self, channel: Alipay, sandbox: Sandbox) -> None:
        paid = await create_paid_trade(sandbox, channel)
        half = create_refund(paid, amount_fen=paid.amount_fen // 2)
        for _ in range(2):
            facts = await channel.refund(half)
            assert (facts.state, facts.amount_fen) == (ChannelRefundState.SUCCESS, half.amount_fen)
        assert (await channel.query(paid.out_trade_no)).state is TradeState.SUCCESS
        rest = create_refund(paid, amount_fen=paid.amount_fen - half.amount_fen)
        # The platform names what is refunded in all; these facts are of this refund alone.
        assert (await channel.refund(rest)).amount_fen == rest.amount_fen
        with pytest.raises(ChannelRefused):
            await channel.refund(create_refund(paid, amount_fen=1))

    async def test_a_trade_that_is_refunded_whole_is_not_one_that_was_never_paid(
        self, channel: Alipay, sandbox: Sandbox
    ) -> None:
        paid = await create_paid_trade(sandbox, channel)
        await channel.refund(create_refund(paid))
        assert sandbox.alipay_payment(paid.out_trade_no)["state"] == "TRADE_CLOSED"
        facts = await channel.query(paid.out_trade_no)
        assert (facts.state, facts.amount_fen) == (TradeState.REFUNDED, paid.amount_fen)
        assert facts.transaction_id
        with pytest.raises(ChannelRefused, match=re.escape("ACQ.TRADE_STATUS_ERROR")):
            await channel.close(paid.out_trade_no)

    async def test_what_is_not_known_and_what_is_pending(self, channel: Alipay, sandbox: Sandbox) -> None:
        paid = await create_paid_trade(sandbox, channel)
        request = create_refund(paid)
        number, trade = request.out_refund_no, paid.out_trade_no
        assert (await channel.query_refund(number, out_trade_no=trade)).state is ChannelRefundState.NOT_FOUND
        assert (await channel.query_refund(number, out_trade_no="none")).state is ChannelRefundState.NOT_FOUND
        sandbox.faults(alipay_refund="pending")
        assert (await channel.refund(request)).state is ChannelRefundState.PROCESSING
        sandbox.control("settle-alipay", out_trade_no=trade, out_request_no=number)
        assert (await channel.query_refund(number, out_trade_no=trade)).state is ChannelRefundState.SUCCESS
        with pytest.raises(ValueError, match="by their payment"):
            await channel.query_refund(number)


class TestPayers:
    async def test_a_code_says_who_pays_and_is_good_once(self, channel: Alipay, sandbox: Sandbox) -> None:
        code = sandbox.alipay_code(PAYER)
        assert await channel.payer_of(code) == PAYER
        for refused in (code, "invented", "", "码", "x" * 129):
            with pytest.raises(PayerCodeRefused):
                await channel.payer_of(refused)

    async def test_without_an_answer_the_code_is_not_sent_again(self, channel: Alipay, sandbox: Sandbox) -> None:
        sandbox.faults(alipay="error_500")
        with pytest.raises(ChannelUnavailable):
            await channel.payer_of(sandbox.alipay_code())


class TestSignatures:
    async def test_a_request_is_signed_over_its_sorted_parameters(self, settings: Settings, sandbox: Sandbox) -> None:
        seen: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(400)

        async with alipay_on(settings, httpx.MockTransport(handler)) as channel:
            with pytest.raises(ChannelUnavailable):
                await channel.query("order-1")
        form = dict(parse_qsl(seen[0].content.decode()))
        signature = b64decode(form.pop("sign"))
        message = "&".join(f"{name}={form[name]}" for name in sorted(form)).encode()
        key = read_private_key(sandbox.keys / "alipay_private_key.pem").public_key()
        key.verify(signature, message, PKCS1v15(), SHA256())
        assert (form["sign_type"], form["charset"], form["method"]) == ("RSA2", "utf-8", "alipay.trade.query")
        assert seen[0].url.params["charset"] == "utf-8"

    @pytest.mark.parametrize("fault", ["unsigned", "sha1", "altered"])
    async def test_an_answer_with_another_signature_settles_nothing(
        self, channel: Alipay, sandbox: Sandbox, fault: str
    ) -> None:
        sandbox.faults(alipay=fault)
        request = create_prepay(openid=PAYER)
        with pytest.raises(ChannelUnavailable, match="signature"):
            await channel.prepay(request)

    async def test_the_bytes_of_the_node_are_what_is_signed(self, settings: Settings, hand: Hand) -> None:
        """Spaces, escapes and the order of its members stay as they are; read and written again they would differ."""
        node = (
            '{ "trade_no" : "2026\\u0031", "msg":"Success","code":"10000",  "out_trade_no":"order-1",'
            '"trade_status":"WAIT_BUYER_PAY", "total_amount":"500.00"}'
        )
        good = f'{{"sign":"{hand.sign(node.encode())}", "alipay_trade_query_response" : {node}}}'
        async with alipay_on(settings, answering(good)) as channel:
            assert (await channel.query("order-1")).transaction_id == "20261"
        respaced = good.replace('"msg":"Success"', '"msg": "Success"')
        async with alipay_on(settings, answering(respaced)) as channel:
            with pytest.raises(ChannelUnavailable, match="signature"):
                await channel.query("order-1")

    async def test_an_answer_to_another_question_settles_nothing(self, channel: Alipay, settings: Settings) -> None:
        first, second = create_prepay(openid=PAYER), create_prepay(openid=PAYER)
        await channel.prepay(first)
        kept: list[bytes] = []

        def alter(_headers: httpx.Headers, body: bytes) -> bytes:
            kept.append(body)
            return kept[0]

        async with alipay_on(settings, Altering(alter)) as meddled:
            assert (await meddled.query(first.out_trade_no)).out_trade_no == first.out_trade_no
            with pytest.raises(ChannelUnavailable, match="another question"):
                await meddled.query(second.out_trade_no)

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b'{"a":1', b'{"a":1}x', b'{"a":1,"a":2}', b'{"a" 1}', b"\xff", b'{"a":1,}', b"{}"]
    )
    def test_what_is_no_object_has_no_nodes(self, body: bytes) -> None:
        with pytest.raises(Malformed):
            nodes(body)


@pytest.mark.parametrize(("text", "fen"), [("500.00", 50_000), ("0.01", 1), ("88", 8_800), ("1.5", 150)])
def test_yuan_become_fen(text: str, fen: int) -> None:
    assert fen_of(text) == fen


@pytest.mark.parametrize("text", ["", "-1.00", "1e3", "NaN", "0.001", "1,000.00", " 1.00", "١.٠٠", "1" * 13])
def test_other_amounts_are_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        fen_of(text)


def test_what_is_closed_was_paid_where_it_says_when() -> None:
    paid = str(datetime(2026, 1, 1, tzinfo=UTC))
    assert state_of({"trade_status": "TRADE_CLOSED", "at": paid}, paid_at="at") is TradeState.REFUNDED
    assert state_of({"trade_status": "TRADE_CLOSED"}, paid_at="at") is TradeState.CLOSED
    assert state_of({"trade_status": "TRADE_FINISHED", "at": paid}, paid_at="at") is TradeState.SUCCESS
    with pytest.raises(Malformed):
        state_of({"trade_status": "SOMETHING"}, paid_at="at")


def answering(body: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _request: httpx.Response(200, content=body.encode()))
