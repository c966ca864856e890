from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.money import Money


@pytest.mark.parametrize(
    ("fen", "yuan", "text"),
    [
        (0, "0.00", "¥0.00"),
        (1, "0.01", "¥0.01"),
        (50_000, "500.00", "¥500.00"),
        (123_456_789, "1234567.89", "¥1,234,567.89"),
        (-5, "-0.05", "-¥0.05"),
    ],
)
def test_money_is_written_exactly(fen: int, yuan: str, text: str) -> None:
    assert (Money(fen).yuan, Money(fen).text) == (yuan, text)


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_yuan_and_fen_are_the_same_amount(fen: int) -> None:
    assert Money.from_yuan(Decimal(Money(fen).yuan)) == Money(fen)


@pytest.mark.parametrize("yuan", ["NaN", "Infinity", "-Infinity", "0.001", "1e-3"])
def test_what_is_no_amount_of_fen_is_refused(yuan: str) -> None:
    with pytest.raises(ValueError, match=r"fen|finite"):
        Money.from_yuan(Decimal(yuan))


@pytest.mark.parametrize("fen", [1.0, True, "1", None])
def test_money_is_integer_fen_only(fen: object) -> None:
    with pytest.raises(TypeError, match="integer fen"):
        Money(fen)  # type: ignore[arg-type]
