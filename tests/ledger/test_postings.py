from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import postings
from domain.ledger.postings import Line, Posting, Whose
from kernel.ids import new_id

AMOUNTS = st.integers(min_value=1, max_value=10**12)
CLEARING = postings.channel_clearing("wechat_pay", "1900000209")
WHOSE = Whose(new_id(), new_id())
WALLET = postings.customer_prepaid(WHOSE.user_id)
HELD = postings.customer_held(WHOSE.user_id)
DEPOSIT = postings.issuer_prepaid("demo")
SUSPENSE = postings.suspense("demo")


def balances(*together: Posting) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for posting in together:
        for line in posting.lines:
            totals[line.account] += line.amount_fen
    return {account: fen for account, fen in totals.items() if fen}


@given(price=AMOUNTS, cost=st.integers(min_value=0, max_value=10**12))
def test_a_recharge_leaves_nothing_in_transit(price: int, cost: int) -> None:
    totals = balances(
        postings.paid(WHOSE, attempt=1, source=CLEARING, amount_fen=price),
        postings.succeeded(WHOSE, issuer="demo", price_fen=price, cost_fen=cost),
    )
    assert sum(totals.values()) == 0
    assert postings.TRANSIT not in totals
    assert totals[CLEARING] == price
    assert totals.get(DEPOSIT, 0) == -cost
    assert totals.get(postings.LOSS, 0) == max(0, cost - price)
    assert totals.get(postings.COMMISSION, 0) == min(0, cost - price)


@given(price=AMOUNTS, cost=st.integers(min_value=0, max_value=10**12))
def test_a_reversed_recharge_and_its_refund_undo_everything(price: int, cost: int) -> None:
    assert not balances(
        postings.paid(WHOSE, attempt=1, source=CLEARING, amount_fen=price),
        postings.succeeded(WHOSE, issuer="demo", price_fen=price, cost_fen=cost),
        postings.reversed_recharge(WHOSE, issuer="demo", price_fen=price, cost_fen=cost),
        postings.failed(WHOSE, attempt=1, amount_fen=price),
        postings.refunded(WHOSE, attempt=1, source=CLEARING, amount_fen=price),
    )


@given(amount=AMOUNTS)
def test_a_refund_undoes_everything(amount: int) -> None:
    assert not balances(
        postings.paid(WHOSE, attempt=1, source=CLEARING, amount_fen=amount),
        postings.failed(WHOSE, attempt=1, amount_fen=amount),
        postings.refunded(WHOSE, attempt=1, source=CLEARING, amount_fen=amount),
    )


@given(amount=AMOUNTS)
def test_a_wallet_is_held_before_it_pays(amount: int) -> None:
    filled = postings.topped_up(top_up_id=new_id(), user_id=WHOSE.user_id, clearing=CLEARING, amount_fen=amount)
    held = postings.held(WHOSE, attempt=1, amount_fen=amount)
    assert balances(filled, held) == {CLEARING: amount, HELD: -amount}
    assert balances(filled, held, postings.released(WHOSE, attempt=1, amount_fen=amount)) == balances(filled)
    paid = postings.paid(WHOSE, attempt=1, source=HELD, amount_fen=amount)
    assert balances(filled, held, paid) == {CLEARING: amount, postings.TRANSIT: -amount}


@given(cost=AMOUNTS)
def test_a_recharge_after_a_refund_is_in_suspense_until_it_is_recovered_or_written_off(cost: int) -> None:
    late = postings.recharged_after_failure(WHOSE, attempt=1, issuer="demo", cost_fen=cost)
    assert balances(late) == {SUSPENSE: cost, DEPOSIT: -cost}
    recovered = postings.recovered(WHOSE, case_id=new_id(), issuer="demo", amount_fen=cost)
    assert balances(late, recovered) == {WALLET: cost, DEPOSIT: -cost}
    written_off = postings.written_off(WHOSE, case_id=new_id(), issuer="demo", amount_fen=cost)
    assert balances(late, written_off) == {postings.LOSS: cost, DEPOSIT: -cost}


@given(amount=AMOUNTS, share=st.floats(min_value=0, max_value=1))
def test_a_settlement_moves_clearing_into_escrow_less_the_fee(amount: int, share: float) -> None:
    fee = int(amount * share)
    settled = postings.settled(reference="wechat_pay:20260421", clearing=CLEARING, amount_fen=amount, fee_fen=fee)
    expected = {postings.ESCROW_OPERATING: amount - fee, postings.FEES: fee, CLEARING: -amount}
    assert balances(settled) == {account: fen for account, fen in expected.items() if fen}
    assert (settled.key, settled.user_id, settled.order_id) == ("wechat_pay:20260421:settled", None, None)


@given(amount=AMOUNTS)
def test_a_sweep_goes_both_ways(amount: int) -> None:
    there = postings.swept(reference="1", into=postings.ESCROW_RESERVE, amount_fen=amount)
    assert balances(there) == {postings.ESCROW_RESERVE: amount, postings.ESCROW_OPERATING: -amount}
    assert not balances(there, postings.swept(reference="2", into=postings.ESCROW_OPERATING, amount_fen=amount))
    with pytest.raises(KeyError):
        postings.swept(reference="3", into=CLEARING, amount_fen=amount)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (Line("loss", 1),),
        (Line("loss", 1), Line("fee_expense", -2)),
        (Line("loss", 0), Line("fee_expense", 0)),
        (Line("loss", 1), Line("loss", -1)),
    ],
)
def test_a_posting_that_does_not_balance_cannot_exist(lines: tuple[Line, ...]) -> None:
    with pytest.raises(AssertionError):
        Posting("key", None, new_id(), lines)
