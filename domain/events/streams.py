"""The names of streams and the types of events; every event type of the service stands here."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

PRICES = "prices"
STATIONS = "stations"
ALERTS = "alerts"
SWITCHES = "switches"
ORGANISATIONS = "organisations"
LEDGER_PREFIX = "ledger:"


class EventType(StrEnum):
    ORDER_CHANGED = "order.changed"
    RECHARGE_ARRIVED = "recharge.arrived"
    PRICE_CHANGED = "price.changed"
    STATIONS_CHANGED = "stations.changed"
    ALERT_RAISED = "alert.raised"
    SWITCH_TURNED = "switch.turned"
    ORGANISATION_CHANGED = "organisation.changed"
    LEDGER_POSTED = "ledger.posted"  # for the finance journal alone; never published


class AlertKind(StrEnum):
    """What an alert is about: its payload has the kind, and the id of what waits."""

    CASE = "CASE"
    REVIEW = "REVIEW"
    WORK = "WORK"
    SIGN_IN_LOCK = "SIGN_IN_LOCK"
    DIFFERENCE = "DIFFERENCE"
    TRANSFER = "TRANSFER"
    PAYEE = "PAYEE"
    CLAIM = "CLAIM"


def order_stream(order_id: UUID | str) -> str:
    return f"order:{order_id}"


def arrivals_stream(user_id: UUID) -> str:
    return f"arrivals:{user_id}"


def ledger_stream(shard: int) -> str:
    return f"{LEDGER_PREFIX}{shard:02d}"
