"""What the bank of the escrow accounts does for us: transfers that happen once, and what has arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class BankUnavailable(Exception):
    """The bank did not answer, or not in a way that settles anything; a transfer may or may not have been taken on."""


class BankTransferState(StrEnum):
    PENDING = "PENDING"
    DONE = "DONE"
    REFUSED = "REFUSED"  # for good: no money has moved or will
    NOT_FOUND = "NOT_FOUND"  # the bank has never seen the reference


@dataclass(frozen=True, slots=True)
class BankTransfer:
    """A transfer out of one of our accounts (`operating`, `reserve`) to the other one, or to a payee's account.

    The bank carries a reference out once, however often it is sent.
    """

    reference: str
    source: str
    target: str
    payee_name: str
    payee_bank_code: str
    payee_account: str = field(repr=False)
    amount_fen: int


@dataclass(frozen=True, slots=True)
class BankTransferFacts:
    """What the bank says of a transfer. `amount_fen` is zero where it knows none."""

    reference: str
    state: BankTransferState
    amount_fen: int
    bank_reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Money that has arrived on the operating account under a reference of its sender."""

    reference: str
    bank_reference: str
    amount_fen: int


class Bank(Protocol):
    """Each call raises BankUnavailable where nothing is known."""

    async def send(self, transfer: BankTransfer) -> BankTransferFacts: ...

    async def query(self, reference: str) -> BankTransferFacts: ...

    async def arrival(self, reference: str) -> Arrival | None:
        """Return what has arrived under the reference, None where nothing has yet."""
