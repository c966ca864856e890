"""Bills compared with our books, what they differ about, and what stands in suspense. For finance staff."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

import strawberry

from domain.reconciliation.queries import IN_SUSPENSE, Ageing
from kernel.money import Money as Amount
from models.reconciliation import ReconciliationDifference, ReconciliationStep
from models.reconciliation import ReconciliationRun as RunRow
from schema.types import costs
from schema.types.context import Info
from schema.types.finance_enums import (
    BillEntryKind,
    DifferenceClass,
    DifferenceOutcome,
    DifferenceState,
    DifferenceStep,
    ReconciliationState,
)
from schema.types.money import Money
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime


def _money(fen: int | None) -> Money | None:
    return Money.showing(Amount(fen)) if fen is not None else None


def _moment(value: datetime | None) -> DateTime | None:
    return DateTime(value) if value is not None else None


@strawberry.type(description="How many keys have one class of difference.")
class DifferenceCount:
    difference_class: DifferenceClass = strawberry.field(description="The class.")
    count: int = strawberry.field(description="How many keys.")


@strawberry.type(description="One bill of one business day, compared with our books. For finance staff.")
class ReconciliationRun(Node):
    source: str = strawberry.field(description="Whose bill, such as `wechat_pay:1900000209`.")
    business_day: date = strawberry.field(description="The day in Asia/Shanghai.")
    state: ReconciliationState = strawberry.field(description="Where it stands.")
    reason: str = strawberry.field(description="Why it was refused or broke off; empty otherwise.")
    digest: str = strawberry.field(description="The SHA-256 of the bill; empty where it could not be used.")
    passes: int = strawberry.field(description="How often this bill was compared, or could not be used.")
    bill_lines: int = strawberry.field(description="How many lines the bill has.")
    book_lines: int = strawberry.field(description="How many rows our books have of the day.")
    matched: int = strawberry.field(description="How many keys agree.")
    counts: list[DifferenceCount] = strawberry.field(
        directives=[costs.at_most(20)], description="How many do not, by class."
    )
    bill_total: Money = strawberry.field(description="What the bill says that has arrived, less what has left.")
    book_total: Money = strawberry.field(description="What our books say of the day.")
    begun_at: DateTime = strawberry.field(description="When it was last begun.")
    finished_at: DateTime | None = strawberry.field(description="When that ended.")

    @classmethod
    def of(cls, row: RunRow) -> Self:
        counts = [DifferenceCount(difference_class=DifferenceClass(name), count=n) for name, n in row.counts.items()]
        return cls(
            id=global_id("ReconciliationRun", row.id),
            source=row.source,
            business_day=row.business_day,
            state=row.state,
            reason=row.reason,
            digest=row.digest,
            passes=row.passes,
            bill_lines=row.bill_line_count,
            book_lines=row.book_line_count,
            matched=row.matched_count,
            counts=counts,
            bill_total=Money.showing(Amount(row.bill_fen)),
            book_total=Money.showing(Amount(row.book_fen)),
            begun_at=DateTime(row.begun_at),
            finished_at=_moment(row.finished_at),
        )


@strawberry.type(description="One line of a difference's story.")
class DifferenceStoryStep:
    step: DifferenceStep = strawberry.field(description="What happened.")
    from_state: DifferenceState | None = strawberry.field(description="Where it stood before.")
    to_state: DifferenceState = strawberry.field(description="Where it stood afterwards.")
    outcome: DifferenceOutcome | None = strawberry.field(description="What was proposed or approved.")
    amount: Money = strawberry.field(description="What the bill said more than our books at the time.")
    actor: str = strawberry.field(description="Who: `staff:` and an id, or `system`.")
    reason: str = strawberry.field(description="Why, in their words.")
    at: DateTime = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: ReconciliationStep) -> Self:
        return cls(
            step=row.step,
            from_state=row.from_state,
            to_state=row.to_state,
            outcome=row.outcome,
            amount=Money.showing(Amount(row.amount_fen)),
            actor=row.actor,
            reason=row.reason,
            at=DateTime(row.occurred_at),
        )


@strawberry.type(description="What a bill and our books say differently of one key. For finance staff.")
class Difference(Node):
    source: str = strawberry.field(description="Whose bill.")
    business_day: date = strawberry.field(description="The day in Asia/Shanghai.")
    kind: BillEntryKind = strawberry.field(description="What the line is about.")
    key: str = strawberry.field(description="Our number of the payment, refund, recharge or transfer.")
    reference: str = strawberry.field(description="The third party's own number, where one is known.")
    difference_class: DifferenceClass = strawberry.field(description="How the sides differ.")
    state: DifferenceState = strawberry.field(description="Where it stands.")
    amount: Money = strawberry.field(
        description="What the bill says more than our books of the party's account; negative where it says less."
    )
    in_suspense: bool = strawberry.field(
        description="Whether that much is in suspense; not where the account does not hold what is missing."
    )
    book_amount: Money | None = strawberry.field(description="What our books have, if anything.")
    book_state: str | None = strawberry.field(description="Our own word of its state.")
    bill_amount: Money | None = strawberry.field(description="What the bill has, if anything.")
    bill_state: str | None = strawberry.field(description="The third party's own word of its state.")
    outcome: DifferenceOutcome | None = strawberry.field(description="How it should end, as proposed, or has ended.")
    reason: str = strawberry.field(description="Why, in the words of whoever proposed.")
    version: int = strawberry.field(description="Counts every change; name it when you propose or approve.")
    found_at: DateTime = strawberry.field(description="When a run first found it.")
    opened_at: DateTime | None = strawberry.field(description="Since when it waits for people.")
    key_id: strawberry.Private[UUID]

    @strawberry.field(directives=[costs.READ, costs.at_most(30)], description="What happened to it, oldest first.")
    async def story(self, info: Info) -> list[DifferenceStoryStep]:
        return [DifferenceStoryStep.of(row) for row in await info.context.loaders.difference_stories.load(self.key_id)]

    @classmethod
    def of(cls, row: ReconciliationDifference) -> Self:
        return cls(
            id=global_id("Difference", row.id),
            source=row.source,
            business_day=row.business_day,
            kind=row.kind,
            key=row.key,
            reference=row.reference,
            difference_class=row.difference_class,
            state=row.state,
            amount=Money.showing(Amount(row.amount_fen)),
            in_suspense=row.suspended and row.state in IN_SUSPENSE,
            book_amount=_money(row.book_fen),
            book_state=row.book_state,
            bill_amount=_money(row.bill_fen),
            bill_state=row.bill_state,
            outcome=row.outcome,
            reason=row.reason,
            version=row.version,
            found_at=DateTime(row.found_at),
            opened_at=_moment(row.opened_at),
            key_id=row.id,
        )


ReconciliationRunConnection = Connection[ReconciliationRun]
DifferenceConnection = Connection[Difference]


@strawberry.type(description="What one suspense account holds that is so many days old.")
class SuspenseBucket:
    from_days: int = strawberry.field(description="The youngest age in days.")
    to_days: int | None = strawberry.field(description="The oldest age in days; null where there is no end.")
    count: int = strawberry.field(description="How many differences and cases.")
    amount: Money = strawberry.field(description="Debits minus credits.")


@strawberry.type(description="What stands in suspense with one third party, by its age.")
class SuspenseAge:
    account: str = strawberry.field(description="The account, such as `suspense:wechat_pay`.")
    balance: Money = strawberry.field(description="Debits minus credits.")
    buckets: list[SuspenseBucket] = strawberry.field(
        directives=[costs.at_most(4)], description="0-1, 2-7, 8-30 and more than 30 days."
    )
    unexplained: Money = strawberry.field(description="What no difference or case tells of; zero where all is well.")

    @classmethod
    def of(cls, ageing: Ageing) -> Self:
        return cls(
            account=ageing.account,
            balance=Money.showing(ageing.balance),
            buckets=[
                SuspenseBucket(from_days=first, to_days=last, count=count, amount=Money.showing(amount))
                for first, last, count, amount in ageing.buckets
            ],
            unexplained=Money.showing(ageing.unexplained),
        )


@strawberry.input(description="Where the money of a difference should go.")
class ProposeDifferenceResolutionInput:
    difference_id: strawberry.ID = strawberry.field(description="The difference.")
    version: int = strawberry.field(description="The version that you have read.")
    outcome: DifferenceOutcome = strawberry.field(description="How it should end.")
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="The approval of what somebody else has proposed about a difference.")
class ApproveDifferenceResolutionInput:
    difference_id: strawberry.ID = strawberry.field(description="The difference.")
    version: int = strawberry.field(description="The version that you have read; what has changed since is refused.")
    reason: str = strawberry.field(description="Why.")
    second_factor: str | None = strawberry.field(
        default=None,
        description="A code of your authenticator that has signed nothing yet. Without it nothing is approved.",
    )


@strawberry.type(description="The difference as it stands now.")
class DifferenceSuccess:
    difference: Difference = strawberry.field(description="The difference.")

    @classmethod
    def of(cls, row: ReconciliationDifference) -> Self:
        return cls(difference=Difference.of(row))
