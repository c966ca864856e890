from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import postings
from domain.ledger.postings import Line, Posting
from kernel.ids import new_id

AMOUNTS = st.integers(min_value=1, max_value=10**12)
CLEARING = postings.channel_clearing("wechat_pay", "1900000209")


@given(amount=AMOUNTS, cost=st.integers(min_value=1, max_value=10**12))
def test_a_recharge_leaves_nothing_in_transit(amount: int, cost: int) -> None:
    order = new_id()
    balances: dict[str, int] = {}
    for posting in (
        postings.paid(order_id=order, attempt=1, clearing=CLEARING, amount_fen=amount),
        postings.succeeded(order_id=order, issuer="demo", amount_fen=amount, cost_fen=cost),
    ):
        for line in posting.lines:
            balances[line.account] = balances.get(line.account, 0) + line.amount_fen
    assert sum(balances.values()) == 0
    assert balances[postings.TRANSIT] == 0
    assert balances[CLEARING] == amount
    assert balances[postings.issuer_prepaid("demo")] == -cost
    assert balances.get(postings.LOSS, 0) == max(0, cost - amount)
    assert balances.get(postings.COMMISSION, 0) == min(0, cost - amount)


@given(amount=AMOUNTS)
def test_a_refund_undoes_everything(amount: int) -> None:
    order = new_id()
    balances: dict[str, int] = {}
    for posting in (
        postings.paid(order_id=order, attempt=1, clearing=CLEARING, amount_fen=amount),
        postings.failed(order_id=order, attempt=1, amount_fen=amount),
        postings.refunded(order_id=order, attempt=1, clearing=CLEARING, amount_fen=amount),
    ):
        for line in posting.lines:
            balances[line.account] = balances.get(line.account, 0) + line.amount_fen
    assert set(balances.values()) == {0}


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (Line("a", 1),),
        (Line("a", 1), Line("b", -2)),
        (Line("a", 0), Line("b", 0)),
        (Line("a", 1), Line("a", -1)),
    ],
)
def test_a_posting_that_does_not_balance_cannot_exist(lines: tuple[Line, ...]) -> None:
    with pytest.raises(AssertionError):
        Posting("key", new_id(), lines)
