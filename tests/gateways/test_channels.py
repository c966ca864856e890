"""The routes of WeChat Pay: which there are, that each keeps to its sub-merchant, and that one outlives the other."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from domain.orders.ports import ThirdParties
from domain.payments.ports import (
    ChannelRefundState,
    ChannelRefused,
    Channels,
    ChannelUnavailable,
    NoticeRefused,
    TradeState,
    UnknownChannel,
)
from gateways.assembly import third_parties
from gateways.assembly_payments import wechat_pay, wechat_pay_keys, wires_of
from gateways.key_source import KeySource
from kernel.settings import SANDBOX_ALIPAY_SELLER_ID, Settings
from kernel.states import PaymentMethod
from kernel.tasks import cancel_and_wait
from tests.gateways.stand_ins import (
    AMOUNT_FEN,
    Listener,
    Signer,
    create_paid_order,
    create_prepay,
    create_refund,
    now,
)
from tests.sandbox_fixtures import Sandbox

MAIN, BACKUP = "1900000209", "1900000210"


@pytest.fixture
def channels(parties: ThirdParties) -> Channels:
    return parties.channels


def test_in_development_there_is_a_backup_to_fail_over_to(channels: Channels) -> None:
    main, backup, alipay = channels.routes
    assert [(each.name, each.sub_mchid) for each in channels.routes] == [
        ("wechat_pay", MAIN),
        ("wechat_pay", BACKUP),
        ("alipay", SANDBOX_ALIPAY_SELLER_ID),
    ]
    assert channels.main is main
    assert channels.by([PaymentMethod.WECHAT_PAY]) == (main, backup)
    assert channels.by([PaymentMethod.ALIPAY, PaymentMethod.WALLET, PaymentMethod.WECHAT_PAY]) == (alipay, main, backup)
    assert channels.by([PaymentMethod.WALLET]) == ()
    assert channels.of(name="wechat_pay", sub_mchid=BACKUP) is backup
    with pytest.raises(UnknownChannel):
        channels.of(name="wechat_pay", sub_mchid="1900000999")


class TestEachKeepsToItsMerchant:
    async def test_a_payment_and_its_refund_by_the_backup(
        self, channels: Channels, sandbox: Sandbox, listener: Listener
    ) -> None:
        backup = channels.routes[1]
        paid = await create_paid_order(sandbox, backup)
        assert sandbox.payment(paid.out_trade_no)["sub_mchid"] == BACKUP
        assert (await backup.query(paid.out_trade_no)).sub_mchid == BACKUP
        request = create_refund(paid)
        await backup.refund(request)
        payment, refund = await listener.wait_for(2)
        told = await channels.main.open_notice(headers=payment.headers, body=payment.body, now=now())
        assert told.trade is not None
        assert (told.trade.out_trade_no, told.trade.sub_mchid) == (paid.out_trade_no, BACKUP)
        told = await channels.main.open_notice(headers=refund.headers, body=refund.body, now=now())
        assert told.refund is not None
        assert (told.refund.out_refund_no, told.refund.state) == (request.out_refund_no, ChannelRefundState.SUCCESS)
        assert (await backup.query_refund(request.out_refund_no)).state is ChannelRefundState.SUCCESS

    async def test_the_other_route_knows_nothing_of_it(self, channels: Channels, sandbox: Sandbox) -> None:
        main, backup, *_ = channels.routes
        paid, unpaid = await create_paid_order(sandbox, main), create_prepay()
        await main.prepay(unpaid)
        refund = create_refund(paid)
        assert (await backup.query(paid.out_trade_no)).state is TradeState.NOT_FOUND
        with pytest.raises(ChannelRefused, match="RESOURCE_NOT_EXISTS"):
            await backup.refund(refund)
        with pytest.raises(ChannelRefused, match="OUT_TRADE_NO_USED"):
            await backup.prepay(unpaid)
        await backup.close(unpaid.out_trade_no)
        assert sandbox.payment(unpaid.out_trade_no)["state"] == "NOTPAY"
        await main.refund(refund)
        assert (await backup.query_refund(refund.out_refund_no)).state is ChannelRefundState.NOT_FOUND
        with pytest.raises(ChannelRefused, match="INVALID_REQUEST"):
            await backup.refund(refund)
        assert (await main.query(paid.out_trade_no)).state is TradeState.REFUNDED

    async def test_every_request_names_it(self, settings: Settings, sandbox: Sandbox) -> None:
        """What is asked about a merchant's order names that merchant, also where the number alone would be enough."""
        del sandbox
        seen: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(400)

        keys = wechat_pay_keys(KeySource(settings))
        assert keys is not None
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="http://pay") as client:
            _, (wire,) = wires_of(settings, keys, [client])
            backup = wechat_pay(settings, wire, sub_mchid=BACKUP, sub_mchids=frozenset({MAIN, BACKUP}))
            request = create_prepay()
            for call in (
                backup.prepay(request),
                backup.close("order-1"),
                backup.refund(create_refund(request)),
                backup.query("order-1"),
                backup.query_refund("refund-1"),
            ):
                with pytest.raises(ChannelUnavailable):
                    await call
        assert [json.loads(each.content)["sub_mchid"] for each in seen[:3]] == [BACKUP] * 3
        assert [each.url.params["sub_mchid"] for each in seen[3:]] == [BACKUP] * 2


