from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.risk import rules
from domain.risk.rules import Facts, Limits
from kernel.errors import YoukaError
from kernel.money import Money
from kernel.states import ReviewReason

LIMITS = Limits(
    amount_min_fen=1_000,
    amount_max_fen=200_000,
    daily_max_fen=300_000,
    unpaid_orders_max=2,
    review_above_fen=150_000,
    split_window=timedelta(hours=1),
    top_up_max_fen=50_000,
    wallet_max_fen=80_000,
)
NOTHING = Facts(spent_today_fen=0, unpaid_orders=0, unreviewed_fen=0)


@pytest.mark.parametrize(
    ("yuan", "error"),
    [
        ("0", rules.AmountNotPositive),
        ("-0.00", rules.AmountNotPositive),
        ("-1", rules.AmountNotPositive),
        ("0.001", rules.AmountFractionOfFen),
        ("500.009", rules.AmountFractionOfFen),
        ("NaN", rules.AmountFractionOfFen),
        ("Infinity", rules.AmountFractionOfFen),
    ],
)
def test_what_is_no_amount_is_refused(yuan: str, error: type[YoukaError]) -> None:
    with pytest.raises(error):
        rules.amount_of(Decimal(yuan))


def test_the_limits_themselves_are_allowed() -> None:
    for fen in (LIMITS.amount_min_fen, LIMITS.amount_max_fen):
        rules.check_amount(Money(fen), LIMITS)
    rules.check_facts(Money(100_000), replace(NOTHING, spent_today_fen=200_000, unpaid_orders=1), LIMITS)


def test_beyond_a_limit_the_error_carries_it() -> None:
    with pytest.raises(rules.AmountTooSmall) as small:
        rules.check_amount(Money(999), LIMITS)
    assert small.value.values["minimum"] == Money(1_000)
    with pytest.raises(rules.AmountTooLarge) as large:
        rules.check_amount(Money(200_001), LIMITS)
    assert large.value.message("zh-CN") == "单笔充值不能超过¥2,000.00"
    with pytest.raises(rules.DailyLimitExceeded) as daily:
        rules.check_facts(Money(100_001), replace(NOTHING, spent_today_fen=200_000), LIMITS)
    assert daily.value.values["maximum"] == Money(100_000)
    with pytest.raises(rules.TooManyUnpaidOrders):
        rules.check_facts(Money(1_000), replace(NOTHING, unpaid_orders=2), LIMITS)
    rules.check_facts(Money(1_000), NOTHING, LIMITS)


@pytest.mark.parametrize(
    ("fen", "unreviewed_fen", "reason"),
    [
        (150_000, 0, None),
        (150_001, 0, ReviewReason.LARGE_AMOUNT),
        (50_000, 100_000, None),
        (50_001, 100_000, ReviewReason.SPLIT_ORDERS),
        (1_000, 150_000, ReviewReason.SPLIT_ORDERS),
        (150_001, 150_000, ReviewReason.LARGE_AMOUNT),
    ],
)
def test_large_orders_and_large_ones_in_pieces_are_reviewed(
    fen: int, unreviewed_fen: int, reason: ReviewReason | None
) -> None:
    assert rules.review_reason(Money(fen), replace(NOTHING, unreviewed_fen=unreviewed_fen), LIMITS) is reason


def test_a_wallet_takes_only_so_much() -> None:
    rules.check_top_up(Money(50_000), balance=Money(30_000), limits=LIMITS)
    with pytest.raises(rules.AmountTooLarge):
        rules.check_top_up(Money(50_001), balance=Money(0), limits=LIMITS)
    with pytest.raises(rules.AmountTooSmall):
        rules.check_top_up(Money(999), balance=Money(0), limits=LIMITS)
    with pytest.raises(rules.WalletTooFull) as full:
        rules.check_top_up(Money(50_000), balance=Money(30_001), limits=LIMITS)
    assert full.value.values["maximum"] == Money(49_999)
