"""How the switches stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kernel.states import Switch
from models.switches import SwitchChange


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Nothing can be changed by users; `until` is when that should be over."""

    since: datetime
    until: datetime | None
    notice: str | None


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What clients have to know of the switches."""

    maintenance: Maintenance | None = None
    simplified: bool = False
    marketing_hidden: bool = False


NORMAL = ServiceState()


async def last_changes() -> dict[Switch, SwitchChange]:
    """Return the last turn of each switch that was ever turned."""
    found = {each: await SwitchChange.filter(switch=each).order_by("-position").first() for each in Switch}
    return {switch: change for switch, change in found.items() if change is not None}


async def state() -> ServiceState:
    standing = {switch: change for switch, change in (await last_changes()).items() if change.on}
    row = standing.get(Switch.MAINTENANCE)
    return ServiceState(
        maintenance=Maintenance(row.changed_at, row.until, row.notice) if row else None,
        simplified=Switch.SIMPLIFIED_PAGES in standing,
        marketing_hidden=Switch.HIDE_MARKETING in standing,
    )
