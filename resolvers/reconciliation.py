"""What finance staff see of bills and our books and decide, and what auditors see. Each of these asks
first who they are."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from domain.reconciliation import deciding, queries
from resolvers.approving import signature
from resolvers.operators import member_of
from resolvers.payloads import payload
from schema.types import requirements as allowed
from schema.types.context import Info
from schema.types.finance_enums import DifferenceState
from schema.types.inputs import Given
from schema.types.payloads import DifferencePayload
from schema.types.prices import After, First
from schema.types.reconciliation import (
    ApproveDifferenceResolutionInput,
    Difference,
    DifferenceConnection,
    DifferenceSuccess,
    ProposeDifferenceResolutionInput,
    ReconciliationRun,
    ReconciliationRunConnection,
    SuspenseAge,
)
from schema.types.refusals import refusals
from schema.types.relay import Page, key_of

UNRESOLVED = (DifferenceState.WAITING, DifferenceState.OPEN, DifferenceState.PROPOSED)

OfSource = Annotated[str | None, strawberry.argument(description="Only of this source.")]
OfDay = Annotated[date | None, strawberry.argument(description="Only of this day in Asia/Shanghai.")]
InStates = Annotated[
    list[DifferenceState] | None, strawberry.argument(description="Only in these states; the unresolved by default.")
]


async def reconciliation_runs(
    info: Info, source: OfSource = None, first: First = 20, after: After = None
) -> ReconciliationRunConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        await member_of(info, allowed.SEES_BOOKS)
    rows = await queries.latest_runs(source=source, first=page.limit, after=page.after_id)
    return page.connection(rows, ReconciliationRun.of)


async def reconciliation_differences(
    info: Info,
    source: OfSource = None,
    day: OfDay = None,
    states: InStates = None,
    first: First = 20,
    after: After = None,
) -> DifferenceConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        await member_of(info, allowed.SEES_BOOKS)
    rows = await queries.some_differences(
        states=UNRESOLVED if states is None else states, source=source, day=day, first=page.limit, after=page.after_id
    )
    return page.connection(rows, Difference.of)


async def run_by_key(info: Info, key: UUID) -> ReconciliationRun | None:
    await member_of(info, allowed.SEES_BOOKS)
    row = await queries.run(run_id=key)
    return ReconciliationRun.of(row) if row else None


async def difference_by_key(info: Info, key: UUID) -> Difference | None:
    await member_of(info, allowed.SEES_BOOKS)
    row = await queries.difference(difference_id=key)
    return Difference.of(row) if row else None


async def suspense_ageing(info: Info) -> list[SuspenseAge]:
    with refusals(info):
        await member_of(info, allowed.SEES_BOOKS)
    return [SuspenseAge.of(each) for each in await queries.suspense_ageing(now=info.context.now)]


@payload
async def propose_difference_resolution(
    info: Info, input: Given[ProposeDifferenceResolutionInput]
) -> DifferencePayload:
    row = await deciding.propose(
        staff=await member_of(info, allowed.BOOKS),
        difference_id=key_of(input.difference_id, "Difference"),
        version=input.version,
        outcome=input.outcome,
        reason=input.reason,
        now=info.context.now,
    )
    return DifferenceSuccess.of(row)


@payload
async def approve_difference_resolution(
    info: Info, input: Given[ApproveDifferenceResolutionInput]
) -> DifferencePayload:
    row = await deciding.approve(
        signature=await signature(info, input.second_factor, frozenset(allowed.BOOKS.roles)),
        difference_id=key_of(input.difference_id, "Difference"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return DifferenceSuccess.of(row)
