"""Somebody else's client as the oracle: what we sign it accepts, what it signs we accept, and fields both ways."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from wechatpayv3 import SignType, WeChatPay, WeChatPayType
from wechatpayv3.utils import build_authorization, rsa_decrypt, rsa_encrypt, rsa_verify

from domain.payments.ports import AbnormalRefundRequest, AbnormalRefundTo, BankAccount, ChannelUnavailable
from gateways.assembly_payments import wechat_pay, wechat_pay_keys, wires_of
from gateways.key_source import KeySource
from gateways.signing import MemorySigner, encrypt_field, is_signed_by, signature_text, signed_lines
from gateways.wechat_pay import WeChatPay as Ours
from kernel.settings import Settings
from sandbox.keys import Keys, load_or_create
from tests.gateways.stand_ins import Listener, Signer, create_paid_order, create_prepay, now, read_private_key
from tests.gateways.test_wechat_pay_notices import trade_document
from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def keys(sandbox: Sandbox) -> Keys:
    return load_or_create(sandbox.keys)


@pytest.fixture
def oracle(sandbox: Sandbox, settings: Settings, keys: Keys) -> WeChatPay:
    """The other client with the house's keys, in public key mode so that it asks nobody."""
    merchant = read_private_key(sandbox.keys / "wechat_pay_private_key.pem")
    public = keys.public_key_private.public_key()
    return WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid=settings.wechat_pay_sp_mchid,
        private_key=merchant.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        cert_serial_no=keys.merchant_serial,
        apiv3_key=keys.api_v3_key.decode(),
        appid=settings.wechat_pay_sp_appid,
        partner_mode=True,
        public_key=public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        public_key_id=keys.public_key_id,
    )


@dataclass
class Seen:
    requests: list[httpx.Request]

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]


@asynccontextmanager
async def overheard(settings: Settings) -> AsyncIterator[tuple[Ours, Seen]]:
    """A channel whose requests are kept, and answered by nobody who could sign."""
    seen = Seen([])

    def handler(request: httpx.Request) -> httpx.Response:
        seen.requests.append(request)
        return httpx.Response(400)

    found = wechat_pay_keys(KeySource(settings))
    assert found is not None
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="http://pay") as client:
        _, (wire,) = wires_of(settings, found, [client])
        merchant = settings.wechat_pay_sub_mchid
        yield wechat_pay(settings, wire, sub_mchid=merchant, sub_mchids=frozenset({merchant})), seen


def authorization(request: httpx.Request) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', request.headers["Authorization"]))


@pytest.fixture
def platform_by_public_key(keys: Keys) -> Signer:
    return Signer(keys.public_key_private, keys.api_v3_key, keys.public_key_id)


