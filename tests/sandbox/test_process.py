"""The sandbox as a process: it remembers, repeats itself, keeps quiet about secrets, and is driven by hand."""

from __future__ import annotations

from base64 import b64decode

import httpx
import pytest

from domain.cards.ports import IssuerOrderState
from domain.payments.ports import ChannelRefundState, TradeState
from gateways.assembly import third_parties
from tests.gateways.stand_ins import (
    CARD_NUMBER,
    create_paid_order,
    create_prepay,
    create_recharge,
    create_refund,
    listening,
    now,
)
from tests.sandbox_fixtures import Sandbox


async def test_a_restart_forgets_nothing_and_finishes_what_it_began(own_sandbox: Sandbox) -> None:
    sandbox = own_sandbox
    with listening() as listener:
        settings = sandbox.settings(port=listener.port)
        async with third_parties(settings) as parties:
            open_order, paid = create_prepay(), await create_paid_order(sandbox, parties.channels.main)
            prepay_id = await parties.channels.main.prepay(open_order)
            await listener.wait_for(1)
            sandbox.faults(issuer_delay_ms=2_000, refund="processing")
            recharge, refund = create_recharge(), create_refund(paid)
            await parties.issuer.submit(recharge)
            await parties.channels.main.refund(refund)
            code = sandbox.login_code()
            sandbox.stop()
            sandbox.start()
        async with third_parties(settings) as parties:
            assert await parties.channels.main.prepay(open_order) == prepay_id
            assert (await parties.channels.main.query(paid.out_trade_no)).state is TradeState.REFUNDED
            assert (
                await parties.channels.main.query_refund(refund.out_refund_no)
            ).state is ChannelRefundState.PROCESSING
            assert sandbox.state()["faults"]["issuer_delay_ms"] == 2_000
            assert await parties.login.openid_of(code)
            told = (await listener.wait_for(2))[1]
            notice = parties.issuer.open_notice(headers=told.headers, body=told.body, now=now())
            assert notice.recharge.attempt_id == recharge.attempt_id
            assert notice.recharge.state is IssuerOrderState.SUCCEEDED


async def test_a_callback_outlives_a_receiver_and_a_restart(own_sandbox: Sandbox) -> None:
    sandbox = own_sandbox
    with listening() as gone:
        port = gone.port
    settings = sandbox.settings(port=port)
    async with third_parties(settings) as parties:
        paid = await create_paid_order(sandbox, parties.channels.main)
        await sandbox.wait_until(lambda: sandbox.callbacks(paid.out_trade_no)[0]["tries"])
        sandbox.stop()
        sandbox.start()
        await sandbox.wait_until(lambda: len(sandbox.callbacks(paid.out_trade_no)[0]["tries"]) >= 2)
    callback = sandbox.callbacks(paid.out_trade_no)[0]
    assert {each["result"] for each in callback["tries"]} == {"ConnectError"}
    assert callback["delivered_at"] is None


async def test_callbacks_are_repeated_until_they_are_taken(sandbox: Sandbox) -> None:
    with listening() as listener:
        listener.statuses = [500, 302, 204]
        async with third_parties(sandbox.settings(port=listener.port)) as parties:
            paid = await create_paid_order(sandbox, parties.channels.main)
            first, second, third = await listener.wait_for(3)
            assert first.body == second.body == third.body
            assert len({each.headers["wechatpay-nonce"] for each in (first, second, third)}) == 3
        await sandbox.wait_until(lambda: sandbox.callbacks(paid.out_trade_no)[0]["delivered_at"])
        tries = sandbox.callbacks(paid.out_trade_no)[0]["tries"]
        assert [each["result"] for each in tries] == ["500", "302", "204"]


async def test_no_callback_leaves_it_to_the_query(sandbox: Sandbox) -> None:
    sandbox.faults(payment="no_callback", times=1)
    with listening() as listener:
        async with third_parties(sandbox.settings(port=listener.port)) as parties:
            silent = await create_paid_order(sandbox, parties.channels.main)
            told = await create_paid_order(sandbox, parties.channels.main)
            await listener.one()
            assert (await parties.channels.main.query(silent.out_trade_no)).state is TradeState.SUCCESS
    assert sandbox.callbacks(silent.out_trade_no) == []
    assert len(sandbox.callbacks(told.out_trade_no)) == 1


