"""The enums of reconciliation. Types import them from here, as the others from `schema.types.enums`."""

from __future__ import annotations

from kernel.states import (
    BillEntryKind,
    DifferenceClass,
    DifferenceOutcome,
    DifferenceState,
    DifferenceStep,
    ReconciliationState,
)
from schema.types.describing import described

__all__ = [
    "BillEntryKind",
    "DifferenceClass",
    "DifferenceOutcome",
    "DifferenceState",
    "DifferenceStep",
    "ReconciliationState",
]

described(
    BillEntryKind,
    "BillEntryKind",
    "What a line of a bill is about.",
    {
        "PAYMENT": "A payment through a channel.",
        "REFUND": "A refund through a channel.",
        "RECHARGE": "A recharge by a card issuer.",
        "REVERSAL": "A recharge that the issuer took back.",
        "TRANSFER": "A transfer of the bank.",
    },
)
described(
    ReconciliationState,
    "ReconciliationState",
    "Where a run stands.",
    {
        "RUNNING": "It is being compared.",
        "DONE": "It was compared to its end.",
        "REFUSED": "The bill could not be used; `reason` says why, and it is tried again.",
        "STOPPED": "It broke off, and is done again.",
    },
)
described(
    DifferenceClass,
    "DifferenceClass",
    "How a bill and our books differ.",
    {
        "AMOUNT_DIFF": "Both have it, with another amount.",
        "STATUS_DIFF": "Both have it, and only one says that the money has moved.",
        "LONG": "长款: the bill has it, our books do not.",
        "SHORT": "短款: our books have it, and neither the bill of its day nor that of the next one does.",
        "DUPLICATE": "The bill has it more than once.",
        "OVERTAKEN": "The sides agree since it was decided, so what was decided is to be taken back.",
    },
)
described(
    DifferenceState,
    "DifferenceState",
    "Where a difference stands.",
    {
        "WAITING": "The bill of the next day may have it; nothing is in suspense yet.",
        "OPEN": "Nobody has proposed anything.",
        "PROPOSED": "It waits for a second person.",
        "RESOLVED": "Two people have decided.",
        "SELF_RESOLVED": "Bill and books agree by now.",
        "OVERTAKEN": "Bill and books agree since it was decided; a difference of that class takes the decision back.",
    },
)
described(
    DifferenceOutcome,
    "DifferenceOutcome",
    "Where the money goes that stands in suspense.",
    {
        "REFUND": "It is owed back to whoever has paid.",
        "TRANSIT": "It is for a recharge that is still to come.",
        "WRITE_OFF": "It is a loss, or a gain.",
    },
)
described(
    DifferenceStep,
    "DifferenceStepKind",
    "What can happen to a difference.",
    {
        "FOUND": "A run found it.",
        "GRACE_OVER": "The bill of the next day does not have it either.",
        "FOUND_AGAIN": "A run found it after it had gone.",
        "SUSPENDED": "A run booked it into suspense, which the account had not held enough for before.",
        "PROPOSED": "Somebody proposed how it ends.",
        "APPROVED": "Somebody else approved that.",
        "SELF_RESOLVED": "A run found that bill and books agree.",
        "OVERTAKEN": "A run found that bill and books agree, after two people had decided.",
    },
)
