"""What staff decide: reviews of large orders, and cases that take two people."""

from __future__ import annotations

from typing import Self
from uuid import UUID

import strawberry

from kernel.money import Money as Amount
from models.orders import RechargeOrder
from models.reviews import ManualCase, Review
from schema.types import costs
from schema.types.context import Info
from schema.types.enums import CaseKind, CaseOutcome, CaseState, ReviewDecision, ReviewReason
from schema.types.money import Money
from schema.types.orders import Order
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime


@strawberry.type(description="A paid order that waits for somebody who did not make it. For staff.")
class OrderReview(Node):
    reason: ReviewReason = strawberry.field(description="Why it is reviewed.")
    deadline_at: DateTime = strawberry.field(description="When it is rejected if nobody has decided.")
    created_at: DateTime = strawberry.field(description="When it was paid.")
    order_id: strawberry.Private[UUID]

    @strawberry.field(directives=[costs.READ], description="The order.")
    async def order(self, info: Info) -> Order:
        return Order.of(await info.context.loaders.orders.load(self.order_id))

    @classmethod
    def of(cls, row: Review) -> Self:
        return cls(
            id=global_id("OrderReview", row.id),
            reason=row.reason,
            deadline_at=DateTime(row.deadline_at),
            created_at=DateTime(row.created_at),
            order_id=row.order_id,
        )


OrderReviewConnection = Connection[OrderReview]


@strawberry.type(
    description="What two people decide about an order's money: one proposes, another approves. For staff."
)
class Case(Node):
    kind: CaseKind = strawberry.field(description="Why it exists.")
    state: CaseState = strawberry.field(description="Where it stands.")
    amount: Money = strawberry.field(description="The money that it is about.")
    outcome: CaseOutcome | None = strawberry.field(description="How it should end, as proposed, or has ended.")
    reason: str = strawberry.field(description="Why, in the words of whoever opened or proposed.")
    version: int = strawberry.field(description="Counts the proposals; name it when you approve.")
    created_at: DateTime = strawberry.field(description="When it was opened.")
    order_id: strawberry.Private[UUID]

    @strawberry.field(directives=[costs.READ], description="The order.")
    async def order(self, info: Info) -> Order:
        return Order.of(await info.context.loaders.orders.load(self.order_id))

    @classmethod
    def of(cls, row: ManualCase) -> Self:
        return cls(
            id=global_id("Case", row.id),
            kind=row.kind,
            state=row.state,
            amount=Money.showing(Amount(row.amount_fen)),
            outcome=row.outcome,
            reason=row.reason,
            version=row.version,
            created_at=DateTime(row.created_at),
            order_id=row.order_id,
        )


CaseConnection = Connection[Case]


@strawberry.input(description="A decision on a paid order that waits for a review.")
class ReviewOrderInput:
    order_id: strawberry.ID = strawberry.field(description="The order.")
    decision: ReviewDecision = strawberry.field(description="Recharge it, or refund it.")
    reason: str = strawberry.field(description="Why; it stays in the order's story.")


@strawberry.input(description="A recharge to take back.")
class ProposeReversalInput:
    order_id: strawberry.ID = strawberry.field(description="The order, which has succeeded.")
    reason: str = strawberry.field(description="Why, such as the issuer's letter.")


@strawberry.input(description="How a case should end.")
class ProposeOutcomeInput:
    case_id: strawberry.ID = strawberry.field(description="The case.")
    outcome: CaseOutcome = strawberry.field(description="How it should end.")
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="The approval of what somebody else has proposed.")
class ApproveCaseInput:
    case_id: strawberry.ID = strawberry.field(description="The case.")
    outcome: CaseOutcome = strawberry.field(description="What you approve; another proposal since then is refused.")
    version: int | None = strawberry.field(
        default=None, description="The version that you have read. Without it nothing is approved."
    )
    second_factor: str | None = strawberry.field(
        default=None,
        description="A code of your authenticator that has signed nothing yet. Without it nothing is approved.",
    )


@strawberry.type(description="The order, decided on.")
class ReviewOrderSuccess:
    order: Order = strawberry.field(description="The order.")

    @classmethod
    def of(cls, row: RechargeOrder) -> Self:
        return cls(order=Order.of(row))


@strawberry.type(description="The case as it stands now.")
class CaseSuccess:
    case: Case = strawberry.field(description="The case.")

    @classmethod
    def of(cls, row: ManualCase) -> Self:
        return cls(case=Case.of(row))
