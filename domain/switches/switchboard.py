"""The switches as a process knows them: read without waiting, and renewed as soon as one is turned."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from domain.events.ports import EventSource, HistoryGone
from domain.events.queries import head
from domain.events.streams import SWITCHES
from domain.switches import queries
from domain.switches.queries import NORMAL, Maintenance, ServiceState
from kernel.errors import YoukaError
from kernel.logs import get_logger
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)


class UnderMaintenance(YoukaError):
    """Nothing can be changed now. `until` is when that should be over, where somebody has said so."""

    code = "MAINTENANCE"
    messages = {
        "zh-CN": "系统维护中，暂时无法办理，请稍后再试",
        "en": "The service is under maintenance, please try again later",
    }


class Switchboard:
    """Everything is off until it was read."""

    def __init__(self) -> None:
        self.state: ServiceState = NORMAL
        self._position = 0

    @property
    def maintenance(self) -> Maintenance | None:
        return self.state.maintenance

    def require_open(self) -> None:
        """Raise UnderMaintenance while nothing may be changed."""
        if self.state.maintenance is not None:
            raise UnderMaintenance(until=self.state.maintenance.until)

    async def refresh(self) -> None:
        """Read the switches where one was turned since the last time."""
        # The head is read first: a turn between the two reads is read once more.
        position = await head(SWITCHES)
        if position == self._position:
            return
        before, self.state = self.state, await queries.state()
        self._position = position
        if self.state != before:
            log.warning(
                "switches.turned",
                maintenance=self.state.maintenance is not None,
                simplified=self.state.simplified,
                marketing_hidden=self.state.marketing_hidden,
            )

    async def run(self, events: EventSource, *, poll_interval_s: float) -> None:
        """Renew at every event, and now and then where events are late; ends only when it is cancelled."""
        turned = asyncio.Event()
        watching = spawn(_watch(events, turned), name="switches:events")
        try:
            while True:
                turned.clear()
                try:
                    await self.refresh()
                except Exception as error:
                    # What was known holds until the database says something else.
                    log.warning("switches.not_read", error=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(poll_interval_s):
                        await turned.wait()
        finally:
            await cancel_and_wait(watching)


async def _watch(events: EventSource, turned: asyncio.Event) -> None:
    while True:
        try:
            async with aclosing(events.follow(SWITCHES, after=None)) as following:
                async for _ in following:
                    turned.set()
            return
        except HistoryGone:
            turned.set()


@asynccontextmanager
async def switchboard(events: EventSource, *, poll_interval_s: float) -> AsyncIterator[Switchboard]:
    """Give a switchboard that has read the switches, and keep it up to date for as long as the context lasts."""
    board = Switchboard()
    await board.refresh()
    running = spawn(board.run(events, poll_interval_s=poll_interval_s), name="switches")
    try:
        yield board
    finally:
        await cancel_and_wait(running)
