"""The states and kinds of funds: transfers out of escrow, who is paid, and what is insured."""

from __future__ import annotations

from enum import StrEnum


class TransferKind(StrEnum):
    """Where a transfer goes: to somebody else, or between our own two escrow accounts."""

    WITHDRAWAL = "WITHDRAWAL"
    TO_RESERVE = "TO_RESERVE"
    FROM_RESERVE = "FROM_RESERVE"


class TransferState(StrEnum):
    PROPOSED = "PROPOSED"
    CHECKED = "CHECKED"
    DIRECTOR_APPROVED = "DIRECTOR_APPROVED"
    SENT = "SENT"  # the bank was, or is about to be, told; what became of it may be unknown
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"  # the bank has refused it for good
    VOID = "VOID"  # taken back, or what was approved is not there any more
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class PayeeKind(StrEnum):
    """What a payee is paid for, which says what their withdrawals are booked to."""

    ISSUER = "ISSUER"
    MERCHANT = "MERCHANT"
    COMPANY = "COMPANY"


class PayeeState(StrEnum):
    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    REJECTED = "REJECTED"
    REVOKED = "REVOKED"


class ClaimState(StrEnum):
    FILED = "FILED"
    ACCEPTED = "ACCEPTED"
    PAID = "PAID"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


class IncidentKind(StrEnum):
    """What a claim is about."""

    ERROR_ENTRY = "ERROR_ENTRY"
    CASE = "CASE"


class FundSubject(StrEnum):
    """What a line of the story of funds is about."""

    TRANSFER = "TRANSFER"
    PAYEE = "PAYEE"
    POLICY = "POLICY"
    CLAIM = "CLAIM"


class FundStepKind(StrEnum):
    """What can happen to any of these; each time is a line of its story."""

    PROPOSE = "PROPOSE"
    ORDER = "ORDER"  # by the rule of the sweep, without a person
    AMEND = "AMEND"
    CHECK = "CHECK"
    DIRECT = "DIRECT"
    REJECT = "REJECT"
    WITHDRAW = "WITHDRAW"
    VOID = "VOID"
    EXPIRE = "EXPIRE"
    SEND = "SEND"
    CONFIRM = "CONFIRM"
    FAIL = "FAIL"
    APPROVE = "APPROVE"
    REVOKE = "REVOKE"
    REGISTER = "REGISTER"
    FILE = "FILE"
    ACCEPT = "ACCEPT"
    PAY = "PAY"
