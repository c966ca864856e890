"""What a recharge costs the partner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.issuer import cost_fen


@pytest.mark.parametrize(
    ("amount_fen", "basis_points", "cost"),
    [
        (50_000, 50, 49_750),
        (100, 50, 99),  # A margin of 0.5 fen is rounded up.
        (99, 50, 99),  # One of 0.495 fen is rounded down.
        (50_000, 0, 50_000),
        (50_000, 10_000, 0),
        (1, 50, 1),
    ],
)
def test_the_margin_is_rounded_half_up(amount_fen: int, basis_points: int, cost: int) -> None:
    assert cost_fen(amount_fen, basis_points) == cost


@given(st.integers(1, 10**12), st.integers(0, 10_000))
def test_it_is_never_negative_and_never_more_than_the_amount(amount_fen: int, basis_points: int) -> None:
    assert 0 <= cost_fen(amount_fen, basis_points) <= amount_fen
