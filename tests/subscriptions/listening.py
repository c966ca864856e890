"""Clients of a running house that listen over a real WebSocket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.events.queries import standing_of
from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE, Staff
from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from tests.subscriptions.serving import Client, Served, bearer, connecting
from tests.subscriptions.support import Running, eventually


@dataclass
class House:
    address: Served
    system: Running


class Listener:
    """A connection that is kept for as long as the test lasts."""

    def __init__(self, house: House, viewer: Viewer | None = None, *, locale: str = "zh-CN") -> None:
        self._house = house
        self._payload = {"locale": locale, **(bearer(viewer) if viewer else {})}

    async def __aenter__(self) -> Client:
        self._connection = connecting(self._house.address)
        client = await self._connection.__aenter__()
        await client.initialise(self._payload)
        return client

    async def __aexit__(self, *reason: Any) -> None:
        await self._connection.__aexit__(*reason)


async def listening(house: House, stream: str, clients: int = 1) -> None:
    """Return once so many operations hear of the stream's next event."""
    await eventually(lambda: house.address.listeners(stream) >= clients)


async def cursor_of(stream: str, position: int) -> str:
    """Return the cursor of a position in the database's epoch."""
    return (await standing_of(stream)).cursor(position)


def staff_viewer(staff: Staff) -> Viewer:
    """Return a member of staff as their token names them."""
    expires_at = utc_now() + timedelta(hours=1)
    return Viewer(staff.id, client_id=STAFF_CLIENT_ID, scopes=frozenset({STAFF_SCOPE}), expires_at=expires_at)
