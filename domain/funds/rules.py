"""How much may lie in the hot account, how much a day will take, and what a bank account looks like; no I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from kernel.errors import YoukaError
from kernel.money import Money

BASIS_POINTS = 10_000
ACCOUNT_NUMBER = re.compile(r"\d{8,30}", re.ASCII)
# 联行号: twelve digits that name a branch of a bank.
BANK_CODE = re.compile(r"\d{12}", re.ASCII)
PARTY = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)
BANK_REFERENCE = re.compile(r"[A-Za-z0-9_.-]{4,64}", re.ASCII)
NAME_LENGTH_MAX = 64
SHOWN_DIGITS = 4


class TransferAmountInvalid(YoukaError):
    code = "TRANSFER_AMOUNT_INVALID"
    messages = {
        "zh-CN": "金额须大于零，最多两位小数，且不超过{maximum.text}",
        "en": "The amount must be more than zero, in whole fen, and {maximum.text} at most",
    }


class PayeeInvalid(YoukaError):
    """The digits, the branch, the party or the name cannot be those of a payee."""

    code = "PAYEE_INVALID"
    messages = {
        "zh-CN": "收款账户信息有误，请核对户名、账号、联行号和用途",
        "en": "Name, account number, branch code or party cannot be those of a payee",
    }


def amount_of(yuan: Decimal, *, maximum_fen: int) -> int:
    """Return an amount in fen. Raises TransferAmountInvalid."""
    try:
        amount = Money.from_yuan(yuan)
    except ValueError as error:
        raise TransferAmountInvalid(maximum=Money(maximum_fen)) from error
    if not 0 < amount.fen <= maximum_fen:
        raise TransferAmountInvalid(maximum=Money(maximum_fen))
    return amount.fen


def check_payee(*, party: str, name: str, bank_code: str, account_number: str) -> None:
    """Raises PayeeInvalid."""
    whole = PARTY.fullmatch(party) and BANK_CODE.fullmatch(bank_code) and ACCOUNT_NUMBER.fullmatch(account_number)
    if not (whole and is_name(name)):
        raise PayeeInvalid


def is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= NAME_LENGTH_MAX and text.isprintable()


def masked(account_number: str) -> str:
    return f"**** {account_number[-SHOWN_DIGITS:]}"


def digest_of(*parts: object) -> str:
    """Return what names a content exactly, so that an approval can be of it and of nothing else."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def share_of(fen: int, basis_points: int) -> int:
    """Return so much of an amount, rounded up."""
    return -(-fen * basis_points // BASIS_POINTS)


def forecast(volumes_fen: Sequence[int], *, margin_basis_points: int) -> int | None:
    """Return what a day will take: the mean of earlier days of its weekday, latest first, and a margin on it.

    Days before the first volume are no history; None where there is none at all.
    """
    first = max((number for number, fen in enumerate(volumes_fen, start=1) if fen), default=0)
    if not first:
        return None
    mean_fen = -(-sum(volumes_fen[:first]) // first)
    return mean_fen + share_of(mean_fen, margin_basis_points)


@dataclass(frozen=True, slots=True)
class Escrow:
    """What lies in escrow, in fen. What is held for withdrawals is spoken for, and part of no share.

    `to_reserve_fen` and `from_reserve_fen` are on their way between the accounts, out of the one and not yet in the
    other.
    """

    operating_fen: int
    reserve_fen: int
    withdrawing_fen: int
    to_reserve_fen: int
    from_reserve_fen: int

    @property
    def total_fen(self) -> int:
        return self.operating_fen + self.reserve_fen + self.to_reserve_fen + self.from_reserve_fen

    @property
    def in_reserve_fen(self) -> int:
        """What the reserve will have once everything has arrived."""
        return self.reserve_fen + self.to_reserve_fen

    def reserve_min_fen(self, basis_points: int) -> int:
        return share_of(self.total_fen, basis_points)

    def keeps_the_reserve(self, basis_points: int) -> bool:
        return self.in_reserve_fen >= self.reserve_min_fen(basis_points)

    def releasable_fen(self, basis_points: int) -> int:
        """How much may leave the reserve for the operating account."""
        return max(0, min(self.reserve_fen, self.in_reserve_fen - self.reserve_min_fen(basis_points)))


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What should lie in the operating account, and what to move: into the reserve where positive."""

    target_fen: int
    amount_fen: int


def plan_sweep(escrow: Escrow, *, forecast_fen: int | None, reserve_min_basis_points: int) -> SweepPlan:
    """Keep in the operating account what the day will take, and never more than the rule leaves to it.

    Without a history that is as much as the rule leaves. What is on its way out of the reserve counts as there.
    """
    cap_fen = escrow.total_fen - escrow.reserve_min_fen(reserve_min_basis_points)
    wanted_fen = cap_fen if forecast_fen is None else min(forecast_fen, cap_fen)
    target_fen = max(0, wanted_fen - escrow.from_reserve_fen)
    if escrow.operating_fen > target_fen:
        return SweepPlan(target_fen, escrow.operating_fen - target_fen)
    if escrow.from_reserve_fen:
        return SweepPlan(target_fen, 0)
    missing_fen = min(target_fen - escrow.operating_fen, escrow.releasable_fen(reserve_min_basis_points))
    return SweepPlan(target_fen, -missing_fen)
