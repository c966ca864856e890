"""The postings of a recharge (L1 to L4), each balanced by construction. Amounts are fen; debits are positive."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

TRANSIT = "recharge_transit"
REFUNDS_PAYABLE = "refunds_payable"
COMMISSION = "commission_income"
LOSS = "loss"


def channel_clearing(channel: str, sub_mchid: str) -> str:
    return f"channel_clearing:{channel}:{sub_mchid}"


def issuer_prepaid(issuer: str) -> str:
    return f"issuer_prepaid:{issuer}"


def customer_prepaid(user_id: UUID) -> str:
    return f"customer_prepaid:{user_id}"


@dataclass(frozen=True, slots=True)
class Line:
    account: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Posting:
    """A set of lines that sums to zero, under the key that lets it happen once."""

    key: str
    order_id: UUID
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if sum(line.amount_fen for line in self.lines) != 0:
            raise AssertionError(f"posting {self.key} does not balance")
        if not self.lines or any(line.amount_fen == 0 for line in self.lines):
            raise AssertionError(f"posting {self.key} has an empty line")
        if len({line.account for line in self.lines}) != len(self.lines):
            raise AssertionError(f"posting {self.key} names an account twice")


def paid(*, order_id: UUID, attempt: int, clearing: str, amount_fen: int) -> Posting:
    """L1: the customer paid; the channel owes it to us, and we owe the customer a recharge."""
    return Posting(f"{order_id}:paid:{attempt}", order_id, (Line(clearing, amount_fen), Line(TRANSIT, -amount_fen)))


def succeeded(*, order_id: UUID, issuer: str, amount_fen: int, cost_fen: int) -> Posting:
    """L2: the issuer recharged the card for `cost_fen` of our deposit; the rest is commission, a shortfall a loss."""
    lines = [Line(TRANSIT, amount_fen)]
    if cost_fen > 0:
        lines.append(Line(issuer_prepaid(issuer), -cost_fen))
    margin = amount_fen - cost_fen
    if margin > 0:
        lines.append(Line(COMMISSION, -margin))
    elif margin < 0:
        lines.append(Line(LOSS, -margin))
    return Posting(f"{order_id}:succeeded", order_id, tuple(lines))


def failed(*, order_id: UUID, attempt: int, amount_fen: int) -> Posting:
    """L3: there will be no recharge; we owe the customer the money back."""
    lines = (Line(TRANSIT, amount_fen), Line(REFUNDS_PAYABLE, -amount_fen))
    return Posting(f"{order_id}:failed:{attempt}", order_id, lines)


def refunded(*, order_id: UUID, attempt: int, clearing: str, amount_fen: int) -> Posting:
    """L4: the channel gave the money back by the route it came."""
    lines = (Line(REFUNDS_PAYABLE, amount_fen), Line(clearing, -amount_fen))
    return Posting(f"{order_id}:refunded:{attempt}", order_id, lines)
