"""Callbacks of WeChat Pay: the sandbox's own, and everything that somebody else might send instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from domain.orders.ports import ThirdParties
from domain.payments.ports import ChannelRefundState, NoticeRefused, PaymentChannel, TradeState
from kernel.settings import Settings
from tests.gateways.stand_ins import (
    AMOUNT_FEN,
    Delivery,
    Listener,
    Signer,
    create_paid_order,
    create_prepay,
    create_refund,
    now,
)
from tests.sandbox_fixtures import Sandbox

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def channel(parties: ThirdParties) -> PaymentChannel:
    return parties.channels.main


@pytest.fixture
async def delivery(channel: PaymentChannel, sandbox: Sandbox, listener: Listener) -> Delivery:
    """A real callback about a payment."""
    await create_paid_order(sandbox, channel)
    return await listener.one()


def trade_document(settings: Settings, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sp_appid": settings.wechat_pay_sp_appid,
        "sp_mchid": settings.wechat_pay_sp_mchid,
        "sub_mchid": settings.wechat_pay_sub_mchid,
        "out_trade_no": "order-1",
        "transaction_id": "4200000000000000000000000001",
        "trade_state": "SUCCESS",
        "success_time": "2026-01-01T08:00:00+08:00",
        "amount": {"total": AMOUNT_FEN, "payer_total": AMOUNT_FEN, "currency": "CNY"},
    }
    return {**values, **changes}


def refund_document(settings: Settings, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sp_mchid": settings.wechat_pay_sp_mchid,
        "sub_mchid": settings.wechat_pay_sub_mchid,
        "out_trade_no": "order-1",
        "out_refund_no": "refund-1",
        "refund_id": "50300000000000000000000000001",
        "refund_status": "SUCCESS",
        "amount": {"total": AMOUNT_FEN, "refund": AMOUNT_FEN},
    }
    return {**values, **changes}


class TestFromTheSandbox:
    async def test_a_payment(self, channel: PaymentChannel, sandbox: Sandbox, listener: Listener) -> None:
        request = create_prepay()
        sandbox.pay(await channel.prepay(request))
        delivery = await listener.one()
        assert delivery.path == "/callbacks/wechat-pay"
        assert request.out_trade_no.encode() not in delivery.body
        notice = await channel.open_notice(headers=delivery.headers, body=delivery.body, now=now())
        assert notice.refund is None
        assert notice.trade == await channel.query(request.out_trade_no)
        assert notice.trade.state is TradeState.SUCCESS
        assert notice.trade.amount_fen == AMOUNT_FEN
        assert 0 < len(notice.notice_id) <= 64

    @pytest.mark.parametrize(
        ("fault", "state"), [("ok", ChannelRefundState.SUCCESS), ("abnormal", ChannelRefundState.ABNORMAL)]
    )
    async def test_a_refund(
        self,
        channel: PaymentChannel,
        sandbox: Sandbox,
        listener: Listener,
        fault: str,
        state: ChannelRefundState,
    ) -> None:
        sandbox.faults(refund=fault)
        request = create_refund(await create_paid_order(sandbox, channel))
        accepted = await channel.refund(request)
        delivery = (await listener.wait_for(2))[1]
        notice = await channel.open_notice(headers=delivery.headers, body=delivery.body, now=now())
        assert notice.trade is None
        assert notice.refund is not None
        assert (notice.refund.state, notice.refund.amount_fen) == (state, AMOUNT_FEN)
        assert notice.refund.out_refund_no == request.out_refund_no
        assert notice.refund.refund_id == accepted.refund_id

    async def test_every_delivery_of_one_notice_has_one_id(
        self, channel: PaymentChannel, sandbox: Sandbox, listener: Listener
    ) -> None:
        """A repetition is signed anew; a replay is not. Both open to the id that was stored the first time."""
        listener.statuses = [500]
        request = await create_paid_order(sandbox, channel)
        first, second = await listener.wait_for(2)
        assert first.headers["wechatpay-nonce"] != second.headers["wechatpay-nonce"]
        opened = [
            await channel.open_notice(headers=each.headers, body=each.body, now=now())
            for each in (first, second, first)
        ]
        assert opened[0] == opened[2]
        assert replace(opened[1], nonce=opened[0].nonce) == opened[0]
        assert opened[1].nonce != opened[0].nonce
        other = await create_paid_order(sandbox, channel)
        third = (await listener.wait_for(3))[2]
        assert other.out_trade_no != request.out_trade_no
        third_opened = await channel.open_notice(headers=third.headers, body=third.body, now=now())
        assert third_opened.notice_id != opened[0].notice_id

    async def test_header_names_in_any_case(self, channel: PaymentChannel, delivery: Delivery) -> None:
        headers = {name.upper(): value for name, value in delivery.headers.items()}
        notice = await channel.open_notice(headers=headers, body=delivery.body, now=now())
        assert notice.trade is not None


class TestRefused:
    async def test_a_changed_byte_anywhere(self, channel: PaymentChannel, delivery: Delivery) -> None:
        for position in range(0, len(delivery.body), 7):
            altered = bytearray(delivery.body)
            altered[position] ^= 1
            with pytest.raises(NoticeRefused, match="signature"):
                await channel.open_notice(headers=delivery.headers, body=bytes(altered), now=now())

    @pytest.mark.parametrize("name", ["serial", "timestamp", "nonce", "signature"])
    async def test_a_header_that_is_missing_or_empty(
        self, channel: PaymentChannel, delivery: Delivery, name: str
    ) -> None:
        without = {key: value for key, value in delivery.headers.items() if key != f"wechatpay-{name}"}
        for headers in (without, {**without, f"wechatpay-{name}": ""}):
            with pytest.raises(NoticeRefused, match="unsigned"):
                await channel.open_notice(headers=headers, body=delivery.body, now=now())

    async def test_another_nonce_or_time_under_the_signature(self, channel: PaymentChannel, delivery: Delivery) -> None:
        for name, value in (
            ("wechatpay-nonce", "another"),
            ("wechatpay-timestamp", str(int(delivery.headers["wechatpay-timestamp"]) + 1)),
        ):
            with pytest.raises(NoticeRefused, match="signature"):
                await channel.open_notice(headers={**delivery.headers, name: value}, body=delivery.body, now=now())

    async def test_the_signature_of_one_notice_under_another(
        self, channel: PaymentChannel, sandbox: Sandbox, listener: Listener
    ) -> None:
        await create_paid_order(sandbox, channel)
        await create_paid_order(sandbox, channel)
        first, second = await listener.wait_for(2)
        with pytest.raises(NoticeRefused, match="signature"):
            await channel.open_notice(headers=first.headers, body=second.body, now=now())

    @pytest.mark.parametrize("shift_s", [-310, 310])
    async def test_stale_or_from_the_future(self, channel: PaymentChannel, delivery: Delivery, shift_s: int) -> None:
        with pytest.raises(NoticeRefused, match="old"):
            await channel.open_notice(
                headers=delivery.headers, body=delivery.body, now=now() + timedelta(seconds=shift_s)
            )
        await channel.open_notice(
            headers=delivery.headers, body=delivery.body, now=now() + timedelta(seconds=shift_s // 2)
        )

    async def test_a_signature_probe(self, channel: PaymentChannel, delivery: Delivery) -> None:
        """WeChat Pay itself sends false signatures now and then, to see whether they are checked."""
        headers = {**delivery.headers, "wechatpay-signature": "WECHATPAY/SIGNTEST/" + "A" * 325}
        with pytest.raises(NoticeRefused, match="signature"):
            await channel.open_notice(headers=headers, body=delivery.body, now=now())

    async def test_a_forger_with_a_key_of_his_own(
        self, channel: PaymentChannel, platform: Signer, settings: Settings
    ) -> None:
        forger = Signer(generate_private_key(65537, 2048), platform.secret, platform.serial)
        body = forger.pay_notice("TRANSACTION.SUCCESS", trade_document(settings))
        with pytest.raises(NoticeRefused, match="signature"):
            await channel.open_notice(headers=forger.pay_headers(body), body=body, now=now())
        own_serial = Signer(forger.key, platform.secret, "FORGED")
        with pytest.raises(NoticeRefused, match="unknown key"):
            await channel.open_notice(headers=own_serial.pay_headers(body), body=body, now=now())

    async def test_sealed_with_another_key(self, channel: PaymentChannel, platform: Signer, settings: Settings) -> None:
        other = Signer(platform.key, b"0" * 32, platform.serial)
        body = other.pay_notice("TRANSACTION.SUCCESS", trade_document(settings))
        with pytest.raises(NoticeRefused, match="does not open"):
            await channel.open_notice(headers=other.pay_headers(body), body=body, now=now())

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"id":"EV-1"}', b"\xc3\xa9"])
    async def test_signed_nonsense(self, channel: PaymentChannel, platform: Signer, body: bytes) -> None:
        with pytest.raises(NoticeRefused):
            await channel.open_notice(headers=platform.pay_headers(body), body=body, now=now())

    @pytest.mark.parametrize(
        "change",
        [
            lambda notice: notice.update(id="E" * 65),
            lambda notice: notice.update(id=7),
            lambda notice: notice.update(resource=None),
            lambda notice: notice["resource"].update(algorithm="AEAD_AES_128_GCM"),
            lambda notice: notice["resource"].update(associated_data="refund"),
            lambda notice: notice["resource"].update(associated_data=5),
            lambda notice: notice["resource"].update(nonce="short"),
            lambda notice: notice["resource"].update(ciphertext="QUFB"),
        ],
    )
    async def test_a_signed_envelope_that_is_wrong(
        self, channel: PaymentChannel, platform: Signer, settings: Settings, change: Change
    ) -> None:
        notice = json.loads(platform.pay_notice("TRANSACTION.SUCCESS", trade_document(settings)))
        change(notice)
        body = json.dumps(notice).encode()
        with pytest.raises(NoticeRefused):
            await channel.open_notice(headers=platform.pay_headers(body), body=body, now=now())

    @pytest.mark.parametrize(
        "changes",
        [
            {"amount": {"total": 500.0}},
            {"amount": {"total": "50000"}},
            {"amount": {"total": True}},
            {"amount": {"total": -1}},
            {"amount": {}},
            {"amount": 50_000},
            {"amount": {"total": 50_000, "currency": "USD"}},
            {"trade_state": "NOTPAY"},
            {"trade_state": "PAID"},
            {"trade_state": None},
            {"transaction_id": ""},
            {"transaction_id": 4200},
            {"out_trade_no": None},
            {"success_time": "yesterday"},
            {"sp_appid": 1},
        ],
    )
    async def test_a_payment_with_a_field_of_another_type(
        self, channel: PaymentChannel, platform: Signer, settings: Settings, changes: dict[str, Any]
    ) -> None:
        good = platform.pay_notice("TRANSACTION.SUCCESS", trade_document(settings))
        opened = await channel.open_notice(headers=platform.pay_headers(good), body=good, now=now())
        assert opened.trade is not None
        body = platform.pay_notice("TRANSACTION.SUCCESS", trade_document(settings, **changes))
        with pytest.raises(NoticeRefused):
            await channel.open_notice(headers=platform.pay_headers(body), body=body, now=now())

    @pytest.mark.parametrize(
        ("event", "changes"),
        [
            ("REFUND.SUCCESS", {"refund_status": "ABNORMAL"}),
            ("REFUND.ABNORMAL", {"refund_status": "SUCCESS"}),
            ("REFUND.SUCCESS", {"refund_status": "DONE"}),
            ("REFUND.SUCCESS", {"sp_mchid": "1900000110"}),
            ("REFUND.SUCCESS", {"sub_mchid": "1900000999"}),
            ("REFUND.SUCCESS", {"amount": {"refund": 0.5}}),
            ("REFUND.SUCCESS", {"refund_id": None}),
            ("REFUND.UNKNOWN", {}),
            ("TRANSACTION.SUCCESS", {}),
        ],
    )
    async def test_a_refund_that_contradicts_itself(
        self,
        channel: PaymentChannel,
        platform: Signer,
        settings: Settings,
        event: str,
        changes: dict[str, Any],
    ) -> None:
        good = platform.pay_notice("REFUND.SUCCESS", refund_document(settings), kind="refund")
        opened = await channel.open_notice(headers=platform.pay_headers(good), body=good, now=now())
        assert opened.refund is not None
        body = platform.pay_notice(event, refund_document(settings, **changes), kind="refund")
        with pytest.raises(NoticeRefused):
            await channel.open_notice(headers=platform.pay_headers(body), body=body, now=now())

    async def test_a_refusal_says_nothing_of_what_was_sent(
        self, channel: PaymentChannel, platform: Signer, settings: Settings
    ) -> None:
        body = platform.pay_notice("TRANSACTION.SUCCESS", trade_document(settings, amount={"total": "SECRET"}))
        with pytest.raises(NoticeRefused) as refused:
            await channel.open_notice(headers=platform.pay_headers(body), body=body, now=now())
        assert "SECRET" not in str(refused.value)


async def test_another_merchants_payment_is_told_as_it_is(
    parties: ThirdParties, platform: Signer, settings: Settings
) -> None:
    """Whose money it is, is for the payments room to compare; the facts name app and merchants as they came."""
    body = platform.pay_notice("TRANSACTION.SUCCESS", trade_document(settings, sub_mchid="1900000999"))
    notice = await parties.channels.main.open_notice(headers=platform.pay_headers(body), body=body, now=now())
    assert notice.trade is not None
    assert notice.trade.sub_mchid == "1900000999"
