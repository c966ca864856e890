"""Money is integer fen inside the house; text and yuan exist only at its edge."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

FEN_PER_YUAN = 100


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of Chinese yuan renminbi (CNY) in integer fen; 1 yuan is 100 fen. May be zero or negative."""

    fen: int

    def __post_init__(self) -> None:
        if isinstance(self.fen, bool) or not isinstance(self.fen, int):
            raise TypeError(f"money is integer fen, not {type(self.fen).__name__}")

    @classmethod
    def from_yuan(cls, yuan: Decimal) -> Self:
        """Convert exactly. Raises ValueError for NaN, infinities and fractions of a fen."""
        if not yuan.is_finite():
            raise ValueError("not a finite amount")
        fen = yuan.scaleb(2)
        if fen != fen.to_integral_value():
            raise ValueError("a fraction of a fen")
        return cls(int(fen))

    @property
    def yuan(self) -> str:
        """Plain decimal yuan with two places, such as `500.00` or `-0.01`."""
        return yuan_of_fen(self.fen)

    @property
    def text(self) -> str:
        """For people: `¥1,234.50`, a minus sign in front where negative."""
        return text_of_fen(self.fen)

    def __add__(self, other: Money) -> Money:
        return Money(self.fen + other.fen)

    def __sub__(self, other: Money) -> Money:
        return Money(self.fen - other.fen)

    def __neg__(self) -> Money:
        return Money(-self.fen)


def yuan_of_fen(fen: int) -> str:
    """Return plain decimal yuan with two places, such as `500.00` or `-0.01`."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{sign}{whole}.{rest:02d}"


def text_of_fen(fen: int) -> str:
    """Return an amount for people: `¥1,234.50`, a minus sign in front where negative."""
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{sign}¥{whole:,}.{rest:02d}"
