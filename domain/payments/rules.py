"""Whether a payment that somebody tells us of is the one that we asked for; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from domain.payments.ports import TradeFacts


class PaymentMismatch(Exception):
    """The facts are signed but not ours: another amount, merchant or app. A person must look at it."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"the payment's {field} is not what was asked for")


@dataclass(frozen=True, slots=True)
class Expected:
    amount_fen: int
    app_id: str
    mchid: str
    sub_mchid: str


def check_payment(facts: TradeFacts, expected: Expected) -> None:
    """Raises PaymentMismatch, naming the first field that differs."""
    for field in ("amount_fen", "app_id", "mchid", "sub_mchid"):
        if getattr(facts, field) != getattr(expected, field):
            raise PaymentMismatch(field)
    if not facts.transaction_id:
        raise PaymentMismatch("transaction_id")
