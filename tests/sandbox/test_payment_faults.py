"""How a payment or a refund can go wrong at WeChat Pay, for one sub-merchant or for all, through the real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from domain.payments.ports import ChannelRefundState, ChannelUnavailable, PaymentChannel, RefundFacts, TradeState
from gateways.assembly import third_parties
from tests.gateways.stand_ins import SHORT_TIMEOUT_S, TIMEOUT_S, create_paid_order, create_prepay, create_refund
from tests.sandbox_fixtures import Sandbox

MAIN, BACKUP = "1900000209", "1900000210"


@pytest.fixture
async def routes(sandbox: Sandbox) -> AsyncIterator[tuple[PaymentChannel, ...]]:
    """The main route and the backup."""
    async with third_parties(sandbox.settings(third_party_timeout_s=TIMEOUT_S)) as parties:
        yield parties.channels.routes


@pytest.fixture
def main(routes: tuple[PaymentChannel, ...]) -> PaymentChannel:
    return routes[0]


@pytest.fixture
def backup(routes: tuple[PaymentChannel, ...]) -> PaymentChannel:
    return routes[1]


@pytest.fixture
async def hasty(sandbox: Sandbox) -> AsyncIterator[PaymentChannel]:
    """The main route with little patience, for what will not be answered."""
    async with third_parties(sandbox.settings(third_party_timeout_s=SHORT_TIMEOUT_S)) as parties:
        yield parties.channels.main


class TestPayment:
    async def test_a_prepay_that_fails_makes_no_order(self, main: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(payment="prepay_error_500")
        request = create_prepay()
        with pytest.raises(ChannelUnavailable, match="status 500"):
            await main.prepay(request)
        assert (await main.query(request.out_trade_no)).state is TradeState.NOT_FOUND
        await main.close(request.out_trade_no)

    async def test_a_prepay_without_an_answer_leaves_an_order_that_can_be_paid(
        self, main: PaymentChannel, hasty: PaymentChannel, sandbox: Sandbox
    ) -> None:
        sandbox.faults(payment="timeout", times=1)
        request = create_prepay()
        with pytest.raises(ChannelUnavailable):
            await hasty.prepay(request)
        assert (await main.query(request.out_trade_no)).state is TradeState.UNPAID
        sandbox.pay(sandbox.payment(request.out_trade_no)["prepay_id"])
        assert (await main.query(request.out_trade_no)).state is TradeState.SUCCESS

    @pytest.mark.parametrize(
        ("fault", "state"), [("close_timeout", TradeState.CLOSED), ("close_lost", TradeState.UNPAID)]
    )
    async def test_a_close_without_an_answer_may_or_may_not_have_closed(
        self, main: PaymentChannel, hasty: PaymentChannel, sandbox: Sandbox, fault: str, state: TradeState
    ) -> None:
        sandbox.faults(payment=fault, times=1)
        request = create_prepay()
        prepay_id = await main.prepay(request)
        with pytest.raises(ChannelUnavailable, match="close"):
            await hasty.close(request.out_trade_no)
        assert (await main.query(request.out_trade_no)).state is state
        await main.close(request.out_trade_no)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            sandbox.pay(prepay_id)
        assert sandbox.pay(prepay_id, force=True)["trade_state"] == "SUCCESS"
        assert (await main.query(request.out_trade_no)).state is TradeState.SUCCESS

    async def test_only_queries_fail(self, main: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(payment="query_error_500")
        request = create_prepay()
        await main.prepay(request)
        with pytest.raises(ChannelUnavailable, match="status 500"):
            await main.query(request.out_trade_no)
        await main.close(request.out_trade_no)
        sandbox.clear_faults()
        assert (await main.query(request.out_trade_no)).state is TradeState.CLOSED


class TestRefund:
    async def test_a_refund_without_an_answer_is_found_under_its_number(
        self, main: PaymentChannel, hasty: PaymentChannel, sandbox: Sandbox
    ) -> None:
        request = create_refund(await create_paid_order(sandbox, main))
        sandbox.faults(refund="timeout", times=1)
        with pytest.raises(ChannelUnavailable, match="refund"):
            await hasty.refund(request)
        again = await main.refund(request)
        assert again.refund_id == sandbox.refund(request.out_refund_no)["refund_id"]
        await sandbox.wait_until(lambda: sandbox.refund(request.out_refund_no)["status"] == "SUCCESS")

    async def test_closed(self, main: PaymentChannel, sandbox: Sandbox) -> None:
        """Nothing went back, so the whole amount may be refunded again, and only under another number."""
        sandbox.faults(refund="closed", times=1)
        paid = await create_paid_order(sandbox, main)
        request = create_refund(paid)
        assert (await main.refund(request)).state is ChannelRefundState.PROCESSING
        await sandbox.wait_until(lambda: sandbox.refund(request.out_refund_no)["status"] == "CLOSED")
        assert (await main.query_refund(request.out_refund_no)).state is ChannelRefundState.ABNORMAL
        assert (await main.refund(request)).state is ChannelRefundState.ABNORMAL
        assert (await main.refund(create_refund(paid))).state is ChannelRefundState.PROCESSING

    async def test_processing_until_somebody_settles_it(self, main: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(refund="processing", times=1)
        request = create_refund(await create_paid_order(sandbox, main))

        async def ask() -> RefundFacts:
            return await main.query_refund(request.out_refund_no)

        await main.refund(request)
        assert (await ask()).state is ChannelRefundState.PROCESSING
        sandbox.settle_refund(request.out_refund_no, "ABNORMAL")
        assert (await ask()).state is ChannelRefundState.ABNORMAL
        sandbox.settle_refund(request.out_refund_no, "SUCCESS")
        assert (await ask()).state is ChannelRefundState.SUCCESS

    async def test_what_is_settled_by_hand_is_not_settled_again_by_the_clock(
        self, main: PaymentChannel, sandbox: Sandbox
    ) -> None:
        first = create_refund(await create_paid_order(sandbox, main))
        second = create_refund(await create_paid_order(sandbox, main))
        await main.refund(first)
        sandbox.settle_refund(first.out_refund_no, "ABNORMAL")
        await main.refund(second)
        await sandbox.wait_until(lambda: sandbox.refund(second.out_refund_no)["status"] == "SUCCESS")
        assert sandbox.refund(first.out_refund_no)["status"] == "ABNORMAL"


class TestOneMerchant:
    async def test_only_its_payments_fail(self, main: PaymentChannel, backup: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(**{f"payment:{BACKUP}": "error_500"})
        assert (await main.prepay(create_prepay())).startswith("wx")
        with pytest.raises(ChannelUnavailable):
            await backup.prepay(create_prepay())

    async def test_only_its_refunds_fail(self, main: PaymentChannel, backup: PaymentChannel, sandbox: Sandbox) -> None:
        sandbox.faults(**{f"refund:{MAIN}": "error_500"})
        by_main, by_backup = await create_paid_order(sandbox, main), await create_paid_order(sandbox, backup)
        with pytest.raises(ChannelUnavailable):
            await main.refund(create_refund(by_main))
        assert (await backup.refund(create_refund(by_backup))).state is ChannelRefundState.PROCESSING

    async def test_its_payments_stay_untold(
        self, main: PaymentChannel, backup: PaymentChannel, sandbox: Sandbox
    ) -> None:
        sandbox.faults(**{f"payment:{MAIN}": "no_callback"})
        untold, told = await create_paid_order(sandbox, main), await create_paid_order(sandbox, backup)
        assert (len(sandbox.callbacks(untold.out_trade_no)), len(sandbox.callbacks(told.out_trade_no))) == (0, 1)

    async def test_its_own_fault_goes_first_and_counts_for_itself(
        self, main: PaymentChannel, backup: PaymentChannel, sandbox: Sandbox
    ) -> None:
        sandbox.faults(payment="no_callback", times=5)
        sandbox.faults(**{f"payment:{MAIN}": "no_callback", "times": 1})
        for channel in (main, main, backup):
            await create_paid_order(sandbox, channel)
        faults = sandbox.state()["faults"]
        assert (faults[f"payment:{MAIN}"]["mode"], faults["payment"]["times"]) == ("ok", 3)

    @pytest.mark.parametrize("name", ["payment:1900000999", "issuer:1900000209", "payment:", "refund"])
    def test_a_merchant_that_there_is_not(self, sandbox: Sandbox, name: str) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            sandbox.faults(**{name: "timeout" if name != "refund" else "close_timeout"})
        assert {each["mode"] for each in sandbox.state()["faults"].values() if isinstance(each, dict)} == {"ok"}
