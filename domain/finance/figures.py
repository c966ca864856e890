"""The daily report's figures: what the sums of a day's postings say; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from domain.ledger.chart import CHART
from kernel.money import Money

# Accounts of users are told together; these are the prefixes of their codes.
USER_PREFIXES = tuple(kind.prefix for kind in CHART if kind.of_user)


class ReportStatus(StrEnum):
    PROVISIONAL = "PROVISIONAL"  # 暂计
    CLOSED = "CLOSED"  # 已关账


class FigureKind(StrEnum):
    MOVEMENT = "MOVEMENT"  # of the day
    POSITION = "POSITION"  # at its end


class FigureName(StrEnum):
    TURNOVER = "TURNOVER"
    RECHARGED = "RECHARGED"
    TOP_UPS = "TOP_UPS"
    REFUNDED = "REFUNDED"
    FEES = "FEES"
    COMMISSION = "COMMISSION"
    LOSSES = "LOSSES"
    ESCROW_OPERATING = "ESCROW_OPERATING"
    ESCROW_RESERVE = "ESCROW_RESERVE"
    CHANNEL_CLEARING = "CHANNEL_CLEARING"
    ISSUER_DEPOSITS = "ISSUER_DEPOSITS"
    TRANSIT = "TRANSIT"
    REFUNDS_PAYABLE = "REFUNDS_PAYABLE"
    WALLETS = "WALLETS"
    MERCHANTS_PAYABLE = "MERCHANTS_PAYABLE"
    SUSPENSE = "SUSPENSE"


@dataclass(slots=True)
class AccountSum:
    """One account over a day, in fen: debits minus credits before it, its debits and credits, and both by the event of
    their postings (`paid`, `succeeded`, …). The accounts of all users of one kind are one account here."""

    account: str
    opening_fen: int = 0
    debit_fen: int = 0
    credit_fen: int = 0
    by_event: dict[str, list[int]] = field(default_factory=dict)

    @property
    def closing_fen(self) -> int:
        return self.opening_fen + self.debit_fen - self.credit_fen

    def add(self, event: str, debit_fen: int, credit_fen: int) -> None:
        self.debit_fen += debit_fen
        self.credit_fen += credit_fen
        if event:
            both = self.by_event.setdefault(event, [0, 0])
            both[0] += debit_fen
            both[1] += credit_fen

    def plain(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        return {
            "account": self.account,
            "opening_fen": self.opening_fen,
            "debit_fen": self.debit_fen,
            "credit_fen": self.credit_fen,
            "by_event": self.by_event,
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> AccountSum:
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class Rule:
    """How a figure is made of sums: of accounts that begin so, on one side, and of some events only.

    A credit figure is positive where credits outweigh debits. Without events it is the net of the day, or what the
    accounts hold at its end.
    """

    kind: FigureKind
    prefixes: tuple[str, ...]
    credit: bool = False
    events: tuple[str, ...] = ()

    def of(self, sums: Iterable[AccountSum]) -> int:
        """Return the figure in fen."""
        total = sum(self._part(each) for each in sums if each.account.startswith(self.prefixes))
        return -total if self.credit else total

    def _part(self, each: AccountSum) -> int:
        if self.kind is FigureKind.POSITION:
            return each.closing_fen
        if not self.events:
            return each.debit_fen - each.credit_fen
        both = [each.by_event.get(event, (0, 0)) for event in self.events]
        return sum(debit_fen - credit_fen for debit_fen, credit_fen in both)


MOVEMENT, POSITION = FigureKind.MOVEMENT, FigureKind.POSITION
FIGURES: Mapping[FigureName, Rule] = {
    FigureName.TURNOVER: Rule(MOVEMENT, ("recharge_transit",), credit=True, events=("paid",)),
    FigureName.RECHARGED: Rule(MOVEMENT, ("recharge_transit",), events=("succeeded", "reversed")),
    FigureName.TOP_UPS: Rule(MOVEMENT, ("customer_prepaid",), credit=True, events=("topped_up",)),
    FigureName.REFUNDED: Rule(MOVEMENT, ("refunds_payable",), events=("refunded",)),
    FigureName.FEES: Rule(MOVEMENT, ("fee_expense",)),
    FigureName.COMMISSION: Rule(MOVEMENT, ("commission_income",), credit=True),
    FigureName.LOSSES: Rule(MOVEMENT, ("loss",)),
    FigureName.ESCROW_OPERATING: Rule(POSITION, ("escrow:operating",)),
    FigureName.ESCROW_RESERVE: Rule(POSITION, ("escrow:reserve",)),
    FigureName.CHANNEL_CLEARING: Rule(POSITION, ("channel_clearing:",)),
    FigureName.ISSUER_DEPOSITS: Rule(POSITION, ("issuer_prepaid:",)),
    FigureName.TRANSIT: Rule(POSITION, ("recharge_transit",), credit=True),
    FigureName.REFUNDS_PAYABLE: Rule(POSITION, ("refunds_payable",), credit=True),
    FigureName.WALLETS: Rule(POSITION, tuple(prefix.rstrip(":") for prefix in USER_PREFIXES), credit=True),
    FigureName.MERCHANTS_PAYABLE: Rule(POSITION, ("merchant_payable:",), credit=True),
    FigureName.SUSPENSE: Rule(POSITION, ("suspense:",)),
}


@dataclass(frozen=True, slots=True)
class Report:
    """One day. `as_of` is when its sums were read, or when it was closed."""

    day: date
    status: ReportStatus
    as_of: datetime
    accounts: Sequence[AccountSum]

    @property
    def figures(self) -> list[tuple[FigureName, FigureKind, Money]]:
        return [(name, rule.kind, Money(rule.of(self.accounts))) for name, rule in FIGURES.items()]

    @property
    def debit(self) -> Money:
        return Money(sum(each.debit_fen for each in self.accounts))

    @property
    def credit(self) -> Money:
        return Money(sum(each.credit_fen for each in self.accounts))


def joined(before: Iterable[AccountSum], moved: Iterable[AccountSum]) -> list[AccountSum]:
    """Return the day's sums: what was held before the day, and what moved on it, by account."""
    sums = {each.account: AccountSum(each.account, each.closing_fen) for each in before}
    for each in moved:
        one = sums.setdefault(each.account, AccountSum(each.account))
        one.debit_fen, one.credit_fen, one.by_event = each.debit_fen, each.credit_fen, each.by_event
    return [sums[account] for account in sorted(sums)]
