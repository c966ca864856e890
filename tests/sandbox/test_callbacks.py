"""Callbacks that are kept, doubled, or come in another order than things happened."""

from __future__ import annotations

import httpx
import pytest

from gateways.assembly import third_parties
from tests.gateways.stand_ins import create_paid_order, create_refund, listening, now
from tests.sandbox_fixtures import Sandbox


async def test_a_held_payment_is_told_after_its_refund(sandbox: Sandbox) -> None:
    with listening() as listener:
        async with third_parties(sandbox.settings(port=listener.port)) as parties:
            main = parties.channels.main
            sandbox.faults(callbacks="hold", times=1)
            paid = await create_paid_order(sandbox, main)
            await main.refund(create_refund(paid))
            first = await listener.one()
            assert sandbox.repeat_callbacks(paid.out_trade_no) == 1
            second = (await listener.wait_for(2))[1]
            opened = [
                await main.open_notice(headers=each.headers, body=each.body, now=now()) for each in (first, second)
            ]
    assert [(each.trade is not None, each.refund is not None) for each in opened] == [(False, True), (True, False)]


async def test_a_held_callback_outlives_a_restart_and_is_then_repeated_until_it_is_taken(own_sandbox: Sandbox) -> None:
    sandbox = own_sandbox
    with listening() as listener:
        async with third_parties(sandbox.settings(port=listener.port)) as parties:
            sandbox.faults(callbacks="hold", times=1)
            held = await create_paid_order(sandbox, parties.channels.main)
            sandbox.stop()
            sandbox.start()
            told = await create_paid_order(sandbox, parties.channels.main)
            await sandbox.wait_until(lambda: sandbox.callbacks(told.out_trade_no)[0]["delivered_at"])
            assert sandbox.callbacks(held.out_trade_no)[0]["tries"] == []
            listener.statuses = [500, 204]
            sandbox.repeat_callbacks(held.out_trade_no)
            await sandbox.wait_until(lambda: sandbox.callbacks(held.out_trade_no)[0]["delivered_at"])
    assert [each["result"] for each in sandbox.callbacks(held.out_trade_no)[0]["tries"]] == ["500", "204"]


async def test_twice_at_once_is_one_notice(sandbox: Sandbox) -> None:
    with listening() as listener:
        async with third_parties(sandbox.settings(port=listener.port)) as parties:
            sandbox.faults(callbacks="twice", times=1)
            await create_paid_order(sandbox, parties.channels.main)
            both = await listener.wait_for(2)
            opened = [
                await parties.channels.main.open_notice(headers=each.headers, body=each.body, now=now())
                for each in both
            ]
    assert opened[0].notice_id == opened[1].notice_id
    assert opened[0].trade == opened[1].trade
    assert both[0].headers["wechatpay-nonce"] != both[1].headers["wechatpay-nonce"]


def test_an_order_that_there_is_not(sandbox: Sandbox) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        sandbox.repeat_callbacks("order-1", "by_chance")
    assert sandbox.repeat_callbacks("order-1", "newest_first") == 0
