"""The log of an organisation: every change is in it, it stays, and it is read by who may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError, OperationalError

from domain.organisations import queries
from domain.organisations.rules import MemberLimits
from kernel.organisation_states import OrganisationAction
from models.organisations import OrganisationLogEntry, OrganisationMember
from tests.factories import create_viewer
from tests.organisations.support import ACCOUNTANT, DRIVER, Firm, actions


class TestLog:
    async def test_every_change_is_there_and_stays(self, firm: Firm) -> None:
        _, member = await firm.join(DRIVER)
        await firm.set_limits(member, MemberLimits(1_000, None, 90_000))
        await firm.share(member, firm.card)
        await firm.change_role(member, ACCOUNTANT)
        await firm.remove(member)
        assert await actions(firm) == [
            "CREATED", "CARD_ADDED", "INVITED", "JOINED", "LIMITS_SET", "CARDS_SHARED", "ROLE_CHANGED", "REMOVED",
        ]  # fmt: skip
        limits = await OrganisationLogEntry.get(action=OrganisationAction.LIMITS_SET)
        assert (limits.before, limits.after) == ({}, {"perRecharge": "10.00", "perMonth": "900.00"})
        shared = await OrganisationLogEntry.get(action=OrganisationAction.CARDS_SHARED)
        assert (shared.before, shared.after) == ({"allCards": "true"}, {"cards": "**** 0001"})
        for change in (OrganisationLogEntry.all().update(actor="t"), OrganisationLogEntry.all().delete()):
            with pytest.raises((IntegrityError, OperationalError)):
                await change
        connection = Tortoise.get_connection("default")
        with pytest.raises((IntegrityError, OperationalError)):
            await connection.execute_query("UPDATE organisation_log SET actor = 'nobody'")
        assert len(await actions(firm)) == 8

    async def test_it_is_read_by_who_may(self, firm: Firm) -> None:
        accountant, _ = await firm.join(ACCOUNTANT)
        driver, member = await firm.join(DRIVER)
        wish: dict[str, Any] = {"organisation_id": firm.organisation.id, "first": 2, "after": None}
        seen = await queries.log(viewer=accountant, **wish)
        assert [row.action for row in seen or []] == ["JOINED", "INVITED"]
        behind = await queries.log(viewer=accountant, **{**wish, "after": seen[-1].id if seen else None})
        assert [row.action for row in behind or []] == ["JOINED", "INVITED"]
        for viewer in (driver, await create_viewer()):
            for read in (queries.log, queries.members, queries.invitations):
                assert await read(viewer=viewer, **wish) is None
        await firm.change_role(member, ACCOUNTANT)
        assert await queries.log(viewer=driver, **wish) is not None
        await firm.remove(member)
        assert await queries.log(viewer=driver, **wish) is None

    async def test_names_are_shown_to_who_sees_members(self, firm: Firm) -> None:
        driver, member = await firm.join(DRIVER)
        wish = {"member_ids": [member.id, firm.owner_member.id]}
        assert await queries.member_names(viewer=driver, **wish) == ["张三", None]
        assert await queries.member_names(viewer=firm.owner, **wish) == ["张三", "测试"]
        assert await queries.member_names(viewer=await create_viewer(), **wish) == [None, None]

    async def test_a_cancelled_change_is_whole_or_not_at_all(self, firm: Firm) -> None:
        _, member = await firm.join()
        for delay in range(6):
            task = asyncio.create_task(firm.set_limits(member, MemberLimits(1_000 + delay)))
            await asyncio.sleep(delay / 1_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await firm.set_limits(member, MemberLimits(7))
        row = await OrganisationMember.get(id=member.id)
        last = await OrganisationLogEntry.filter(action=OrganisationAction.LIMITS_SET).order_by("-id").first()
        assert row.recharge_max_fen == 7
        assert last is not None
        assert last.after == {"perRecharge": "0.07"}
