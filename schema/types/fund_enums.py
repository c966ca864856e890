"""The enums of funds and insurance. Types import them from here, as the others from `schema.types.enums`."""

from __future__ import annotations

from kernel.fund_states import (
    ClaimState,
    FundStepKind,
    IncidentKind,
    PayeeKind,
    PayeeState,
    TransferKind,
    TransferState,
)
from schema.types.describing import described

__all__ = ["ClaimState", "FundStepKind", "IncidentKind", "PayeeKind", "PayeeState", "TransferKind", "TransferState"]

described(
    TransferKind,
    "TransferKind",
    "Where a transfer goes.",
    {
        "WITHDRAWAL": "To a registered payee.",
        "TO_RESERVE": "From the operating account into the reserve, by the rule of the sweep.",
        "FROM_RESERVE": "Out of the reserve into the operating account, which takes a second person and the director.",
    },
)
described(
    TransferState,
    "TransferState",
    "Where a transfer stands.",
    {
        "PROPOSED": "It waits for a second person; its money is set aside.",
        "CHECKED": "A second person has agreed; the bank is told, unless the director must agree as well.",
        "DIRECTOR_APPROVED": "The finance director has agreed as well.",
        "SENT": "The bank was told, and has not said yet what became of it.",
        "CONFIRMED": "The bank has carried it out.",
        "FAILED": "The bank has refused it; its money is free again.",
        "VOID": "It was taken back, or its payee is not there any more.",
        "REJECTED": "Somebody has refused it.",
        "EXPIRED": "Nobody has agreed in time.",
    },
)
described(
    PayeeKind,
    "PayeeKind",
    "What a payee is paid for.",
    {
        "ISSUER": "Our deposit at a card issuer.",
        "MERCHANT": "What we owe a merchant.",
        "COMPANY": "What the company draws of its own.",
    },
)
described(
    PayeeState,
    "PayeeState",
    "Where a payee stands.",
    {
        "PROPOSED": "It waits for a second person.",
        "ACTIVE": "Withdrawals may go there.",
        "REJECTED": "A second person has refused it.",
        "REVOKED": "Nothing more goes there.",
    },
)
described(
    ClaimState,
    "ClaimState",
    "Where a claim stands.",
    {
        "FILED": "The insurer was told.",
        "ACCEPTED": "The insurer grants an amount, which is not booked yet.",
        "PAID": "The money has arrived and is booked.",
        "REJECTED": "The insurer does not pay.",
        "WITHDRAWN": "We have given it up.",
    },
)
described(
    IncidentKind,
    "IncidentKind",
    "What a claim is about.",
    {"ERROR_ENTRY": "An entry of the error ledger.", "CASE": "A case that two people decide."},
)
described(
    FundStepKind,
    "FundStepKind",
    "What can happen to a transfer, payee, policy or claim.",
    {
        "PROPOSE": "Somebody proposed it.",
        "ORDER": "The rule of the sweep began it.",
        "AMEND": "Its maker changed it, and every approval was void.",
        "CHECK": "A second person agreed.",
        "DIRECT": "The finance director agreed.",
        "REJECT": "Somebody refused it.",
        "WITHDRAW": "It was taken back.",
        "VOID": "It was not what had been approved any more.",
        "EXPIRE": "Nobody agreed in time.",
        "SEND": "The bank was about to be told.",
        "CONFIRM": "The bank carried it out.",
        "FAIL": "The bank refused it.",
        "APPROVE": "A second person let it in.",
        "REVOKE": "Somebody stopped it.",
        "REGISTER": "Somebody registered it.",
        "FILE": "Somebody filed it.",
        "ACCEPT": "Somebody noted what the insurer grants.",
        "PAY": "Somebody else booked that it has arrived.",
    },
)
