"""The forecast, the plan of a sweep, and what a bank account looks like, with whatever is given."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.funds import rules
from domain.funds.rules import Escrow, PayeeInvalid, TransferAmountInvalid, plan_sweep

FEN = st.integers(0, 10**13)
SHARES = st.integers(0, 10_000)
ESCROWS = st.builds(Escrow, FEN, FEN, FEN, FEN, FEN)
AT_REST = st.builds(Escrow, FEN, FEN, FEN, st.just(0), st.just(0))
FORECASTS = st.none() | FEN


@given(ESCROWS, FORECASTS, SHARES)
def test_a_sweep_never_overdraws(escrow: Escrow, forecast_fen: int | None, share: int) -> None:
    plan = plan_sweep(escrow, forecast_fen=forecast_fen, reserve_min_basis_points=share)
    assert -escrow.reserve_fen <= plan.amount_fen <= escrow.operating_fen


@given(ESCROWS, FORECASTS, SHARES)
def test_the_reserve_is_never_left_below_its_share(escrow: Escrow, forecast_fen: int | None, share: int) -> None:
    plan = plan_sweep(escrow, forecast_fen=forecast_fen, reserve_min_basis_points=share)
    after = escrow.in_reserve_fen + plan.amount_fen
    if plan.amount_fen < 0:
        assert after >= escrow.reserve_min_fen(share)
    else:
        assert after >= escrow.in_reserve_fen


@given(AT_REST, FORECASTS, SHARES)
def test_where_nothing_is_on_its_way_a_sweep_makes_the_rule_true(
    escrow: Escrow, forecast_fen: int | None, share: int
) -> None:
    plan = plan_sweep(escrow, forecast_fen=forecast_fen, reserve_min_basis_points=share)
    after = escrow.in_reserve_fen + plan.amount_fen
    assert after * 10_000 >= escrow.total_fen * share
    if forecast_fen is not None:
        assert escrow.operating_fen - plan.amount_fen <= max(forecast_fen, 0)


@given(AT_REST, FORECASTS, SHARES)
def test_a_second_sweep_has_nothing_to_do(escrow: Escrow, forecast_fen: int | None, share: int) -> None:
    moved = plan_sweep(escrow, forecast_fen=forecast_fen, reserve_min_basis_points=share).amount_fen
    after = Escrow(escrow.operating_fen - moved, escrow.reserve_fen + moved, escrow.withdrawing_fen, 0, 0)
    assert plan_sweep(after, forecast_fen=forecast_fen, reserve_min_basis_points=share).amount_fen == 0


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([], None),
        ([0, 0, 0, 0], None),
        ([100, 100, 100, 100], 120),
        ([100, 0, 0, 0], 120),
        ([100, 0, 200, 0], 120),
        ([0, 100], 60),
        ([1, 1, 2], 3),
    ],
)
def test_a_forecast_is_the_mean_of_what_is_known_and_a_margin(volumes: list[int], expected: int | None) -> None:
    assert rules.forecast(volumes, margin_basis_points=2_000) == expected


@given(st.lists(FEN, min_size=1, max_size=10), st.integers(0, 100_000))
def test_a_forecast_is_between_the_days_and_their_margin(volumes: list[int], margin: int) -> None:
    found = rules.forecast(volumes, margin_basis_points=margin)
    if found is not None:
        assert 0 < found <= max(volumes) + rules.share_of(max(volumes), margin)


@pytest.mark.parametrize("yuan", ["0", "-0.01", "0.001", "NaN", "Infinity", "-Infinity", "10.01", "1E+400"])
def test_an_amount_that_is_none(yuan: str) -> None:
    with pytest.raises(TransferAmountInvalid):
        rules.amount_of(Decimal(yuan), maximum_fen=1_000)
    assert rules.amount_of(Decimal("10.00"), maximum_fen=1_000) == 1_000


@pytest.mark.parametrize(
    "changes",
    [
        {"party": ""},
        {"party": "a:b"},
        {"party": "x" * 33},
        {"name": " "},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"bank_code": "10210009999"},
        {"bank_code": "１０２１０００９９９９６"},
        {"account_number": "1234567"},
        {"account_number": "1" * 31},
        {"account_number": "1234 5678"},
    ],
)
def test_a_payee_that_is_none(changes: dict[str, str]) -> None:
    whole = {"party": "sinopec", "name": "名", "bank_code": "102100099996", "account_number": "12345678"}
    rules.check_payee(**whole)
    with pytest.raises(PayeeInvalid):
        rules.check_payee(**{**whole, **changes})


def test_a_number_is_shown_by_its_end() -> None:
    assert rules.masked("6222021234567890123") == "**** 0123"