async def test_a_late_success_can_be_forced(sandbox: Sandbox) -> None:
    async with third_parties(sandbox.settings()) as parties:
        closed, expired = create_prepay(), create_prepay(expires_at=now())
        for order in (closed, expired):
            prepay_id = await parties.channels.main.prepay(order)
            if order is closed:
                await parties.channels.main.close(order.out_trade_no)
            with pytest.raises(httpx.HTTPStatusError, match="409"):
                sandbox.pay(prepay_id)
            assert sandbox.pay(prepay_id, force=True)["trade_state"] == "SUCCESS"
            with pytest.raises(httpx.HTTPStatusError, match="409"):
                sandbox.pay(prepay_id, force=True)


async def test_secrets_stay_out_of_the_log_and_of_what_is_shown(own_sandbox: Sandbox) -> None:
    sandbox = own_sandbox
    async with third_parties(sandbox.settings()) as parties:
        await parties.login.openid_of(code := sandbox.login_code())
        recharge = create_recharge()
        await parties.issuer.submit(recharge)
        await create_paid_order(sandbox, parties.channels.main)
        sandbox.verify_face((await parties.face.begin(subject="order-1")).token)
        await sandbox.wait_until(lambda: sandbox.recharge(recharge.attempt_id)["state"] == "SUCCEEDED")
        await sandbox.wait_until(lambda: sandbox.callbacks(recharge.attempt_id)[0]["tries"])
    log, shown = sandbox.log.read_text(), str(sandbox.state())
    database = (sandbox.data_dir / "sandbox" / "sandbox.db").read_bytes()
    database += (sandbox.data_dir / "sandbox" / "sandbox.db-wal").read_bytes()
    assert "sandbox.callback" in log
    assert CARD_NUMBER.encode() not in database
    names = ("wechat_pay_api_v3_key", "wechat_open_app_secret", "issuer_secret", "tencent_secret_key")
    for secret in (CARD_NUMBER, code, *((sandbox.keys / name).read_text() for name in names)):
        assert secret not in log
        assert secret not in shown


class TestControl:
    @pytest.mark.parametrize(
        ("action", "body"),
        [
            ("faults", {"issuer": "explode"}),
            ("faults", {"issuer": {"mode": "refuse"}}),
            ("faults", {"weather": "rain"}),
            ("faults", {"issuer": "refuse", "times": 0}),
            ("faults", {"issuer": "refuse", "times": True}),
            ("faults", {"issuer_delay_ms": -1}),
            ("pay", {}),
            ("wx-login", {"user": ""}),
            ("wx-login", {"user": 5}),
            ("faults", {"face": "explode"}),
            ("faults", {"callbacks": "lose"}),
            ("settle", {"attempt_id": "x", "state": "SUCCESS"}),
            ("settle", {"out_refund_no": "x", "state": "REVERSED"}),
            ("settle", {}),
            ("repeat-callbacks", {}),
        ],
    )
    def test_a_wrong_wish_changes_nothing(self, sandbox: Sandbox, action: str, body: dict[str, object]) -> None:
        before = sandbox.state()
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            sandbox.control(action, **body)
        after = sandbox.state()
        assert (after["faults"], after["payments"]) == (before["faults"], before["payments"])

    def test_what_is_not_there(self, sandbox: Sandbox) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            sandbox.pay("prepay_id=wx0")
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            sandbox.control("settle", attempt_id="x", state="SUCCEEDED")

    def test_faults_count_down(self, sandbox: Sandbox) -> None:
        sandbox.faults(issuer="refuse", refund="abnormal", times=2)
        faults = sandbox.state()["faults"]
        assert faults["issuer"] == faults["refund"] | {"mode": "refuse"} == {"mode": "refuse", "times": 2}
        sandbox.faults(issuer="ok", issuer_delay_ms=5)
        faults = sandbox.state()["faults"]
        assert (faults["issuer"]["mode"], faults["refund"]["times"], faults["issuer_delay_ms"]) == ("ok", 2, 5)
        sandbox.clear_faults()
        assert sandbox.state()["faults"]["issuer_delay_ms"] == 150

    def test_a_page_of_another_origin_cannot_drive_it(self, sandbox: Sandbox) -> None:
        """A form or a plain fetch needs no permission from us, but cannot say application/json."""
        answer = sandbox.client.post("/control/wx-login", content=b'{"user":"demo"}')
        assert answer.status_code == 415
        allowed = sandbox.client.options("/control/wx-login", headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in allowed.headers

    def test_the_page_needs_nothing_from_elsewhere(self, sandbox: Sandbox) -> None:
        page = sandbox.client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for button in ("支付 · Pay", "通过 · Pass", "不通过 · Fail"):
            assert button in page.text
        assert "http://" not in page.text
        assert "https://" not in page.text


def test_openids_look_like_openids(sandbox: Sandbox) -> None:
    openid = sandbox.control("wx-login", user="demo")["openid"]
    assert len(b64decode(openid[:28], altchars=b"-_")) == 21
