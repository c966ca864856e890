"""The postings of funds, each balanced by construction; no I/O. Amounts are fen."""

from __future__ import annotations

from uuid import UUID

from domain.ledger.postings import (
    ESCROW_OPERATING,
    ESCROW_RESERVE,
    LOSS,
    Line,
    Posting,
    held_in,
    issuer_prepaid,
    merchant_payable,
)
from kernel.fund_states import PayeeKind, TransferKind

COMPANY_DRAWINGS = "company_drawings"
ACCOUNTS = {
    TransferKind.TO_RESERVE: (ESCROW_OPERATING, ESCROW_RESERVE),
    TransferKind.FROM_RESERVE: (ESCROW_RESERVE, ESCROW_OPERATING),
}


def account_of(kind: PayeeKind, party: str) -> str:
    """Return what a withdrawal to a payee is booked to: our deposit there, what we owe them, or what we draw."""
    match kind:
        case PayeeKind.ISSUER:
            return issuer_prepaid(party)
        case PayeeKind.MERCHANT:
            return merchant_payable(party)
        case PayeeKind.COMPANY:
            return COMPANY_DRAWINGS


def held(*, transfer_id: UUID, number: int, source: str, amount_fen: int) -> Posting:
    """The money of a transfer is set aside; the database refuses more than is there. `number` counts the holds."""
    lines = (Line(held_in(source), amount_fen), Line(source, -amount_fen))
    return Posting(f"{transfer_id}:held:{number}", None, None, lines)


def released(*, transfer_id: UUID, number: int, source: str, amount_fen: int) -> Posting:
    """Nothing will be sent of what was held under the number."""
    lines = (Line(source, amount_fen), Line(held_in(source), -amount_fen))
    return Posting(f"{transfer_id}:released:{number}", None, None, lines)


def sent(*, reference: str, kind: TransferKind, source: str, target: str, amount_fen: int) -> Posting:
    """The bank has carried a transfer out, under the reference that its flow will name."""
    ending = "withdrawn" if kind is TransferKind.WITHDRAWAL else "swept"
    lines = (Line(target, amount_fen), Line(held_in(source), -amount_fen))
    return Posting(f"{reference}:{ending}", None, None, lines)


def claimed(*, reference: str, amount_fen: int) -> Posting:
    """An insurer paid for a loss. `reference` is the bank's of what arrived."""
    lines = (Line(ESCROW_OPERATING, amount_fen), Line(LOSS, -amount_fen))
    return Posting(f"{reference}:claimed", None, None, lines)
