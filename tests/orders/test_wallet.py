"""Money in the wallet: paid in through the channel, set aside and taken for orders, and given back where they fail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from domain.identity.idempotency import IdempotencyConflict
from domain.ledger import postings
from domain.ledger.queries import balance, wallets
from domain.orders import audit, confirming, paying
from domain.payments import top_ups
from domain.payments.operations import PaymentUnavailable
from domain.payments.rules import PaymentMismatch
from domain.payments.wallet import WalletInsufficient
from domain.risk.rules import AmountTooLarge, WalletTooFull
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import ErrorKind, OrderState, PaymentMethod, PaymentState, RefundState
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund, WalletTopUp
from models.reviews import ErrorEntry
from tests.factories import LIMITS
from tests.ledger.audit import assert_books_are_true
from tests.orders.conftest import House, steps

WALLET = PaymentMethod.WALLET


async def start_top_up(
    house: House,
    yuan: str = "1000.00",
    key: str | None = None,
    *,
    pay_within: timedelta = timedelta(minutes=15),
    now: datetime | None = None,
) -> top_ups.StartedTopUp:
    return await top_ups.start(
        viewer=house.viewer,
        yuan=Decimal(yuan),
        idempotency_key=key or uuid4().hex,
        channels=house.third_parties.channels,
        limits=LIMITS,
        pay_within=pay_within,
        query_after=timedelta(0),
        now=now or utc_now(),
    )


async def wallet(house: House) -> tuple[int, int]:
    """Return what can be spent and what is held, in fen."""
    ((spendable, held),) = await wallets([house.viewer.user_id])
    return spendable.fen, held.fen


async def top_up(house: House, yuan: str = "1000.00") -> WalletTopUp:
    started = await start_top_up(house, yuan)
    assert started.parameters is not None
    house.sandbox.pay(started.parameters.package)
    await work(house)
    return await WalletTopUp.get(id=started.top_up.id)


async def work(house: House, *, now: datetime | None = None) -> None:
    await Job.filter(done_at__isnull=True, kind="query_top_up").update(due_at=utc_now())
    await house.worker.run_due(now=now)
    await house.worker.settle()


class TestTopUp:
    async def test_a_payment_fills_the_wallet(self, house: House) -> None:
        paid = await top_up(house)
        assert paid.state is PaymentState.PAID
        assert await wallet(house) == (100_000, 0)
        clearing = postings.channel_clearing(paid.channel, paid.sub_mchid)
        assert await balance(clearing) == Money(100_000)
        await assert_books_are_true()

    async def test_copies_of_the_word_fill_it_once(self, house: House) -> None:
        started = await start_top_up(house)
        assert started.parameters is not None
        house.sandbox.pay(started.parameters.package)
        facts = await house.third_parties.channels.main.query(started.top_up.out_trade_no)
        channels = house.third_parties.channels
        await asyncio.gather(*(top_ups.confirm(facts=facts, channels=channels, now=utc_now()) for _ in range(20)))
        assert await wallet(house) == (100_000, 0)
        with pytest.raises(PaymentMismatch):
            await top_ups.confirm(facts=replace(facts, amount_fen=1), channels=channels, now=utc_now())
        with pytest.raises(PaymentMismatch):
            await top_ups.confirm(facts=replace(facts, transaction_id="4200"), channels=channels, now=utc_now())
        assert await LedgerTransaction.all().count() == 1

    async def test_one_key_is_one_top_up(self, house: House) -> None:
        made = await asyncio.gather(*(start_top_up(house, key="top-up-key-1") for _ in range(6)))
        assert len({started.top_up.id for started in made}) == 1
        with pytest.raises(IdempotencyConflict):
            await start_top_up(house, "999.00", key="top-up-key-1")
        assert await WalletTopUp.all().count() == 1

    async def test_the_limits_hold(self, house: House) -> None:
        await top_up(house, "4000.00")
        with pytest.raises(AmountTooLarge):
            await start_top_up(house, "5000.01")
        await top_up(house, "4000.00")
        with pytest.raises(WalletTooFull) as full:
            await start_top_up(house, "2000.01")
        assert full.value.values["maximum"] == Money(200_000)
        assert await WalletTopUp.all().count() == 2

    async def test_behind_its_deadline_it_is_closed_and_a_late_payment_is_credited_all_the_same(
        self, house: House
    ) -> None:
        started = await start_top_up(house, pay_within=timedelta(seconds=1))
        await work(house, now=utc_now() + timedelta(seconds=2))
        assert (await WalletTopUp.get()).state is PaymentState.OPEN
        later = utc_now() + timedelta(minutes=1)
        assert await top_ups.settle(top_up=started.top_up, channels=house.third_parties.channels, now=later)
        assert (await WalletTopUp.get()).state is PaymentState.CLOSED
        assert house.sandbox.payment(started.top_up.out_trade_no)["state"] == "CLOSED"
        assert started.parameters is not None
        house.sandbox.pay(started.parameters.package, force=True)
        facts = await house.third_parties.channels.main.query(started.top_up.out_trade_no)
        await top_ups.confirm(facts=facts, channels=house.third_parties.channels, now=utc_now())
        assert await wallet(house) == (100_000, 0)
        assert (await ErrorEntry.get()).kind is ErrorKind.LATE_TOP_UP

    async def test_an_unanswered_channel_leaves_one_that_continues(self, house: House) -> None:
        house.sandbox.faults(payment="timeout", times=1)
        with pytest.raises(PaymentUnavailable):
            await start_top_up(house, key="top-up-key-1")
        started = await start_top_up(house, key="top-up-key-1")
        assert started.parameters is not None
        assert await WalletTopUp.all().count() == 1


class TestSpending:
    async def test_the_wallet_pays_at_once_and_the_recharge_goes_on(self, house: House) -> None:
        await top_up(house)
        order = await house.order("300.00")
        started = await house.start_payment(order, method=WALLET)
        assert started.parameters is None
        assert started.order.state is OrderState.RECHARGING
        assert await wallet(house) == (70_000, 0)
        done = await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await steps(done.id) == [1, 2, 4, 10, 11]
        keys = await LedgerTransaction.filter(order_id=order.id).order_by("id").values_list("key", flat=True)
        assert [str(key).split(":")[1] for key in keys] == ["held", "paid", "succeeded"]

    async def test_the_same_request_again_says_the_same_and_pays_once(self, house: House) -> None:
        await top_up(house)
        order = await house.order("300.00")
        answers = [await house.start_payment(order, "pay-key-1", method=WALLET) for _ in range(3)]
        assert {answer.order.id for answer in answers} == {order.id}
        assert await wallet(house) == (70_000, 0)
        assert await PaymentAttempt.filter(order_id=order.id).count() == 1

    async def test_two_orders_at_once_cannot_spend_the_same_money(self, house: House) -> None:
        await top_up(house, "500.00")
        orders = [await house.order("400.00") for _ in range(4)]
        outcomes = await asyncio.gather(
            *(house.start_payment(order, method=WALLET) for order in orders), return_exceptions=True
        )
        assert sum(isinstance(each, WalletInsufficient) for each in outcomes) == 3
        assert await wallet(house) == (10_000, 0)
        assert await RechargeOrder.filter(state=OrderState.RECHARGING).count() == 1
        assert await RechargeOrder.filter(state=OrderState.PENDING_PAYMENT).count() == 3
        await assert_books_are_true()

    async def test_what_is_not_there_is_not_spent(self, house: House) -> None:
        order = await house.order("300.00")
        with pytest.raises(WalletInsufficient) as refused:
            await house.start_payment(order, method=WALLET)
        assert refused.value.values == {"balance": Money(0), "missing": Money(30_000)}
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PENDING_PAYMENT
        assert await PaymentAttempt.all().count() == 0

    async def test_a_refund_goes_back_into_the_wallet(self, house: House) -> None:
        await top_up(house)
        house.sandbox.faults(issuer="refuse")
        order = await house.order("300.00")
        await house.start_payment(order, method=WALLET)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert await steps(done.id) == [1, 2, 4, 10, 12, 16, 16]
        assert await wallet(house) == (100_000, 0)
        assert house.sandbox.refund((await Refund.get()).out_refund_no) is None

    async def test_a_server_that_dies_between_holding_and_taking_loses_nothing(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await top_up(house)
        order = await house.order("300.00")

        async def die(**_: object) -> RechargeOrder:
            raise KeyboardInterrupt

        with monkeypatch.context() as broken:
            broken.setattr(paying, "capture", die)
            with pytest.raises(KeyboardInterrupt):
                await house.start_payment(order, method=WALLET)
        assert await wallet(house) == (70_000, 30_000)
        assert await audit.findings() == []
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await wallet(house) == (70_000, 0)

    async def test_cancelling_what_is_held_gives_it_back(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        await top_up(house)
        order = await house.order("300.00")

        async def die(**_: object) -> RechargeOrder:
            raise KeyboardInterrupt

        monkeypatch.setattr(paying, "capture", die)
        with pytest.raises(KeyboardInterrupt):
            await house.start_payment(order, method=WALLET)
        await house.cancel(order)
        assert await wallet(house) == (100_000, 0)
        attempt = await house.attempt(order)
        await confirming.capture(attempt=attempt, actor="t", policy=house.policy, now=utc_now())
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.FAILED
        assert await wallet(house) == (100_000, 0)
        assert await audit.findings() == []

    async def test_another_way_to_pay_closes_the_first_one_at_the_channel(self, house: House) -> None:
        await top_up(house)
        order = await house.order("300.00")
        await house.start_payment(order)
        await house.start_payment(order, method=WALLET)
        first, second = await PaymentAttempt.filter(order_id=order.id).order_by("number")
        assert (first.state, second.state, second.channel) == (PaymentState.CLOSED, PaymentState.PAID, "wallet")
        assert house.sandbox.payment(first.out_trade_no)["state"] == "CLOSED"
        assert await steps(order.id) == [1, 2, 3, 4]
