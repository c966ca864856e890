"""What has arrived on a user's cards: told event by event, and the most recent of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tortoise.expressions import Subquery

from domain.events import acks, queries
from domain.events.cursors import Cursor, GapReason, Start
from domain.events.ports import StoredEvent
from domain.events.streams import arrivals_stream
from domain.identity.viewer import Viewer
from domain.orders.lifecycle import Trigger
from domain.orders.queries import own
from models.orders import OrderTransition, RechargeOrder


@dataclass(frozen=True, slots=True)
class Arrival:
    """An order of the viewer as it is now, how much arrived by it, and when the issuer confirmed that."""

    order: RechargeOrder
    amount_fen: int
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class ArrivalsPage:
    """Arrivals with their cursors, oldest first; with a gap there are none, and the stream goes on behind `start`."""

    start: Start
    arrivals: Sequence[tuple[str, Arrival]]
    has_next: bool

    @property
    def end_cursor(self) -> str:
        """Where to go on reading, also behind an empty page."""
        return self.arrivals[-1][0] if self.arrivals else self.start.standing.cursor(self.start.position)


async def start(*, viewer: Viewer, after: str | None, device: str | None) -> Start:
    """Say where the viewer's reading starts: behind the cursor, else where the device stopped, else with the next one.

    Raises CursorInvalid or DeviceInvalid.
    """
    # The acknowledged position first: read second, it could lie behind a head that is older than it.
    acked = await acks.acked(user_id=viewer.user_id, device=device) if device is not None else None
    standing = await queries.standing_of(arrivals_stream(viewer.user_id))
    if after is None and acked is not None:
        return Start.behind(standing, acked)
    return Start.at(standing, after)


async def page(*, viewer: Viewer, after: str | None, limit: int) -> ArrivalsPage:
    """Return up to `limit` arrivals behind the cursor, else the oldest that are kept. Raises CursorInvalid."""
    standing = await queries.standing_of(arrivals_stream(viewer.user_id))
    begun = Start.behind(standing, standing.purged) if after is None else Start.at(standing, after)
    if begun.gap:
        return ArrivalsPage(begun, [], has_next=False)
    events = await queries.after(standing.stream, position=begun.position, limit=limit + 1)
    next_position = events[0].position if events else standing.position + 1
    if next_position > begun.position + 1:
        return ArrivalsPage(Start(standing, standing.position, GapReason.HISTORY_GONE), [], has_next=False)
    shown = events[:limit]
    found = await of_events(viewer=viewer, events=shown)
    cursors = [Cursor(standing.epoch, event.stream, event.position).text for event in shown]
    told = [(cursor, arrival) for cursor, arrival in zip(cursors, found, strict=True) if arrival]
    return ArrivalsPage(begun, told, has_next=len(events) > limit)


async def of_events(*, viewer: Viewer, events: Sequence[StoredEvent]) -> list[Arrival | None]:
    """Return what each event tells of, None where the order is not the viewer's to see any more."""
    order_ids = [UUID(event.payload["order_id"]) for event in events]
    orders = await _orders(viewer, order_ids)
    return [
        Arrival(orders[order_id], int(event.payload["amount_fen"]), event.occurred_at) if order_id in orders else None
        for order_id, event in zip(order_ids, events, strict=True)
    ]


async def recent(*, viewer: Viewer, limit: int) -> list[Arrival]:
    """Return the viewer's latest arrivals, newest first."""
    shown = (await own(viewer=viewer)).values_list("id", flat=True)
    steps = OrderTransition.filter(
        user_id=viewer.user_id, trigger=Trigger.CONFIRM_RECHARGE.value, order_id__in=Subquery(shown)
    )
    latest = await steps.order_by("-occurred_at", "-id").limit(limit)
    orders = await _orders(viewer, [step.order_id for step in latest])
    return [Arrival(orders[step.order_id], orders[step.order_id].amount_fen, step.occurred_at) for step in latest]


async def _orders(viewer: Viewer, order_ids: Sequence[UUID]) -> dict[UUID, RechargeOrder]:
    if not order_ids:
        return {}
    rows = (await own(viewer=viewer)).filter(id__in=set(order_ids))
    return {row.id: row for row in await rows}
