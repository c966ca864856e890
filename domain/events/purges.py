"""What was changed, as whoever keeps answers is told of it: in tags, over one channel that every process hears.

`users` and `stations` stand on everything that is kept of anybody's own and of stations with their prices, and
`user:<id>` on what is kept of one user.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple
from uuid import UUID

import orjson

from domain.events.messages import MessageMalformed
from domain.events.ports import StoredEvent
from domain.events.streams import EventType
from models.changes import Changes

CHANNEL = "purges"
USERS = "users"
STATIONS = "stations"
EVERYTHING = "*"

# Rows that are shown to whom they belong.
TABLES_OF_USERS = frozenset({
    "user_account", "fuel_card", "recharge_order", "ledger_account",
    "organisation", "organisation_member", "organisation_member_card",
})  # fmt: skip
# Rows that are shown to everybody.
TABLES_OF_STATIONS = frozenset({"station", "price", "price_zone", "price_region"})

# A purge names its users up to here; beyond it everybody's is meant.
USERS_NAMED_MAX = 200


def user_tag(user_id: UUID) -> str:
    return f"user:{user_id}"


def tags_of_changes(changes: Changes) -> frozenset[str]:
    """Return the tags of what was made of the rows that were written."""
    tags: set[str] = set()
    for table, users in changes.tables.items():
        if table in TABLES_OF_STATIONS:
            tags.add(STATIONS)
        elif table in TABLES_OF_USERS:
            tags.update(_tags_of_users(users))
    return frozenset(tags)


def tags_of_event(event: StoredEvent) -> frozenset[str]:
    """Return the tags of what an event makes out of date; it was appended with the change that it tells of."""
    kind = event.type
    if kind in {EventType.PRICE_CHANGED, EventType.STATIONS_CHANGED}:
        return frozenset({STATIONS})
    if kind == EventType.ORDER_CHANGED:
        # Events of 1.0.0 and before do not say whose order it is.
        return _tag_of_user(event.payload.get("user_id"))
    if kind == EventType.RECHARGE_ARRIVED:
        return _tag_of_user(event.stream.partition(":")[2])
    if kind == EventType.ORGANISATION_CHANGED:
        return frozenset({USERS})
    return frozenset({EVERYTHING}) if kind == EventType.SWITCH_TURNED else frozenset()


class Purge(NamedTuple):
    """What one process, which it names, sends to all. Its messages are numbered from 1; those of a relay are not."""

    origin: str
    number: int
    tags: frozenset[str]


def encode(origin: str, number: int, tags: Iterable[str]) -> str:
    return orjson.dumps({"origin": origin, "number": number, "tags": sorted(tags)}).decode()


def decode(message: str) -> Purge:
    """Read a message back. Raises MessageMalformed."""
    try:
        fields = orjson.loads(message)
        origin, number, tags = fields["origin"], fields["number"], fields["tags"]
    except (ValueError, TypeError, KeyError) as error:
        raise MessageMalformed from error
    if not isinstance(origin, str) or type(number) is not int or not isinstance(tags, list):
        raise MessageMalformed
    if not all(isinstance(tag, str) for tag in tags):
        raise MessageMalformed
    return Purge(origin, number, frozenset(tags))


def _tags_of_users(users: Collection[UUID] | None) -> frozenset[str]:
    if users is None or len(users) > USERS_NAMED_MAX:
        return frozenset({USERS})
    return frozenset(map(user_tag, users))


def _tag_of_user(user_id: object) -> frozenset[str]:
    return frozenset({f"user:{user_id}"} if isinstance(user_id, str) and user_id else {USERS})
