"""Founding, inviting, roles, leaving and owning: who may do it, and what comes at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError, OperationalError

from domain.identity import phones
from domain.identity.phone_numbers import PhoneInvalid, read_phone
from domain.organisations import invitations, members, operations
from domain.organisations.invitations import (
    AlreadyMember,
    InvitationForAnotherPhone,
    InvitationInvalid,
    InvitationNotFound,
    Offered,
    TooManyInvitations,
    TooManyMembers,
)
from domain.organisations.members import LastOwner
from domain.organisations.membership import (
    MemberNotFound,
    OrganisationNotActive,
    OrganisationNotFound,
    OrganisationPermissionMissing,
    memberships,
)
from domain.organisations.operations import CreditCodeTaken, SuspensionReasonInvalid, TooManyOrganisations
from domain.organisations.rules import MemberLimits
from kernel.clock import utc_now
from kernel.organisation_states import (
    InvitationState,
    MemberState,
    OrganisationAction,
    OrganisationState,
)
from models.cards import FuelCard
from models.organisations import (
    Organisation,
    OrganisationInvitation,
    OrganisationLogEntry,
    OrganisationMember,
)
from tests.factories import SEALER, create_viewer
from tests.organisations.support import (
    ACCOUNTANT,
    ADMIN,
    DRIVER,
    OWNER,
    POLICY,
    Firm,
    actions,
    create_firm,
    denied,
    some_code,
)


async def found(viewer: Any, seed: int = 1, **changes: Any) -> Any:
    return await operations.create(
        viewer=viewer,
        name="顺达",
        credit_code=some_code(seed),
        policy=replace(POLICY, **changes),
        now=utc_now(),
    )


async def accept(viewer: Any, code: str, **changes: Any) -> Any:
    return await invitations.accept(viewer=viewer, code=code, policy=replace(POLICY, **changes), now=utc_now())


@pytest.mark.usefixtures("database")
class TestFounding:
    async def test_the_founder_owns_it(self) -> None:
        viewer = await create_viewer()
        made = await found(viewer)
        assert (made.member.role, made.member.state, made.organisation.state) == (OWNER, "ACTIVE", "ACTIVE")
        assert (made.member.name, made.organisation.name) == ("测试", "顺达")
        again = await found(viewer)
        assert again.organisation.id == made.organisation.id
        assert await Organisation.all().count() == 1

    async def test_an_enterprise_is_here_once(self) -> None:
        await found(await create_viewer())
        stranger = await create_viewer()
        with pytest.raises(CreditCodeTaken):
            await found(stranger)
        assert await memberships(viewer=stranger) == []

    async def test_of_many_founders_at_once_one_has_it(self) -> None:
        people = [await create_viewer() for _ in range(6)]
        outcomes = await asyncio.gather(*(found(each) for each in people), return_exceptions=True)
        assert sorted(type(each).__name__ for each in outcomes) == [*["CreditCodeTaken"] * 5, "Membership"]
        assert await OrganisationMember.all().count() == 1

    async def test_somebody_belongs_to_so_many_and_no_more(self) -> None:
        viewer = await create_viewer()
        outcomes = await asyncio.gather(
            *(found(viewer, seed, per_user_max=2) for seed in range(5)), return_exceptions=True
        )
        assert sum(isinstance(each, TooManyOrganisations) for each in outcomes) == 3
        assert len(await memberships(viewer=viewer)) == 2


class TestInviting:
    async def test_the_code_makes_a_member_once(self, firm: Firm) -> None:
        viewer, other = await create_viewer(), await create_viewer()
        invited = await firm.invite(Offered(name="李四", role=ACCOUNTANT, limits=MemberLimits(1, 2, 3)))
        assert invited.code not in str((await OrganisationInvitation.all().values())[0])
        joined = await accept(viewer, invited.code)
        member = joined.member
        assert (member.name, member.role, member.recharge_max_fen, member.all_cards) == ("李四", ACCOUNTANT, 1, False)
        assert (await accept(viewer, invited.code)).member.id == member.id
        await denied(firm, InvitationInvalid, accept(other, invited.code))

    async def test_a_code_lost_to_a_crowd_makes_one_member(self, firm: Firm) -> None:
        people = [await create_viewer() for _ in range(6)]
        invited = await firm.invite(Offered(name="李四", role=DRIVER))
        outcomes = await asyncio.gather(*(accept(each, invited.code) for each in people), return_exceptions=True)
        assert sum(isinstance(each, InvitationInvalid) for each in outcomes) == 5
        assert await OrganisationMember.filter(role=DRIVER).count() == 1

    @pytest.mark.parametrize("code", ["", "nonsense", "x" * 100_000, "yoi_" + "A" * 43])
    async def test_what_is_no_code_is_refused(self, firm: Firm, code: str) -> None:
        await denied(firm, InvitationInvalid, accept(await create_viewer(), code))

    async def test_it_expires_and_can_be_taken_back(self, firm: Firm) -> None:
        viewer = await create_viewer()
        late = await firm.invite(Offered(name="李四", role=DRIVER), now=utc_now() - POLICY.invitation_lifetime)
        await denied(firm, InvitationInvalid, accept(viewer, late.code))
        taken = await firm.invite(Offered(name="李四", role=DRIVER))
        stranger = await create_viewer()
        wish: dict[str, Any] = {"invitation_id": taken.invitation.id, "now": utc_now()}
        await denied(firm, InvitationNotFound, invitations.withdraw(viewer=stranger, **wish))
        for _ in range(2):
            assert (await invitations.withdraw(viewer=firm.owner, **wish)).state is InvitationState.WITHDRAWN
        await denied(firm, InvitationInvalid, accept(viewer, taken.code))

    async def test_one_for_a_phone_takes_that_phone(self, firm: Firm) -> None:
        viewer = await create_viewer()
        invited = await firm.invite(Offered(name="李四", role=DRIVER, phone="138 0013 8000"))
        assert invited.invitation.phone_masked == "138****8000"
        assert "13800138000" not in str(await OrganisationLogEntry.all().values())
        await denied(firm, InvitationForAnotherPhone, accept(viewer, invited.code))
        await phones.keep(user_id=viewer.user_id, phone=read_phone("13900139000"), sealer=SEALER, now=utc_now())
        await denied(firm, InvitationForAnotherPhone, accept(viewer, invited.code))
        await phones.keep(user_id=viewer.user_id, phone=read_phone("13800138000"), sealer=SEALER, now=utc_now())
        assert (await accept(viewer, invited.code)).member.role is DRIVER
        await denied(firm, PhoneInvalid, firm.invite(Offered(name="李四", role=DRIVER, phone="110")))

    async def test_who_was_put_out_lets_nobody_in(self, firm: Firm) -> None:
        admin, member = await firm.join(ADMIN)
        invited = await firm.invite(Offered(name="李四", role=ADMIN), by=admin)
        await firm.remove(member)
        await denied(firm, InvitationInvalid, accept(admin, invited.code))
        await denied(firm, InvitationInvalid, accept(await create_viewer(), invited.code))

    async def test_who_is_in_does_not_come_in_twice(self, firm: Firm) -> None:
        viewer, _ = await firm.join()
        invited = await firm.invite(Offered(name="李四", role=ADMIN))
        await denied(firm, AlreadyMember, accept(viewer, invited.code))

    async def test_there_are_so_many_and_no_more(self, firm: Firm) -> None:
        first = await firm.invite(Offered(name="李四", role=DRIVER))
        wish: dict[str, Any] = {
            "viewer": firm.owner, "organisation_id": firm.organisation.id, "sealer": SEALER, "now": utc_now(),
            "offered": Offered(name="王五", role=DRIVER), "policy": replace(POLICY, invitations_open_max=1),
        }  # fmt: skip
        await denied(firm, TooManyInvitations, invitations.invite(**wish))
        await denied(firm, TooManyMembers, accept(await create_viewer(), first.code, members_max=1))
        crowd = [await create_viewer() for _ in range(4)]
        codes = [(await firm.invite(Offered(name="王五", role=DRIVER))).code for _ in crowd]
        pairs = zip(crowd, codes, strict=True)
        outcomes = await asyncio.gather(*(accept(*each, members_max=3) for each in pairs), return_exceptions=True)
        assert sum(isinstance(each, TooManyMembers) for each in outcomes) == 2

    async def test_nobody_invites_above_themselves(self, firm: Firm) -> None:
        admin, _ = await firm.join(ADMIN)
        await denied(firm, OrganisationPermissionMissing, firm.invite(Offered(name="李四", role=OWNER), by=admin))
        await firm.invite(Offered(name="李四", role=ADMIN), by=admin)
        for role in (ACCOUNTANT, DRIVER):
            viewer, _ = await firm.join(role)
            await denied(firm, OrganisationPermissionMissing, firm.invite(Offered(name="李四", role=DRIVER), by=viewer))
        await denied(
            firm, OrganisationNotFound, firm.invite(Offered(name="李四", role=DRIVER), by=await create_viewer())
        )


class TestRoles:
    async def test_rights_follow_the_role(self, firm: Firm) -> None:
        viewer, member = await firm.join(DRIVER)
        _, other = await firm.join(DRIVER)
        await denied(firm, OrganisationPermissionMissing, firm.remove(other, by=viewer))
        await firm.change_role(member, ADMIN)
        await firm.remove(other, by=viewer)
        row = await OrganisationLogEntry.get(action=OrganisationAction.ROLE_CHANGED)
        assert (row.before, row.after, row.actor_member_id, row.member_id) == (
            {"role": "DRIVER"}, {"role": "ADMIN"}, firm.owner_member.id, member.id,
        )  # fmt: skip
        assert row.actor == f"user:{firm.owner.user_id}"

    async def test_an_administrator_has_no_hold_over_owners(self, firm: Firm) -> None:
        admin, member = await firm.join(ADMIN)
        missing = OrganisationPermissionMissing
        await denied(firm, missing, firm.remove(firm.owner_member, by=admin))
        await denied(firm, missing, firm.change_role(firm.owner_member, DRIVER, by=admin))
        await denied(firm, missing, firm.change_role(member, OWNER, by=admin))
        await denied(firm, missing, firm.set_limits(firm.owner_member, MemberLimits(1), by=admin))
        await denied(firm, missing, firm.share(firm.owner_member, by=admin))
        await denied(firm, missing, members.transfer_ownership(viewer=admin, member_id=member.id, now=utc_now()))

    async def test_nobody_sets_their_own_limits_but_an_owner(self, firm: Firm) -> None:
        admin, member = await firm.join(ADMIN, limits=MemberLimits(daily_fen=100))
        await denied(firm, OrganisationPermissionMissing, firm.set_limits(member, MemberLimits(), by=admin))
        assert (await firm.set_limits(firm.owner_member, MemberLimits(5))).recharge_max_fen == 5

    async def test_who_has_gone_is_no_member_to_anybody(self, firm: Firm) -> None:
        _, member = await firm.join()
        await firm.remove(member)
        stranger = await create_viewer()
        await denied(firm, MemberNotFound, firm.remove(member))
        await denied(firm, MemberNotFound, firm.change_role(member, OWNER))
        await denied(firm, MemberNotFound, firm.set_limits(firm.owner_member, MemberLimits(1), by=stranger))
        await denied(firm, MemberNotFound, members.remove(viewer=firm.owner, member_id=None, now=utc_now()))


class TestOwners:
    async def test_the_last_one_stays(self, firm: Firm) -> None:
        await firm.join(ADMIN)
        own = firm.organisation.id
        await denied(firm, LastOwner, firm.change_role(firm.owner_member, ADMIN))
        await denied(firm, LastOwner, firm.remove(firm.owner_member))
        await denied(firm, LastOwner, members.leave(viewer=firm.owner, organisation_id=own, now=utc_now()))

    async def test_of_owners_who_demote_each_other_one_is_left(self, firm: Firm) -> None:
        people = [(firm.owner, firm.owner_member), *[await firm.join(OWNER) for _ in range(4)]]
        attempts = [
            firm.change_role(members[1], DRIVER, by=people[number - 1][0]) for number, members in enumerate(people)
        ]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        owners = await OrganisationMember.filter(role=OWNER, state=MemberState.ACTIVE).count()
        assert owners >= 1
        assert owners == len(people) - sum(not isinstance(each, Exception) for each in outcomes)
        refusals = {type(each) for each in outcomes if isinstance(each, Exception)}
        assert refusals <= {LastOwner, OrganisationPermissionMissing}

    async def test_of_owners_who_all_leave_one_is_left(self, firm: Firm) -> None:
        people = [firm.owner, *[(await firm.join(OWNER))[0] for _ in range(4)]]
        attempts = [members.leave(viewer=each, organisation_id=firm.organisation.id, now=utc_now()) for each in people]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(each, LastOwner) for each in outcomes) == 1
        assert await OrganisationMember.filter(role=OWNER, state=MemberState.ACTIVE).count() == 1

    async def test_the_database_keeps_one_whatever_asks_it(self, firm: Firm) -> None:
        wish = OrganisationMember.filter(id=firm.owner_member.id)
        for change in ({"role": ADMIN}, {"state": MemberState.LEFT, "ended_at": utc_now()}):
            with pytest.raises((IntegrityError, OperationalError)):
                await wish.update(**change)
        assert (await OrganisationMember.get(id=firm.owner_member.id)).role is OWNER

    async def test_it_is_transferred(self, firm: Firm) -> None:
        viewer, member = await firm.join(DRIVER)
        await members.transfer_ownership(viewer=firm.owner, member_id=member.id, now=utc_now())
        roles = {row.id: row.role for row in await OrganisationMember.all()}
        assert roles == {member.id: OWNER, firm.owner_member.id: ADMIN}
        await denied(
            firm,
            OrganisationPermissionMissing,
            members.transfer_ownership(viewer=firm.owner, member_id=member.id, now=utc_now()),
        )
        await firm.remove(firm.owner_member, by=viewer)


class TestEnding:
    async def test_who_leaves_is_out(self, firm: Firm) -> None:
        viewer, member = await firm.join(ADMIN)
        left = await members.leave(viewer=viewer, organisation_id=firm.organisation.id, now=utc_now())
        assert (left.member.id, left.member.state) == (member.id, MemberState.LEFT)
        assert await memberships(viewer=viewer) == []
        await denied(firm, OrganisationNotFound, firm.invite(Offered(name="x", role=DRIVER), by=viewer))

    async def test_a_closed_one_gives_everything_back(self, firm: Firm) -> None:
        viewer, _ = await firm.join(ADMIN)
        waiting = await firm.invite(Offered(name="李四", role=DRIVER))
        own = firm.organisation.id
        await denied(
            firm, OrganisationPermissionMissing, operations.close(viewer=viewer, organisation_id=own, now=utc_now())
        )
        closed = await operations.close(viewer=firm.owner, organisation_id=own, now=utc_now())
        assert closed.organisation.state is OrganisationState.CLOSED
        assert await memberships(viewer=viewer) == await memberships(viewer=firm.owner) == []
        assert (await FuelCard.get(id=firm.card.id)).organisation_id is None
        await denied(firm, InvitationInvalid, accept(await create_viewer(), waiting.code))
        # The code is free again.
        assert (await create_firm()).organisation.id != own

    async def test_a_suspended_one_can_be_seen_and_not_moved(self, firm: Firm) -> None:
        driver, _ = await firm.join()
        common: dict[str, Any] = {"credit_code": some_code(), "actor": "operator:t", "reason": "a drill"}
        await operations.set_suspended(suspended=True, now=utc_now(), **common)
        await operations.set_suspended(suspended=True, now=utc_now(), **common)
        await denied(firm, OrganisationNotActive, firm.invite(Offered(name="x", role=DRIVER)))
        await members.leave(viewer=driver, organisation_id=firm.organisation.id, now=utc_now())
        assert len(await memberships(viewer=firm.owner)) == 1
        await operations.set_suspended(suspended=False, now=utc_now(), **common)
        await firm.join()
        told = [each for each in await actions(firm) if each in {"SUSPENDED", "RESUMED"}]
        assert told == ["SUSPENDED", "RESUMED"]
        for reason in ("", " ", "a" * 257):
            with pytest.raises(SuspensionReasonInvalid):
                await operations.set_suspended(suspended=True, now=utc_now(), **{**common, "reason": reason})
        with pytest.raises(OrganisationNotFound):
            await operations.set_suspended(
                credit_code=some_code(9), suspended=True, actor="t", reason="why", now=utc_now()
            )

    async def test_it_is_renamed(self, firm: Firm) -> None:
        own = firm.organisation.id
        for _ in range(2):
            await operations.rename(viewer=firm.owner, organisation_id=own, name="顺达物流", now=utc_now())
        row = await OrganisationLogEntry.get(action=OrganisationAction.RENAMED)
        assert (row.before, row.after) == ({"name": "顺达运输"}, {"name": "顺达物流"})
