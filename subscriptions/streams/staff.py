"""`alerts`: what begins to wait for staff."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from domain.events.cursors import GapReason, Standing, Start
from domain.events.ports import StoredEvent
from domain.events.queries import standing_of
from domain.events.streams import ALERTS
from domain.identity.staff import StaffOnly, require
from domain.identity.viewer import Viewer
from domain.orders import alerts as domain
from domain.orders.alerts import Subject
from schema.types.alerts import AlertEvent, AlertGap, AlertStreamEvent
from schema.types.context import Info
from schema.types.refusals import refusals
from schema.types.streams import After
from subscriptions.hub import steadily
from subscriptions.streams.following import follow


async def alerts(info: Info, after: After = None) -> AsyncGenerator[AlertStreamEvent, None]:
    viewer = info.context.signed_in
    with refusals(info):
        await require(viewer=viewer)
        start = Start.at(await standing_of(ALERTS), after)
    return _alerts(info, viewer, start)


async def _alerts(info: Info, viewer: Viewer, start: Start) -> AsyncGenerator[AlertStreamEvent, None]:
    maximum = info.context.services.settings.snapshot_alerts_max

    async def gap(standing: Standing, reason: GapReason) -> AlertGap | StaffOnly:
        try:
            waiting = await domain.waiting(staff=await require(viewer=viewer), limit=maximum + 1)
        except StaffOnly as error:
            return error
        return AlertGap.of(standing, reason, waiting, maximum=maximum)

    async with aclosing(follow(info, start, gap)) as told:
        async for one in told:
            with refusals(info):
                if isinstance(one, AlertGap):
                    yield one
                    continue
                if isinstance(one, StaffOnly):
                    raise one
                event = one.event
                subject = await steadily(lambda event=event: _subject(viewer, event), doing="read an alert")  # type: ignore[misc]
                if isinstance(subject, StaffOnly):
                    raise subject
            if subject is not None:
                yield AlertEvent.of(one.cursor, event, subject=subject)


async def _subject(viewer: Viewer, event: StoredEvent) -> Subject | StaffOnly | None:
    """Ask anew at each alert: who has left since they subscribed hears nothing more."""
    try:
        staff = await require(viewer=viewer)
    except StaffOnly as error:
        return error
    return await domain.subject_of(staff=staff, event=event)
