from __future__ import annotations

from decimal import Decimal

import pytest

from domain.risk import rules
from domain.risk.rules import Facts, Limits
from kernel.errors import YoukaError
from kernel.money import Money

LIMITS = Limits(amount_min_fen=1_000, amount_max_fen=200_000, daily_max_fen=300_000, unpaid_orders_max=2)
NOTHING = Facts(spent_today_fen=0, unpaid_orders=0)


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
    rules.check_facts(Money(100_000), Facts(spent_today_fen=200_000, unpaid_orders=1), LIMITS)


def test_beyond_a_limit_the_error_carries_it() -> None:
    with pytest.raises(rules.AmountTooSmall) as small:
        rules.check_amount(Money(999), LIMITS)
    assert small.value.values["minimum"] == Money(1_000)
    with pytest.raises(rules.AmountTooLarge) as large:
        rules.check_amount(Money(200_001), LIMITS)
    assert large.value.message("zh-CN") == "单笔充值不能超过¥2,000.00"
    with pytest.raises(rules.DailyLimitExceeded) as daily:
        rules.check_facts(Money(100_001), Facts(spent_today_fen=200_000, unpaid_orders=0), LIMITS)
    assert daily.value.values["maximum"] == Money(100_000)
    with pytest.raises(rules.TooManyUnpaidOrders):
        rules.check_facts(Money(1_000), Facts(spent_today_fen=0, unpaid_orders=2), LIMITS)
    rules.check_facts(Money(1_000), NOTHING, LIMITS)
