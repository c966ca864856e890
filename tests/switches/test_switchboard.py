"""Switches behind GraphQL: turns at once, the audit that cannot be changed, and how soon a process knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from tortoise import Tortoise

from domain.events.ports import StoredEvent
from domain.switches import operations, queries
from domain.switches.queries import NORMAL
from domain.switches.switchboard import Switchboard, UnderMaintenance, switchboard
from kernel.clock import utc_now
from kernel.states import Switch
from models.switches import SwitchChange
from tests.subscriptions.support import eventually, running, settings_for

WITHIN_S = 60.0


class Deaf:
    """A source of events that never tells of any."""

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        await asyncio.Event().wait()
        yield StoredEvent(stream, 0, "", {}, utc_now())


async def turn(switch: Switch = Switch.MAINTENANCE, *, on: bool = True, reason: str = "a drill") -> SwitchChange:
    return await operations.turn(
        switch=switch, on=on, reason=reason, notice=None, until=None, actor="operator:tests", now=utc_now()
    )


async def until_open(board: Switchboard, *, open_: bool) -> None:
    await eventually(lambda: (board.maintenance is None) == open_)


@pytest.mark.usefixtures("database")
class TestTurns:
    async def test_turns_at_once_are_in_an_order_and_the_last_one_holds(self) -> None:
        turns = await asyncio.gather(*(turn(on=bool(number % 2), reason=f"{number}") for number in range(8)))
        rows = await SwitchChange.all().order_by("position")
        assert [row.position for row in rows] == list(range(1, 9))
        assert {row.reason for row in rows} == {row.reason for row in turns}
        assert ((await queries.state()).maintenance is not None) == rows[-1].on

    async def test_one_switch_is_not_the_other(self) -> None:
        await turn(Switch.HIDE_MARKETING)
        await turn(Switch.SIMPLIFIED_PAGES)
        await turn(Switch.HIDE_MARKETING, on=False)
        assert await queries.state() == queries.ServiceState(simplified=True)

    async def test_what_was_done_stays_written_down(self) -> None:
        await turn()
        database = Tortoise.get_connection("default")
        for statement in ("DELETE FROM switch_change", "UPDATE switch_change SET reason = 'x'"):
            with pytest.raises(Exception, match="append-only"):
                await database.execute_query(statement)
        assert await SwitchChange.all().count() == 1

    async def test_a_refused_turn_leaves_nothing(self) -> None:
        with pytest.raises(operations.SwitchReasonInvalid):
            await turn(reason=" ")
        assert not await SwitchChange.exists()
        assert await queries.state() == NORMAL


@pytest.mark.usefixtures("database")
class TestBoard:
    async def test_it_is_told_by_events(self) -> None:
        # Looking by itself would come too late for this test.
        async with running(settings_for()) as system, switchboard(system.hub, poll_interval_s=3_600) as board:
            board.require_open()
            await asyncio.sleep(0.05)
            await turn()
            await until_open(board, open_=False)
            with pytest.raises(UnderMaintenance):
                board.require_open()
            await turn(on=False)
            await until_open(board, open_=True)
            board.require_open()

    async def test_where_events_are_late_it_looks(self) -> None:
        async with switchboard(Deaf(), poll_interval_s=0.02) as board:
            await turn()
            await until_open(board, open_=False)

    async def test_a_process_that_starts_knows_at_once(self) -> None:
        await turn()
        async with switchboard(Deaf(), poll_interval_s=3_600) as board:
            assert board.maintenance is not None

    async def test_what_was_known_holds_while_the_database_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        await turn()
        async with switchboard(Deaf(), poll_interval_s=0.01) as board:

            async def lost(_stream: str) -> int:
                asked.set()
                raise OSError("no database")

            asked = asyncio.Event()
            with monkeypatch.context() as patch:
                patch.setattr("domain.switches.switchboard.head", lost)
                await asyncio.wait_for(asked.wait(), WITHIN_S)
                assert board.maintenance is not None
            await turn(on=False)
            await until_open(board, open_=True)


@pytest.mark.usefixtures("database")
async def test_an_end_that_passes_ends_nothing() -> None:
    now = utc_now()
    await operations.turn(
        switch=Switch.MAINTENANCE,
        on=True,
        reason="a drill",
        notice=None,
        until=now + timedelta(microseconds=1),
        actor="operator:tests",
        now=now,
    )
    assert (await queries.state()).maintenance is not None
