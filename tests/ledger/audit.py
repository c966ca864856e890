"""What is true of the books after every test that moves money."""

from __future__ import annotations

from collections import defaultdict

from domain.ledger.postings import REFUNDS_PAYABLE, TRANSIT
from kernel.states import OrderState, PaymentState, RefundState
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund


async def assert_books_are_true() -> None:
    """Check that entries balance, balances replay, and every order's money is where its state says."""
    codes = {account.id: account for account in await LedgerAccount.all()}
    transactions = {row.id: row for row in await LedgerTransaction.all()}
    sums: dict[object, int] = defaultdict(int)
    replayed: dict[object, list[int]] = defaultdict(list)
    transit: dict[object, int] = defaultdict(int)
    payable: dict[object, int] = defaultdict(int)
    for entry in await LedgerEntry.all().order_by("account_version"):
        sums[entry.transaction_id] += entry.amount_fen
        replayed[entry.account_id].append(entry.amount_fen)
        assert entry.account_version == len(replayed[entry.account_id])
        order_id = transactions[entry.transaction_id].order_id
        code = codes[entry.account_id].code
        if code == TRANSIT:
            transit[order_id] += entry.amount_fen
        if code == REFUNDS_PAYABLE:
            payable[order_id] += entry.amount_fen
    assert set(sums) == set(transactions)
    assert set(sums.values()) <= {0}
    for account in codes.values():
        assert account.balance_fen == sum(replayed[account.id])
        assert account.version == len(replayed[account.id])
    await _assert_orders_hold_what_they_say(transit, payable)


async def _assert_orders_hold_what_they_say(transit: dict[object, int], payable: dict[object, int]) -> None:
    paid: dict[object, int] = defaultdict(int)
    for attempt in await PaymentAttempt.filter(state=PaymentState.PAID):
        paid[attempt.order_id] += attempt.amount_fen
    refunded: dict[object, int] = defaultdict(int)
    for refund in await Refund.filter(state=RefundState.SUCCESS):
        refunded[refund.order_id] += refund.amount_fen
    for order in await RechargeOrder.all():
        in_transit = -order.price_fen if order.state is OrderState.RECHARGING else 0
        assert transit[order.id] == in_transit, order.state
        taken = order.price_fen if order.state in {OrderState.RECHARGING, OrderState.SUCCEEDED} else 0
        owed = paid[order.id] - taken - refunded[order.id]
        assert payable[order.id] == -owed
        assert refunded[order.id] <= paid[order.id]
