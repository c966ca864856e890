"""What `alerts` delivers to staff."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Self, TypeAlias

import strawberry

from domain.events.cursors import GapReason, Standing
from domain.events.ports import StoredEvent
from domain.orders.alerts import Subject
from models.funds import FundPayee, FundTransfer
from models.funds import InsuranceClaim as ClaimRow
from models.jobs import Job
from models.reconciliation import ReconciliationDifference
from models.reviews import ManualCase, Review
from models.sign_ins import SignInLock as LockRow
from schema.types import costs
from schema.types.cases import Case, OrderReview
from schema.types.deprecating import deprecation
from schema.types.funds import Payee, Transfer
from schema.types.insurance import InsuranceClaim
from schema.types.reconciliation import Difference
from schema.types.relay import global_id
from schema.types.scalars import DateTime
from schema.types.sign_ins import SignInLock
from schema.types.streams import COMPLETE, StreamEvent, StreamGap


@strawberry.type(description="A case was opened, which two people decide.")
class CaseAlert:
    case: Case = strawberry.field(description="The case as it is now.")


@strawberry.type(description="A paid order waits for a review.")
class ReviewAlert:
    review: OrderReview = strawberry.field(description="The review.")


@strawberry.type(description="Work that no retry could settle, left to a person.")
class ParkedWork:
    id: strawberry.ID = strawberry.field(
        description="Opaque and stable.",
        deprecation_reason=deprecation(
            "Use `jobId`: work is no `Node`, so this id leads nowhere.",
            since=date(2026, 11, 29),
            removal=date(2027, 5, 1),
        ),
    )
    job_id: str = strawberry.field(description="Names it to `python -m jobs retry` and `dismiss`.")
    kind: str = strawberry.field(description="What it does, such as `query_recharge`.")
    key: str = strawberry.field(description="What it does that to, such as an order's id.")
    reason: str | None = strawberry.field(description="Why it was parked.")
    parked_at: DateTime | None = strawberry.field(description="Since when it waits; null where it does no more.")

    @classmethod
    def of(cls, row: Job) -> Self:
        return cls(
            id=global_id("ParkedWork", row.id),
            job_id=str(row.id),
            kind=row.kind,
            key=row.key,
            reason=row.last_error,
            parked_at=None if row.parked_at is None else DateTime(row.parked_at),
        )


@strawberry.type(description="Work was parked in the manual queue.")
class WorkAlert:
    work: ParkedWork = strawberry.field(description="The work.")


@strawberry.type(description="A user, a client or an address is locked, since too many sign-ins failed.")
class SignInLockAlert:
    lock: SignInLock = strawberry.field(description="The lock as it is now.")


@strawberry.type(description="A bill and our books differ, and two people decide what becomes of it.")
class DifferenceAlert:
    difference: Difference = strawberry.field(description="The difference.")


@strawberry.type(description="A transfer waits for a second person, or for the finance director.")
class TransferAlert:
    transfer: Transfer = strawberry.field(description="The transfer as it is now.")


@strawberry.type(description="A bank account waits for a second person to let it in.")
class PayeeAlert:
    payee: Payee = strawberry.field(description="The payee as it is now.")


@strawberry.type(description="An insurer grants an amount, whose arrival somebody else is to book.")
class ClaimAlert:
    claim: InsuranceClaim = strawberry.field(description="The claim as it is now.")


AnAlert: TypeAlias = (
    CaseAlert | ReviewAlert | WorkAlert | TransferAlert | PayeeAlert | ClaimAlert | DifferenceAlert | SignInLockAlert
)
Alert = Annotated[
    CaseAlert | ReviewAlert | WorkAlert | TransferAlert | PayeeAlert | ClaimAlert | DifferenceAlert | SignInLockAlert,
    strawberry.union("Alert", description="Something that waits for staff."),
]


def alert_of(subject: Subject) -> AnAlert:
    match subject:
        case ManualCase():
            return CaseAlert(case=Case.of(subject))
        case Review():
            return ReviewAlert(review=OrderReview.of(subject))
        case Job():
            return WorkAlert(work=ParkedWork.of(subject))
        case LockRow():
            return SignInLockAlert(lock=SignInLock.of(subject))
        case ReconciliationDifference():
            return DifferenceAlert(difference=Difference.of(subject))
        case FundTransfer():
            return TransferAlert(transfer=Transfer.of(subject))
        case FundPayee():
            return PayeeAlert(payee=Payee.of(subject))
        case ClaimRow():
            return ClaimAlert(claim=InsuranceClaim.of(subject))


@strawberry.type(description="Something has begun to wait for staff.")
class AlertEvent(StreamEvent):
    alert: Alert = strawberry.field(description="What it is.")
    raised_at: DateTime = strawberry.field(description="Since when.")
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, cursor: str, event: StoredEvent, *, subject: Subject) -> Self:
        return cls(cursor=cursor, alert=alert_of(subject), raised_at=DateTime(event.occurred_at))


@strawberry.type(description="Alerts are missing here; this is what waits.")
class AlertGap(StreamGap):
    alerts: list[Alert] = strawberry.field(
        directives=[costs.at_most(100)],
        description="Reviews, then cases, what finance has to approve, parked work and differences, each oldest first.",
    )
    complete: bool = strawberry.field(description=COMPLETE)
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, standing: Standing, reason: GapReason, subjects: Sequence[Subject], *, maximum: int) -> Self:
        """One subject more than the maximum tells that the snapshot is not complete."""
        return cls(
            cursor=standing.cursor(),
            reason=reason,
            alerts=[alert_of(subject) for subject in subjects[:maximum]],
            complete=len(subjects) <= maximum,
        )


AlertStreamEvent = Annotated[
    AlertEvent | AlertGap,
    strawberry.union("AlertStreamEvent", description="What `alerts` delivers."),
]
