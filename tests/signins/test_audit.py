"""The audit of sign-ins cannot be edited by anybody who has the tables; locks begin once and end by themselves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError, OperationalError

from domain.events.streams import ALERTS
from domain.signins import locks, queries, records
from domain.signins.locks import SignInLocked, Subject
from domain.signins.policy import SignInPolicy
from domain.signins.records import Origin
from domain.signins.rules import Place
from jobs.recurring import Recurring
from kernel.access_states import SignInKind, SignInSignal
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import dialect
from models.events import Event
from models.sign_ins import SignInLock, SignInRecord
from tests.factories import SEALER, create_viewer

POLICY = replace(SignInPolicy.of(Settings()), per_user_max=3, per_address_max=5)
HERE = Origin.of(
    client_id="mini-program",
    grant_type="grant",
    device_name="iPhone 17",
    device_id="device-1",
    address="203.0.113.7",
    place=Place(3123, 12147, "上海"),
    sealer=SEALER,
)


async def write(owner_id: Any, **changes: Any) -> None:
    await records.write(
        **({"kind": SignInKind.SIGNED_IN, "origin": HERE, "owner_id": owner_id, "now": utc_now()} | changes)
    )


async def test_nobody_edits_it(database: str) -> None:
    viewer = await create_viewer()
    await write(viewer.user_id, signals={SignInSignal.ODD_HOUR})
    before = await SignInRecord.all().values()
    id = before[0]["id"]
    connection = Tortoise.get_connection("default")
    statements = ["UPDATE sign_in_record SET reason = 'x'", "DELETE FROM sign_in_record"]
    if dialect() == "postgres":
        statements += ["TRUNCATE sign_in_record", "TRUNCATE sign_in_record CASCADE"]
    else:
        columns = ", ".join(f'"{name}"' for name in before[0])
        statements.append(f"REPLACE INTO sign_in_record ({columns}) SELECT {columns} FROM sign_in_record")  # noqa: S608
    for statement in statements:
        with pytest.raises((IntegrityError, OperationalError), match="append-only"):
            await connection.execute_query(statement)
    for work in (
        SignInRecord.filter(id=id).update(owner_id=None),
        SignInRecord.filter(id=id).delete(),
        records.purge(before=utc_now() + timedelta(days=1), limit=10),
    ):
        with pytest.raises((IntegrityError, OperationalError)):
            await work
    assert await SignInRecord.all().values() == before


async def test_only_what_is_old_is_forgotten(database: str) -> None:
    viewer, now = await create_viewer(), utc_now()
    for days in (500, 401, 399, 182, 1):
        await write(viewer.user_id, now=now - timedelta(days=days))
    job: Any = None
    due_at = await Recurring(Settings()).purge_sign_ins(job, now)
    assert due_at > now
    assert await SignInRecord.all().count() == 3
    # The database has its own mind of what may go, whatever a program asks for.
    with pytest.raises((IntegrityError, OperationalError)):
        await records.purge(before=now, limit=10)
    assert await records.purge(before=now - timedelta(days=181), limit=10) == 2


async def test_it_holds_no_address_and_no_device_id(database: str) -> None:
    viewer = await create_viewer()
    await write(viewer.user_id)
    (row,) = await SignInRecord.all().values()
    assert "203.0.113.7" not in str(row)
    assert "device-1" not in str(row)
    assert (row["address_masked"], row["city"]) == ("203.0.0.0/16", "上海")


async def test_it_is_read_newest_first_and_by_its_owner(database: str) -> None:
    viewer, other = await create_viewer(), await create_viewer()
    for _ in range(3):
        await write(viewer.user_id)
    await write(other.user_id)
    page = await queries.of_viewer(viewer=viewer, first=2, after=None)
    rest = await queries.of_viewer(viewer=viewer, first=2, after=page[-1].id)
    assert [len(page), len(rest)] == [2, 1]
    assert {row.owner_id for row in (*page, *rest)} == {viewer.user_id}


async def test_too_many_failures_lock_and_tell_staff_once(database: str) -> None:
    viewer = await create_viewer()
    owner, address = Subject.of_owner(viewer.user_id, POLICY), Subject.of_address(HERE, POLICY)

    async def fail() -> None:
        await locks.failed(
            owner, address, origin=HERE, reason="WRONG", policy=POLICY, now=utc_now(), owner_id=viewer.user_id
        )

    await asyncio.gather(*(fail() for _ in range(4)))
    now = utc_now()
    with pytest.raises(SignInLocked) as locked:
        await locks.require_open(owner, now=now)
    assert timedelta(minutes=29) < locked.value.values["retry_at"] - now <= timedelta(minutes=30)
    await locks.require_open(address, now=now)
    kinds = await SignInRecord.all().values_list("kind", flat=True)
    assert sorted(str(each) for each in kinds) == ["FAILED"] * 4 + ["LOCKED"]
    assert await Event.filter(stream=ALERTS).count() == 1
    # Whoever is locked is not let in by being right, and a lock that is over begins anew from nothing.
    await locks.forgive(owner)
    with pytest.raises(SignInLocked):
        await locks.recent_failures(owner, policy=POLICY, now=now)
    later = now + POLICY.lock + timedelta(seconds=1)
    assert await locks.recent_failures(owner, policy=POLICY, now=later) == 0
    await locks.failed(owner, origin=HERE, reason="WRONG", policy=POLICY, now=later)
    assert (await SignInLock.get(subject=owner.key)).failures == 1


async def test_failures_are_forgotten_with_their_window(database: str) -> None:
    viewer, now = await create_viewer(), utc_now()
    owner = Subject.of_owner(viewer.user_id, POLICY)
    for minutes in (0, 1, 20, 21):
        at = now + timedelta(minutes=minutes)
        await locks.failed(owner, origin=HERE, reason="WRONG", policy=POLICY, now=at)
    await locks.require_open(owner, now=now + timedelta(minutes=21))
    await locks.forgive(owner)
    assert await locks.recent_failures(owner, policy=POLICY, now=now + timedelta(minutes=21)) == 0
