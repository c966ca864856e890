"""The record of what staff do: written with the action or not at all, without secrets, and never changed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from tortoise import Tortoise
from tortoise.exceptions import BaseORMException

from domain.actions import queries, recording
from domain.actions.queries import Wanted
from domain.actions.recording import ActionOutsideTransaction, Operator, Subject, acting, looked, record, recorded
from domain.actions.rules import picture
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import OrderState, StaffRole
from models.database import transactional
from models.orders import RechargeOrder
from models.staff_actions import StaffAction
from tests.factories import create_card, create_order, create_staff, create_viewer

NOW = datetime.fromisoformat("2026-05-01T04:00:00+00:00")


@transactional
async def write(number: int = 1, **changes: Any) -> None:
    given: dict[str, Any] = {
        "actor": "operator:li.na",
        "roles": {StaffRole.RISK, StaffRole.FINANCE},
        "action": "reviewOrder",
        "subject": Subject("Order", str(number)),
        "reason": "why",
        "before": {"state": OrderState.PAYING},
        "after": {"state": OrderState.RECHARGING},
        "now": NOW,
    }
    await record(**(given | changes))


def test_a_picture_has_no_secrets() -> None:
    order_id = new_id()
    assert picture(
        {
            "id": order_id,
            "key": str(order_id),
            "amount": Money(50_000),
            "state": OrderState.PAYING,
            "when": NOW,
            "number_sealed": b"secret",
            "card_number": "1000111100000000001",
            "openid": "o123",
            "said": "my card is 1000111100000000001, call 13800138000",
            "inner": {"token": "abc", "list": ["6222020200112233445"]},
            "count": 3,
            "nothing": None,
        }
    ) == {
        "id": str(order_id),
        "key": str(order_id),
        "amount": 50_000,
        "state": "PAYING",
        "when": "2026-05-01T04:00:00+00:00",
        "card_number": "***",
        "openid": "***",
        "said": "my card is ***0001, call ***8000",
        "inner": {"token": "***", "list": ["***3445"]},
        "count": 3,
        "nothing": None,
    }


@pytest.mark.usefixtures("database")
class TestRecord:
    async def test_it_holds_who_did_what_with_what_and_why(self) -> None:
        await write(reason=" card 1000111100000000001 ")
        row = await StaffAction.get()
        assert (row.position, row.actor, row.roles, row.action) == (1, "operator:li.na", "FINANCE,RISK", "reviewOrder")
        assert (row.object_type, row.object_id, row.reason) == ("Order", "1", "card ***0001")
        assert (row.before, row.after, row.occurred_at) == ({"state": "PAYING"}, {"state": "RECHARGING"}, NOW)

    async def test_there_is_none_outside_a_transaction(self) -> None:
        with pytest.raises(ActionOutsideTransaction):
            await record(actor="a", roles=(), action="b", subject=Subject("C", "d"), now=NOW)
        assert not await StaffAction.exists()

    async def test_actions_at_once_take_turns(self) -> None:
        await asyncio.gather(*(write(number) for number in range(12)))
        assert [row.position for row in await StaffAction.all().order_by("position")] == list(range(1, 13))
        assert await queries.broken_links() == []

    async def test_an_action_that_fails_leaves_no_record_and_the_next_one_follows(self) -> None:
        async def broken() -> None:
            await write()
            raise RuntimeError("too bad")

        with pytest.raises(RuntimeError):
            await transactional(broken)()
        assert not await StaffAction.exists()
        await write()
        assert (await StaffAction.get()).position == 1

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE staff_action SET reason = 'another'",
            "DELETE FROM staff_action",
            "INSERT OR REPLACE INTO staff_action SELECT * FROM staff_action",
        ],
    )
    async def test_the_database_lets_nobody_change_it(self, statement: str) -> None:
        await write()
        with pytest.raises(BaseORMException):
            await Tortoise.get_connection("default").execute_query(statement)
        assert (await StaffAction.get()).reason == "why"

    async def test_what_is_changed_behind_the_databases_back_is_noticed(self) -> None:
        for number in range(4):
            await write(number)
        connection = Tortoise.get_connection("default")
        if connection.capabilities.dialect == "postgres":
            await connection.execute_query("ALTER TABLE staff_action DISABLE TRIGGER USER")
        else:
            await connection.execute_query("DROP TRIGGER staff_action_no_update")
            await connection.execute_query("DROP TRIGGER staff_action_no_delete")
        await connection.execute_query("UPDATE staff_action SET reason = 'another' WHERE position = 2")
        assert await queries.broken_links() == [2]
        await connection.execute_query("DELETE FROM staff_action WHERE position = 3")
        assert await queries.broken_links() == [2, 4]


@pytest.mark.usefixtures("database")
class TestActing:
    async def test_the_row_is_pictured_before_and_after(self) -> None:
        staff, order = await create_staff(StaffRole.RISK), await self._order()

        @transactional
        async def act() -> None:
            async with acting(staff, "pay", order, kind="Order", reason="a test", now=NOW):
                await RechargeOrder.filter(id=order.id).update(state=OrderState.PAYING)

        await act()
        row = await StaffAction.get()
        assert row.before is not None
        assert row.after is not None
        assert (row.actor, row.roles, row.object_type, row.object_id) == (staff.actor, "RISK", "Order", str(order.id))
        assert (row.before["state"], row.after["state"]) == ("PENDING_PAYMENT", "PAYING")
        assert row.before["price_fen"] == row.after["price_fen"] == 50_000

    async def test_what_cannot_be_written_down_does_not_happen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        staff, order = await create_staff(), await self._order()

        async def refuse(**_values: Any) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(recording, "record", refuse)

        @transactional
        async def act() -> None:
            async with acting(staff, "pay", order, reason="a test", now=NOW):
                await RechargeOrder.filter(id=order.id).update(state=OrderState.PAYING)

        with pytest.raises(OSError, match="full"):
            await act()
        assert (await RechargeOrder.get()).state is OrderState.PENDING_PAYMENT

    async def test_a_command_is_done_and_recorded_together(self) -> None:
        async def work() -> int:
            return 7

        given: dict[str, Any] = {"who": Operator("li.na"), "action": "count", "subject": Subject("Number", "7")}
        assert await recorded(work, **given, after=lambda result: {"result": result}, now=NOW) == 7
        row = await StaffAction.get()
        assert (row.actor, row.roles, row.after) == ("operator:li.na", "", {"result": 7})
        assert row.before is None

        async def broken() -> int:
            raise RuntimeError("too bad")

        with pytest.raises(RuntimeError):
            await recorded(broken, **given, now=NOW)
        assert await StaffAction.all().count() == 1

    async def test_a_look_is_recorded(self) -> None:
        staff = await create_staff(StaffRole.SUPPORT)
        seen = {"phone_tail": "8000", "count": 2}
        await looked(who=staff, action="searchOrders", subject=Subject("Search", ""), seen=seen, now=NOW)
        row = await StaffAction.get()
        assert (row.action, row.after) == ("searchOrders", {"phone_tail": "***", "count": 2})
        assert row.before is None

    @staticmethod
    async def _order() -> RechargeOrder:
        viewer = await create_viewer()
        return await create_order(viewer, await create_card(viewer))


@pytest.mark.usefixtures("database")
async def test_the_list_is_filtered_and_pages_backwards() -> None:
    staff = await create_staff(StaffRole.AUDITOR)
    for number in range(5):
        await write(number, action="reviewOrder" if number % 2 else "turnSwitch", actor=f"operator:{number // 3}")

    async def numbers(first: int = 10, after: Any = None, **wanted: Any) -> list[str]:
        rows = await queries.listed(staff=staff, wanted=Wanted(**wanted), first=first, after=after)
        return [row.object_id for row in rows]

    assert await numbers() == ["4", "3", "2", "1", "0"]
    (_, second) = await queries.listed(staff=staff, wanted=Wanted(), first=2, after=None)
    assert await numbers(first=2, after=second.id) == ["2", "1"]
    assert await numbers(action="turnSwitch") == ["4", "2", "0"]
    assert await numbers(actor="operator:1") == ["4", "3"]
    assert await numbers(object_type="Order", object_id="3") == ["3"]
    assert await numbers(until=NOW) == await numbers(object_type="Case") == []
    assert len(await numbers(since=NOW)) == 5
