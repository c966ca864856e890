"""Arrival notices without a subscription, and how far a device has read them."""

from __future__ import annotations

from datetime import timedelta

from domain.events import acks
from domain.orders import arrivals
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.notices import AckNoticeInput, AckNoticeSuccess, ArrivalGap, NoticeConnection
from schema.types.payloads import AckNoticePayload
from schema.types.prices import First
from schema.types.refusals import refusals
from schema.types.relay import page_size
from schema.types.streams import After


async def notices(info: Info, first: First = 20, after: After = None) -> NoticeConnection:
    viewer, locale, settings = info.context.signed_in, info.context.locale, info.context.services.settings
    with refusals(info):
        limit = page_size(first, maximum=settings.page_size_max)
        page = await arrivals.page(viewer=viewer, after=after, limit=limit)
    gap = None
    if page.start.gap:
        maximum = settings.snapshot_arrivals_max
        recent = await arrivals.recent(viewer=viewer, limit=maximum + 1)
        gap = ArrivalGap.of(page.start.standing, page.start.gap, recent, maximum=maximum, locale=locale)
    return NoticeConnection.of(page, gap, after=after, locale=locale)


@payload
async def ack_notice(info: Info, input: Given[AckNoticeInput]) -> AckNoticePayload:
    settings = info.context.services.settings
    cursor = await acks.ack(
        user_id=info.context.signed_in.user_id,
        device=input.device,
        cursor=input.cursor,
        devices_max=settings.devices_per_user_max,
        forget_after=timedelta(days=settings.event_history_days),
        now=info.context.now,
    )
    return AckNoticeSuccess(cursor=cursor)
