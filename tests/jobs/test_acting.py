"""Commands that change something are recorded as those of whoever runs them; the report of a day is printed."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from tortoise import Tortoise

from kernel.clock import business_day, utc_now
from models.database import dialect
from models.staff_actions import StaffAction
from tests.jobs.test_held_prices import jobs
from tests.ledger.booking import book, pay, somebodys

YESTERDAY = business_day(utc_now()) - timedelta(days=1)


async def test_commands_leave_their_record(database: str) -> None:
    code, _, _ = await jobs(database, "add-staff", "li.na", "--role", "RISK")
    assert code == 0
    code, _, _ = await jobs(database, "remove-staff", "li.na")
    assert code == 0
    code, _, _ = await jobs(database, "add-staff", "li.na", "--role", "RISK")
    assert code == 2
    added, removed = await StaffAction.all().order_by("position")
    assert added.actor.startswith("operator:")
    assert (added.action, added.object_type, added.object_id, added.roles) == ("add-staff", "Staff", "li.na", "")
    assert (added.before, added.after["roles"]) == (None, ["RISK"])
    assert (removed.action, removed.before["name"], removed.after) == ("remove-staff", "li.na", {"left": True})
    code, out, _ = await jobs(database, "staff-actions", "--action", "add-staff")
    assert (code, "add-staff Staff li.na" in out, "remove-staff" in out) == (0, True, False)


async def test_the_record_is_audited(database: str) -> None:
    code, out, _ = await jobs(database, "audit-staff")
    assert (code, out) == (0, "nobody has done anything yet\n")
    await jobs(database, "add-staff", "li.na", "--role", "RISK")
    code, out, _ = await jobs(database, "audit-staff")
    assert (code, out.split(",")[0]) == (0, "1 actions")
    connection = Tortoise.get_connection("default")
    lift = "ALTER TABLE staff_action DISABLE TRIGGER USER"
    await connection.execute_query(lift if dialect() == "postgres" else "DROP TRIGGER staff_action_no_update")
    await connection.execute_query("UPDATE staff_action SET actor = 'operator:nobody'")
    code, out, err = await jobs(database, "audit-staff")
    assert (code, out, "position 1" in err) == (1, "", True)


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_the_report_of_a_day_is_printed_and_closed(database: str, locale: str) -> None:
    await book(pay(somebodys(), 12_345), now=utc_now() - timedelta(days=1))
    code, out, _ = await jobs(database, "finance-report", "--locale", locale)
    assert code == 0
    assert "¥123.45" in out
    code, out, _ = await jobs(database, "finance-report", "--day", YESTERDAY.isoformat(), "--csv", "--locale", locale)
    assert code == 0
    assert out.startswith("\N{ZERO WIDTH NO-BREAK SPACE}")
    rows = list(csv.reader(io.StringIO(out.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))))
    assert {row[4]: row[9] for row in rows}["TURNOVER"] == "123.45"
    code, out, _ = await jobs(database, "close-finance-days")
    assert code == 0


@pytest.mark.parametrize("day", ["2019-12-31", "9999-12-31", "tomorrow", ""])
async def test_a_day_without_a_report_is_refused(database: str, day: str) -> None:
    code, out, err = await jobs(database, "finance-report", "--day", day)
    assert (code, out, bool(err), "Traceback" in err) == (2, "", True, False)