class TestOneIsDown:
    async def test_the_backup_takes_over(self, channels: Channels, sandbox: Sandbox) -> None:
        main, backup, *_ = channels.routes
        sandbox.faults(**{f"payment:{MAIN}": "error_500"})
        with pytest.raises(ChannelUnavailable, match="status 500"):
            await main.prepay(create_prepay())
        paid = await create_paid_order(sandbox, backup)
        assert (await backup.query(paid.out_trade_no)).state is TradeState.SUCCESS

    async def test_a_route_that_does_not_answer_does_not_hold_up_the_other(
        self, settings: Settings, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each has connections of its own: with one connection each, the silent one would block a shared pool."""
        monkeypatch.setattr("gateways.connections.CONNECTIONS_MAX", 1)
        sandbox.faults(**{f"payment:{MAIN}": "timeout"})
        async with third_parties(settings) as parties:
            main, backup, *_ = parties.channels.routes
            waiting = asyncio.ensure_future(main.prepay(request := create_prepay()))
            await sandbox.wait_until(lambda: sandbox.payment(request.out_trade_no))
            assert not waiting.done()
            assert (await backup.prepay(create_prepay())).startswith("wx")
            assert not waiting.done()
            await cancel_and_wait(waiting)


class TestNotices:
    @pytest.mark.parametrize("route", [0, 1])
    @pytest.mark.parametrize("sub_mchid", [MAIN, BACKUP])
    async def test_any_route_opens_those_of_all(
        self, channels: Channels, platform: Signer, settings: Settings, route: int, sub_mchid: str
    ) -> None:
        body = refund_notice(platform, settings, sub_mchid)
        opened = await channels.routes[route].open_notice(headers=platform.pay_headers(body), body=body, now=now())
        assert opened.refund is not None

    async def test_without_a_backup_its_merchant_is_a_stranger(
        self, settings: Settings, sandbox: Sandbox, platform: Signer
    ) -> None:
        del sandbox
        body = refund_notice(platform, settings, BACKUP)
        async with third_parties(settings.model_copy(update={"wechat_pay_backup_sub_mchid": ""})) as parties:
            assert [each.sub_mchid for each in parties.channels.by([PaymentMethod.WECHAT_PAY])] == [MAIN]
            with pytest.raises(NoticeRefused, match="another merchant"):
                await parties.channels.main.open_notice(headers=platform.pay_headers(body), body=body, now=now())


def refund_notice(platform: Signer, settings: Settings, sub_mchid: str) -> bytes:
    document = {
        "sp_mchid": settings.wechat_pay_sp_mchid,
        "sub_mchid": sub_mchid,
        "out_trade_no": "order-1",
        "out_refund_no": "refund-1",
        "refund_id": "503",
        "refund_status": "SUCCESS",
        "amount": {"total": AMOUNT_FEN, "refund": AMOUNT_FEN},
    }
    return platform.pay_notice("REFUND.SUCCESS", document, kind="refund")
