"""What staff go through, find and settle, and what they have done. Each of these asks first who they are."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from domain.actions import queries as actions
from domain.finance import reports
from domain.identity import staff
from domain.operators import queues, searching
from domain.operators import story as stories
from domain.work import manual_queue
from resolvers.payloads import payload
from schema.types import requirements as allowed
from schema.types.context import Info
from schema.types.finance_report import FinanceReport
from schema.types.inputs import Given
from schema.types.operator_enums import ErrorKind
from schema.types.operators import (
    FoundOrderConnection,
    LedgerError,
    LedgerErrorConnection,
    OrderSearchInput,
    ParkedWorkEntryConnection,
    QueueCount,
    SettleWorkInput,
    SettleWorkSuccess,
    StaffAction,
    StaffActionConnection,
    SuspenseEntry,
    SuspenseEntryConnection,
    WorkStatus,
    found_page,
    found_place,
    parked_page,
    parked_place,
)
from schema.types.payloads import SettleWorkPayload
from schema.types.prices import After, First
from schema.types.refusals import refusals
from schema.types.relay import Page, key_of, page_size
from schema.types.requirements import RequiresRole
from schema.types.scalars import DateTime
from schema.types.story import OrderStory

OfKind = Annotated[str | None, strawberry.argument(description="Only of this kind, such as `query_recharge`.")]
OfErrorKind = Annotated[ErrorKind | None, strawberry.argument(description="Only of this kind.")]
OfOrder = Annotated[strawberry.ID | None, strawberry.argument(description="Only of this order.")]
Since = Annotated[DateTime | None, strawberry.argument(description="Only from then on.")]
Until = Annotated[DateTime | None, strawberry.argument(description="Only before.")]
Text = Annotated[str | None, strawberry.argument(description="Only of exactly this.")]
Account = Annotated[str, strawberry.argument(description="The account, as `suspenseAgeing` names it.")]
Day = Annotated[date, strawberry.argument(description="The day in Asia/Shanghai.")]
OrderId = Annotated[strawberry.ID, strawberry.argument(description="The order's id.")]
By = Annotated[OrderSearchInput, strawberry.argument(description="What to find them by.")]


async def member_of(info: Info, requirement: RequiresRole) -> staff.Staff:
    """Return the member of staff who asks. Raises StaffOnly."""
    return await staff.require(viewer=info.context.signed_in, roles=frozenset(requirement.roles))


async def work_queue(info: Info) -> list[QueueCount]:
    with refusals(info):
        rows = await queues.queue(staff=await member_of(info, allowed.ANY_STAFF))
    return [QueueCount.of(row) for row in rows]


async def work_status(info: Info) -> list[WorkStatus]:
    with refusals(info):
        rows = await queues.work_status(staff=await member_of(info, allowed.ANY_STAFF), now=info.context.now)
    return [WorkStatus.of(row) for row in rows]


async def parked_work(
    info: Info, kind: OfKind = None, first: First = 20, after: After = None
) -> ParkedWorkEntryConnection:
    size = page_size(first, maximum=info.context.services.settings.page_size_max)
    place = parked_place(after)
    with refusals(info):
        member = await member_of(info, allowed.ANY_STAFF)
        rows = await queues.parked(staff=member, kind=kind, first=size + 1, after=place)
    return parked_page(rows, first=size, after=after)


async def ledger_errors(
    info: Info,
    kind: OfErrorKind = None,
    order_id: OfOrder = None,
    since: Since = None,
    until: Until = None,
    first: First = 20,
    after: After = None,
) -> LedgerErrorConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    key = key_of(order_id, "Order") if order_id is not None else None
    if order_id is not None and key is None:
        return page.connection([], LedgerError.of)
    with refusals(info):
        member = await member_of(info, allowed.SEES_CUSTOMERS)
        rows = await queues.errors(
            staff=member, kind=kind, order_id=key, since=since, until=until, first=page.limit, after=page.after_id
        )
    return page.connection(rows, LedgerError.of)


async def suspense_entries(
    info: Info, account: Account, first: First = 20, after: After = None
) -> SuspenseEntryConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        member = await member_of(info, allowed.SEES_BOOKS)
        rows = await queues.suspense_lines(staff=member, account=account, first=page.limit, after=page.after_id)
    return page.connection(rows, SuspenseEntry.of)


async def error_by_key(info: Info, key: UUID) -> LedgerError | None:
    row = await queues.any_error(staff=await member_of(info, allowed.SEES_CUSTOMERS), error_id=key)
    return LedgerError.of(row) if row else None


async def suspense_entry_by_key(info: Info, key: UUID) -> SuspenseEntry | None:
    row = await queues.any_suspense_line(staff=await member_of(info, allowed.SEES_BOOKS), line_id=key)
    return SuspenseEntry.of(row) if row else None


async def action_by_key(info: Info, key: UUID) -> StaffAction | None:
    row = await actions.any_action(staff=await member_of(info, allowed.SEES_ACTIONS), action_id=key)
    return StaffAction.of(row) if row else None


async def search_orders(info: Info, by: By, first: First = 20, after: After = None) -> FoundOrderConnection:
    size = page_size(first, maximum=info.context.services.settings.page_size_max)
    place, wanted = found_place(after), searching.Wanted(**vars(by))
    with refusals(info):
        rows = await searching.search(
            staff=await member_of(info, allowed.SEES_CUSTOMERS),
            wanted=wanted,
            first=size + 1,
            after=place,
            now=info.context.now,
        )
    return found_page(rows, first=size, after=after)


async def order_story(info: Info, id: OrderId) -> OrderStory:
    with refusals(info):
        member = await member_of(info, allowed.SEES_CUSTOMERS)
        story = await stories.tell(staff=member, order_id=key_of(id, "Order"), now=info.context.now)
    return OrderStory.of(story)


async def staff_actions(
    info: Info,
    actor: Text = None,
    action: Text = None,
    object_type: Text = None,
    object_id: Text = None,
    since: Since = None,
    until: Until = None,
    first: First = 20,
    after: After = None,
) -> StaffActionConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    wanted = actions.Wanted(actor, action, object_type, object_id, since, until)
    with refusals(info):
        member = await member_of(info, allowed.SEES_ACTIONS)
        rows = await actions.listed(staff=member, wanted=wanted, first=page.limit, after=page.after_id)
    return page.connection(rows, StaffAction.of)


async def finance_report(info: Info, day: Day) -> FinanceReport:
    with refusals(info):
        await member_of(info, allowed.SEES_BOOKS)
        return FinanceReport.of(await reports.report(day=day, now=info.context.now))


@payload
async def retry_work(info: Info, input: Given[SettleWorkInput]) -> SettleWorkPayload:
    member = await member_of(info, allowed.WORK)
    row = await manual_queue.retry(
        job_id=key_of(input.work_id, "ParkedWork"),
        actor=member.actor,
        roles=member.roles,
        reason=input.reason,
        now=info.context.now,
    )
    return SettleWorkSuccess.of(row)


@payload
async def dismiss_work(info: Info, input: Given[SettleWorkInput]) -> SettleWorkPayload:
    member = await member_of(info, allowed.WORK)
    row = await manual_queue.dismiss(
        job_id=key_of(input.work_id, "ParkedWork"),
        actor=member.actor,
        roles=member.roles,
        reason=input.reason,
        now=info.context.now,
    )
    return SettleWorkSuccess.of(row)