class TestWhatWeSign:
    async def test_a_request_with_a_body_and_one_without(self, settings: Settings, sandbox: Sandbox) -> None:
        """The signature covers method, target, time, nonce and exactly the bytes that go out."""
        merchant = read_private_key(sandbox.keys / "wechat_pay_private_key.pem").public_key()
        async with overheard(settings) as (channel, seen):
            for call in (channel.prepay(create_prepay(description="油卡 🚗 充值")), channel.query("order 一|*")):
                with pytest.raises(ChannelUnavailable):
                    await call
                given, request = authorization(seen.last), seen.last
                target = request.url.raw_path.decode()
                # Its verifier builds three lines; the two before them come in with the first.
                first = f"{request.method}\n{target}\n{given['timestamp']}"
                body = request.content.decode()
                assert rsa_verify(first, given["nonce_str"], body, given["signature"], merchant)

    async def test_it_would_have_written_the_same_header(
        self, settings: Settings, sandbox: Sandbox, keys: Keys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        merchant = read_private_key(sandbox.keys / "wechat_pay_private_key.pem")
        async with overheard(settings) as (channel, seen):
            with pytest.raises(ChannelUnavailable):
                await channel.prepay(create_prepay())
            request, given = seen.last, authorization(seen.last)
        monkeypatch.setattr(time, "time", lambda: float(given["timestamp"]))
        theirs = build_authorization(
            request.url.raw_path.decode(),
            request.method,
            settings.wechat_pay_sp_mchid,
            keys.merchant_serial,
            merchant,
            data=request.content.decode(),
            nonce_str=given["nonce_str"],
        )
        assert request.headers["Authorization"] == theirs

    async def test_the_parameters_of_the_mini_program(self, settings: Settings, oracle: WeChatPay) -> None:
        async with overheard(settings) as (channel, _):
            ours = await channel.payment_parameters(prepay_id="wx1", now=now())
        theirs = oracle.sign(
            [ours.app_id, ours.time_stamp, ours.nonce_str, ours.package], sign_type=SignType.RSA_SHA256
        )
        assert ours.pay_sign == theirs

    async def test_a_request_names_the_public_key(self, settings: Settings, keys: Keys) -> None:
        async with overheard(settings) as (channel, seen):
            with pytest.raises(ChannelUnavailable):
                await channel.query("order-1")
        assert seen.last.headers["Wechatpay-Serial"] == keys.public_key_id


class TestWhatThePlatformSigns:
    async def test_both_open_one_callback_alike(
        self, settings: Settings, oracle: WeChatPay, platform_by_public_key: Signer
    ) -> None:
        hand = platform_by_public_key
        body = hand.pay_notice(
            "TRANSACTION.SUCCESS", trade_document(settings), resource_type="encrypt-resource", summary="支付成功"
        )
        headers = {**hand.pay_headers(body), "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048"}
        theirs: Any = oracle.callback(headers, body)
        async with overheard(settings) as (channel, _):
            ours = await channel.open_notice(headers=headers, body=body, now=now())
        assert ours.trade is not None
        assert theirs["event_type"] == "TRANSACTION.SUCCESS"
        assert (ours.trade.out_trade_no, ours.trade.amount_fen) == (
            theirs["resource"]["out_trade_no"],
            theirs["resource"]["amount"]["total"],
        )

    async def test_what_it_refuses_we_refuse(
        self, settings: Settings, oracle: WeChatPay, platform_by_public_key: Signer
    ) -> None:
        hand = platform_by_public_key
        body = hand.pay_notice("TRANSACTION.SUCCESS", trade_document(settings))
        headers = {**hand.pay_headers(body), "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048"}
        altered = body.replace(b"EV-1", b"EV-2")
        assert oracle.callback(headers, altered) is None
        async with overheard(settings) as (channel, _):
            with pytest.raises(Exception, match="signature does not match"):
                await channel.open_notice(headers=headers, body=altered, now=now())

    async def test_a_callback_of_the_sandbox(
        self, parties: Any, sandbox: Sandbox, listener: Listener, oracle: WeChatPay
    ) -> None:
        sandbox.control("key-mode", mode="public_key")
        try:
            paid = await create_paid_order(sandbox, parties.channels.main)
            delivery = await listener.one()
        finally:
            sandbox.control("key-mode", mode="certificates")
        theirs: Any = oracle.callback(delivery.headers, delivery.body)
        assert theirs["resource"]["out_trade_no"] == paid.out_trade_no


class TestFields:
    def test_what_we_encrypt_it_decrypts_and_the_other_way(self, keys: Keys, oracle: WeChatPay) -> None:
        private = keys.public_key_private
        assert rsa_decrypt(encrypt_field(private.public_key(), "张三 6222"), private) == "张三 6222"
        assert rsa_decrypt(rsa_encrypt("李四", private.public_key()), private) == "李四"
        assert encrypt_field(private.public_key(), "1") != encrypt_field(private.public_key(), "1")

    async def test_an_abnormal_refund_carries_only_ciphertext(self, settings: Settings, keys: Keys) -> None:
        account = BankAccount("ICBC_DEBIT", "6222021234567890123", "张三")
        assert "6222" not in repr(account)
        request = AbnormalRefundRequest("R1", "503", AbnormalRefundTo.USER_BANK_CARD, account)
        async with overheard(settings) as (channel, seen):
            with pytest.raises(ChannelUnavailable):
                await channel.apply_abnormal_refund(request)
        body = json.loads(seen.last.content)
        assert seen.last.url.path == "/v3/refund/domestic/refunds/503/apply-abnormal-refund"
        assert seen.last.headers["Wechatpay-Serial"] == keys.public_key_id
        assert rsa_decrypt(body["bank_account"], keys.public_key_private) == account.number
        assert rsa_decrypt(body["real_name"], keys.public_key_private) == account.holder
        assert account.number not in seen.last.content.decode()


class TestDocumentedMessages:
    """The messages of "签名生成" and "签名验证", byte for byte."""

    def test_a_get(self) -> None:
        message = signed_lines("GET", "/v3/certificates", "1554208460", "593BEC0C930BF1AFEB40B4A08C8FB242", b"")
        assert message == b"GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n"

    def test_an_answer_without_a_body(self) -> None:
        message = signed_lines("1554209980", "c5ac7061fccab6bf3e254dcf98995b8c", b"")
        assert message == b"1554209980\nc5ac7061fccab6bf3e254dcf98995b8c\n\n"

    def test_the_mini_program(self) -> None:
        parts = (
            "wx8888888888888888",
            "1414561699",
            "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
            "prepay_id=wx201410272009395522657a690389285100",
        )
        assert signed_lines(*parts) == "".join(f"{part}\n" for part in parts).encode()

    async def test_the_signer_in_memory(self, sandbox: Sandbox) -> None:
        key = read_private_key(sandbox.keys / "wechat_pay_private_key.pem")
        signature = await signature_text(MemorySigner(key), b"message")
        assert is_signed_by(key.public_key(), b"message", signature)
        assert not is_signed_by(key.public_key(), b"massage", signature)


@pytest.fixture(autouse=True)
def keys_by_certificates(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.control("key-mode", mode="certificates")
