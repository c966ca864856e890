"""The bar: an order may cost a fifth more where there are many, and nothing may read all of them."""

from __future__ import annotations

import pytest

from bench.growth.measures import Touched
from bench.growth.report import met, scanners
from bench.growth.road import STEPS
from bench.growth.run import TOTAL, Found, Outcome
from bench.growth.subject import Glance, Round

ONE = Touched(blocks=10)


def found(*rounds_s: float, touched: Touched = ONE, clockwork: Touched = ONE) -> Found:
    """Return what a database would have shown whose every step took so many seconds, round by round."""
    return Found(
        rounds=[
            Round({step: [each_s] * 3 for step in STEPS}, dict.fromkeys(STEPS, each_s), 1.0) for each_s in rounds_s
        ],
        touched=dict.fromkeys(STEPS, touched),
        clockwork={"relay": Glance(0.1, clockwork)},
    )


def outcome(small: Found, large: Found) -> Outcome:
    return Outcome(small, large, audits_s={}, seconds=1.0)


@pytest.mark.parametrize(("large_s", "expected"), [(0.010, True), (0.0119, True), (0.0121, False)])
def test_more_than_a_fifth_is_too_much(large_s: float, expected: bool) -> None:
    shown = outcome(found(0.010), found(large_s))
    assert shown.ratio(TOTAL) == pytest.approx(large_s / 0.010)
    assert met(shown) is expected


def test_one_slow_round_is_not_the_median() -> None:
    shown = outcome(found(0.010, 0.010, 0.010), found(0.010, 0.010, 0.900))
    assert shown.ratio(TOTAL) == pytest.approx(1.0)
    assert shown.spread(TOTAL) == pytest.approx((1.0, 90.0))


def test_reading_all_orders_is_a_miss_however_fast_it_is() -> None:
    reading = Touched(blocks=10, rows_scanned={"recharge_order": 5, "ledger_account": 3})
    by_step = outcome(found(0.01), found(0.01, touched=reading))
    assert scanners(by_step) == list(STEPS)
    assert not met(by_step)
    by_the_clock = outcome(found(0.01), found(0.01, clockwork=reading))
    assert scanners(by_the_clock) == ["relay"]
    assert not met(by_the_clock)
    # A planner reads a small table whole, and rightly so.
    assert met(outcome(found(0.01, touched=reading), found(0.01)))
