"""What staff see and decide. Each of these asks first who they are."""

from __future__ import annotations

from uuid import UUID

from domain.identity import staff
from domain.orders import cases as operations
from domain.orders import reviewing
from kernel.states import StaffRole
from resolvers.approving import signature
from resolvers.payloads import payload
from schema.types.cases import (
    ApproveCaseInput,
    Case,
    CaseConnection,
    CaseSuccess,
    OrderReview,
    OrderReviewConnection,
    ProposeOutcomeInput,
    ProposeReversalInput,
    ReviewOrderInput,
    ReviewOrderSuccess,
)
from schema.types.context import Info
from schema.types.enums import ReviewDecision
from schema.types.inputs import Given
from schema.types.payloads import CasePayload, ProposeReversalPayload, ReviewOrderPayload
from schema.types.prices import After, First
from schema.types.refusals import refusals
from schema.types.relay import Page, key_of

REVIEWERS = frozenset({StaffRole.RISK})
DECIDERS = frozenset({StaffRole.FINANCE})


async def reviews(info: Info, first: First = 20, after: After = None) -> OrderReviewConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        member = await staff.require(viewer=info.context.signed_in)
        rows = await reviewing.waiting(staff=member, first=page.limit, after=page.after_id)
    return page.connection(rows, OrderReview.of)


async def cases(info: Info, first: First = 20, after: After = None) -> CaseConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        member = await staff.require(viewer=info.context.signed_in)
        rows = await operations.waiting(staff=member, first=page.limit, after=page.after_id)
    return page.connection(rows, Case.of)


async def review_by_key(info: Info, key: UUID) -> OrderReview | None:
    member = await staff.require(viewer=info.context.signed_in)
    row = await reviewing.any_review(staff=member, review_id=key)
    return OrderReview.of(row) if row else None


async def case_by_key(info: Info, key: UUID) -> Case | None:
    member = await staff.require(viewer=info.context.signed_in)
    row = await operations.any_case(staff=member, case_id=key)
    return Case.of(row) if row else None


@payload
async def review_order(info: Info, input: Given[ReviewOrderInput]) -> ReviewOrderPayload:
    row = await reviewing.decide(
        staff=await staff.require(viewer=info.context.signed_in, roles=REVIEWERS),
        order_id=key_of(input.order_id, "Order"),
        approve=input.decision is ReviewDecision.APPROVE,
        reason=input.reason,
        now=info.context.now,
    )
    return ReviewOrderSuccess.of(row)


@payload
async def propose_reversal(info: Info, input: Given[ProposeReversalInput]) -> ProposeReversalPayload:
    row = await operations.open_reversal(
        staff=await staff.require(viewer=info.context.signed_in, roles=DECIDERS),
        order_id=key_of(input.order_id, "Order"),
        reason=input.reason,
        now=info.context.now,
    )
    return CaseSuccess.of(row)


@payload
async def propose_outcome(info: Info, input: Given[ProposeOutcomeInput]) -> CasePayload:
    row = await operations.propose(
        staff=await staff.require(viewer=info.context.signed_in, roles=DECIDERS),
        case_id=key_of(input.case_id, "Case"),
        outcome=input.outcome,
        reason=input.reason,
        now=info.context.now,
    )
    return CaseSuccess.of(row)


@payload
async def approve_case(info: Info, input: Given[ApproveCaseInput]) -> CasePayload:
    row = await operations.approve(
        signature=await signature(info, input.second_factor, DECIDERS),
        case_id=key_of(input.case_id, "Case"),
        version=input.version,
        outcome=input.outcome,
        now=info.context.now,
    )
    return CaseSuccess.of(row)
