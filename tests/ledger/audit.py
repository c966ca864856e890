"""What is true of the books after every test that moves money: the audit's second opinion, row by row in Python."""

from __future__ import annotations

from collections import Counter, defaultdict

from domain.ledger import audit
from domain.ledger.chart import Side, kind_of
from domain.ledger.postings import REFUNDS_PAYABLE, TRANSIT
from domain.ledger.shards import shard_of
from kernel.states import OrderState, PaymentState, RefundState
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund


async def assert_books_are_true() -> None:
    """Check that entries balance, balances replay, and every order's money is where its state says."""
    accounts = {account.id: account for account in await LedgerAccount.all()}
    transactions = {row.id: row for row in await LedgerTransaction.all()}
    lines: dict[object, list[LedgerEntry]] = defaultdict(list)
    replayed: dict[object, list[int]] = defaultdict(list)
    booked: Counter[tuple[object, str]] = Counter()
    for entry in await LedgerEntry.all().order_by("account_version"):
        transaction, account = transactions[entry.transaction_id], accounts[entry.account_id]
        lines[transaction.id].append(entry)
        replayed[account.id].append(entry.amount_fen)
        assert entry.account_version == len(replayed[account.id])
        assert entry.shard == transaction.shard == account.shard
        booked[transaction.order_id, account.code] += entry.amount_fen
    for transaction in transactions.values():
        assert transaction.shard == shard_of(transaction.user_id)
        assert sum(entry.amount_fen for entry in lines[transaction.id]) == 0
        numbers = sorted(entry.line_number for entry in lines[transaction.id])
        assert numbers == list(range(1, transaction.line_count + 1))
    for account in accounts.values():
        _assert_replayed(account, replayed[account.id])
    await _assert_orders_hold_what_they_say(booked)
    assert await audit.findings() == []


def _assert_replayed(account: LedgerAccount, amounts: list[int]) -> None:
    kind = kind_of(account.code)
    assert account.balance_fen == sum(amounts)
    assert account.version == len(amounts)
    if not kind.overdraft:
        assert account.balance_fen * (1 if kind.normal_side is Side.DEBIT else -1) >= 0


async def _assert_orders_hold_what_they_say(booked: Counter[tuple[object, str]]) -> None:
    paid: Counter[object] = Counter()
    for attempt in await PaymentAttempt.filter(state=PaymentState.PAID):
        paid[attempt.order_id] += attempt.amount_fen
    refunded: Counter[object] = Counter()
    for refund in await Refund.filter(state=RefundState.SUCCESS):
        refunded[refund.order_id] += refund.amount_fen
    for order in await RechargeOrder.all():
        in_transit = -order.price_fen if order.state is OrderState.RECHARGING else 0
        assert booked[order.id, TRANSIT] == in_transit, order.state
        taken = order.price_fen if order.state in {OrderState.RECHARGING, OrderState.SUCCEEDED} else 0
        owed = paid[order.id] - taken - refunded[order.id]
        assert booked[order.id, REFUNDS_PAYABLE] == -owed
        assert refunded[order.id] <= paid[order.id]
