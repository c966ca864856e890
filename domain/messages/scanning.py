"""Finding the events that somebody accepts a message about.

Events are read by their ids, which are not given in the order of commits: an id may become visible after a higher one.
So everything that is younger than `SETTLED_AFTER` is looked at again; a message about an event is there once whatever
happens, by its key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.events.streams import EventType
from domain.identity.viewer import AccountGone
from domain.messages import consents, rules
from domain.messages.operations import write
from domain.messages.policy import Policy
from kernel.states import MessageTemplate, Product
from models.cards import FuelCard
from models.database import transactional
from models.events import Event
from models.messages import MessageScan
from models.pricing import PriceZone

# No transaction lasts this long, so an event that is older is visible, and so is every event before it.
SETTLED_AFTER = timedelta(seconds=60)
EVENTS_PER_PAGE_MAX = 200
PAGES_PER_RUN_MAX = 50
WATCHERS_PER_PAGE_MAX = 500
# Far fewer than what the time of one run of work is enough for.
WRITTEN_PER_RUN_MAX = 2_000
THE_ONE = 1
TYPES = (EventType.RECHARGE_ARRIVED.value, EventType.PRICE_CHANGED.value)


async def scan(*, policy: Policy, now: datetime) -> int:
    """Write down what is to be told of the events since the last scan, and return how many messages that are.

    The first scan of a deployment tells of nothing that was before it.
    """
    floor = await _floor()
    written, position, settled = 0, floor, floor
    all_settled = True
    for _ in range(PAGES_PER_RUN_MAX):
        events = await Event.filter(id__gt=position, type__in=TYPES).order_by("id").limit(EVENTS_PER_PAGE_MAX)
        if not events:
            break
        position, before = events[-1].id, settled
        behind = _settled(events, now) if all_settled else []
        settled = behind[-1].id if behind else settled
        all_settled = len(behind) == len(events)
        due = [each for each in events if each.occurred_at > now - policy.age_max]
        written += await _arrivals([each for each in due if each.type == TYPES[0]], now)
        for each in due:
            if each.type == TYPES[1]:
                written += await _price(each, now, room=WRITTEN_PER_RUN_MAX - written)
        if written >= WRITTEN_PER_RUN_MAX:
            # Some may not have been told; they are found again from here, and the others by their messages.
            settled = before
            break
        if len(events) < EVENTS_PER_PAGE_MAX:
            break
    await _move(settled)
    return written


def _settled(events: Sequence[Event], now: datetime) -> list[Event]:
    """Return the events at the beginning behind which nothing can turn up any more."""
    for index, event in enumerate(events):
        if event.occurred_at > now - SETTLED_AFTER:
            return list(events[:index])
    return list(events)


@transactional
async def _floor() -> int:
    row = await MessageScan.get_or_none(id=THE_ONE)
    if row is None:
        newest = await Event.all().order_by("-id").first()
        row = MessageScan(id=THE_ONE, event_id=newest.id if newest else 0)
        await MessageScan.bulk_create([row], ignore_conflicts=True)
    return int(row.event_id)


@transactional
async def _move(event_id: int) -> None:
    await MessageScan.filter(id=THE_ONE, event_id__lt=event_id).update(event_id=event_id)


async def _arrivals(events: Sequence[Event], now: datetime) -> int:
    of_users: dict[UUID, list[Event]] = defaultdict(list)
    for event in events:
        of_users[UUID(event.stream.partition(":")[2])].append(event)
    accepting = await consents.who_accepts(template=MessageTemplate.ARRIVAL, user_ids=of_users) if of_users else set()
    told = [event for user_id in accepting for event in of_users[user_id]]
    card_ids = {UUID(str(event.payload["card_id"])) for event in told}
    tails = {row.id: row.number_tail for row in await FuelCard.filter(id__in=card_ids)} if card_ids else {}
    written = 0
    for event in sorted(told, key=lambda each: each.id):
        content = rules.arrival_content(
            amount_fen=int(str(event.payload["amount_fen"])),
            card_tail=tails.get(UUID(str(event.payload["card_id"])), ""),
            arrived_at=event.occurred_at,
        )
        user_id = UUID(event.stream.partition(":")[2])
        written += await _write(user_id, MessageTemplate.ARRIVAL, event, content, None, now)
    return written


async def _price(event: Event, now: datetime, *, room: int) -> int:
    zone_id, product = UUID(str(event.payload["zone_id"])), Product(str(event.payload["product"]))
    zone = await PriceZone.get_or_none(id=zone_id)
    written, after = 0, None
    while zone is not None and written < room:
        watchers = await consents.who_watches(
            zone_id=zone_id, product=product, after=after, limit=WATCHERS_PER_PAGE_MAX
        )
        content = rules.price_content(
            zone_name=zone.name,
            product=product,
            milliyuan=int(str(event.payload["milliyuan"])),
            effective_from=datetime.fromisoformat(str(event.payload["effective_from"])),
        )
        for user_id in watchers:
            written += await _write(user_id, MessageTemplate.PRICE_CHANGE, event, content, (zone_id, product), now)
        if len(watchers) < WATCHERS_PER_PAGE_MAX:
            break
        after = watchers[-1]
    return written


async def _write(
    user_id: UUID,
    template: MessageTemplate,
    event: Event,
    content: dict[str, str],
    about: tuple[UUID, Product] | None,
    now: datetime,
) -> bool:
    try:
        message_id = await write(
            user_id=user_id,
            template=template,
            event_key=f"{event.stream}:{event.position}",
            content=content,
            occurred_at=event.occurred_at,
            about=about,
            now=now,
        )
    except AccountGone:
        return False
    return message_id is not None
