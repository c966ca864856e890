"""`arrivals`: the viewer's money, the moment it is on the card."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from domain.events.cursors import GapReason, Standing, Start
from domain.identity.viewer import Viewer
from domain.orders import arrivals as domain
from schema.types.context import Info
from schema.types.notices import DEVICE, ArrivalEvent, ArrivalGap, ArrivalStreamEvent
from schema.types.refusals import refusals
from schema.types.streams import After
from subscriptions.hub import steadily
from subscriptions.streams.following import follow


async def arrivals(
    info: Info,
    after: After = None,
    device: Annotated[
        str | None,
        strawberry.argument(
            description=f"Without `after`, start where this device has acknowledged to be (`ackNotice`). {DEVICE}"
        ),
    ] = None,
) -> AsyncGenerator[ArrivalStreamEvent, None]:
    viewer = info.context.signed_in
    with refusals(info):
        start = await domain.start(viewer=viewer, after=after, device=device)
    return _arrivals(info, viewer, start)


async def _arrivals(info: Info, viewer: Viewer, start: Start) -> AsyncGenerator[ArrivalStreamEvent, None]:
    locale, maximum = info.context.locale, info.context.services.settings.snapshot_arrivals_max

    async def gap(standing: Standing, reason: GapReason) -> ArrivalGap:
        recent = await domain.recent(viewer=viewer, limit=maximum + 1)
        return ArrivalGap.of(standing, reason, recent, maximum=maximum, locale=locale)

    async with aclosing(follow(info, start, gap)) as told:
        async for one in told:
            if isinstance(one, ArrivalGap):
                yield one
                continue
            events = [one.event]
            (arrival,) = await steadily(
                lambda events=events: domain.of_events(viewer=viewer, events=events),  # type: ignore[misc]
                doing="read an order",
            )
            if arrival:
                yield ArrivalEvent.of(one.cursor, arrival, locale=locale)
