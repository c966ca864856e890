"""The chart of accounts: every kind of account there is, and what may be booked to it. Pure data.

The database holds the same rules as CHECKs on `ledger_account`, and the audit asks them of every row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

USER_PART = "{user}"
# What channels, issuers and merchants are called inside a code; a colon would begin another part.
PART = re.compile(r"[A-Za-z0-9_.-]+")


class AccountClass(StrEnum):
    ASSET = "ASSET"
    LIABILITY = "LIABILITY"
    INCOME = "INCOME"
    EXPENSE = "EXPENSE"
    SUSPENSE = "SUSPENSE"
    EQUITY = "EQUITY"


class Side(StrEnum):
    """Where a balance lies: debits are positive fen, credits negative."""

    DEBIT = "DEBIT"
    CREDIT = "CREDIT"


class UnknownAccount(AssertionError):
    """Somebody books to an account that the chart does not have."""


@dataclass(frozen=True, slots=True)
class AccountKind:
    """One line of the chart. A code has the pattern's parts, each `{part}` replaced by a name.

    `overdraft` says whether the balance may lie on the other side than the normal one. `house_only` accounts move only
    in postings that belong to no user, so that each is one row in one shard.
    """

    pattern: str
    account_class: AccountClass
    normal_side: Side
    overdraft: bool
    house_only: bool = False

    @property
    def of_user(self) -> bool:
        """Whether each user has an account of this kind of their own."""
        return USER_PART in self.pattern

    @property
    def prefix(self) -> str:
        """What every code of this kind begins with, which is the whole code where the kind is one account."""
        return self.pattern.partition("{")[0]

    @property
    def part_count(self) -> int:
        """How many `{part}`s a code names."""
        return self.pattern.count("{")

    def matches(self, code: str) -> bool:
        if not code.startswith(self.prefix):
            return False
        if self.of_user:
            return _is_user(code.removeprefix(self.prefix))
        if self.part_count == 0:
            return code == self.pattern
        parts = code.removeprefix(self.prefix).split(":")
        return len(parts) == self.part_count and all(PART.fullmatch(part) for part in parts)


# Accounts without overdraft are money that is somebody's or is somewhere: more than is there cannot leave. The others
# may lie on either side, because one shard pays what another one receives, or because that is what they are for.
CHART = (
    AccountKind("channel_clearing:{channel}:{sub_mchid}", AccountClass.ASSET, Side.DEBIT, overdraft=True),
    AccountKind("escrow:operating", AccountClass.ASSET, Side.DEBIT, overdraft=False, house_only=True),
    AccountKind("escrow:reserve", AccountClass.ASSET, Side.DEBIT, overdraft=False, house_only=True),
    AccountKind("escrow:operating_held", AccountClass.ASSET, Side.DEBIT, overdraft=False, house_only=True),
    AccountKind("escrow:reserve_held", AccountClass.ASSET, Side.DEBIT, overdraft=False, house_only=True),
    AccountKind("issuer_prepaid:{issuer}", AccountClass.ASSET, Side.DEBIT, overdraft=True),
    AccountKind("customer_prepaid:{user}", AccountClass.LIABILITY, Side.CREDIT, overdraft=False),
    AccountKind("customer_held:{user}", AccountClass.LIABILITY, Side.CREDIT, overdraft=False),
    AccountKind("recharge_transit", AccountClass.LIABILITY, Side.CREDIT, overdraft=False),
    AccountKind("refunds_payable", AccountClass.LIABILITY, Side.CREDIT, overdraft=False),
    AccountKind("merchant_payable:{sub_mchid}", AccountClass.LIABILITY, Side.CREDIT, overdraft=True),
    AccountKind("fee_expense", AccountClass.EXPENSE, Side.DEBIT, overdraft=True),
    AccountKind("commission_income", AccountClass.INCOME, Side.CREDIT, overdraft=True),
    AccountKind("loss", AccountClass.EXPENSE, Side.DEBIT, overdraft=True),
    AccountKind("company_drawings", AccountClass.EQUITY, Side.DEBIT, overdraft=True),
    AccountKind("suspense:{channel}", AccountClass.SUSPENSE, Side.DEBIT, overdraft=True),
)


def kind_of(code: str) -> AccountKind:
    """Return the account's line of the chart. Raises UnknownAccount."""
    for kind in CHART:
        if kind.matches(code):
            return kind
    raise UnknownAccount(code)


def _is_user(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
