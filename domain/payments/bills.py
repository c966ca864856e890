"""What a channel's trade bill says, whoever wrote it. Amounts are fen, times are aware."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BillNotReady(Exception):
    """The bill of this day is not made yet; it may be asked for later."""


class BillRefused(Exception):
    """The file is cut off, altered or unreadable; nothing of it may be used."""


class BillLineKind(StrEnum):
    PAYMENT = "PAYMENT"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class BillLine:
    """One payment or one refund. `state` is the channel's own word; `fee_fen` is negative where a fee is given back."""

    kind: BillLineKind
    out_trade_no: str
    transaction_id: str
    out_refund_no: str | None
    refund_id: str | None
    sub_mchid: str
    state: str
    amount_fen: int
    fee_fen: int
    occurred_at: datetime
