"""The names of streams and the types of events; every event type of the service stands here."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

PRICES = "prices"
STATIONS = "stations"


class EventType(StrEnum):
    ORDER_CHANGED = "order.changed"
    RECHARGE_ARRIVED = "recharge.arrived"
    PRICE_CHANGED = "price.changed"
    STATIONS_CHANGED = "stations.changed"
    LEDGER_POSTED = "ledger.posted"  # for the finance journal alone; never published


def order_stream(order_id: UUID) -> str:
    return f"order:{order_id}"


def arrivals_stream(user_id: UUID) -> str:
    return f"arrivals:{user_id}"


def ledger_stream(shard: int) -> str:
    return f"ledger:{shard:02d}"
