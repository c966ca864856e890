"""What is done with members: their role, their limits, leaving, removing, and who owns the organisation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.identity.viewer import Viewer
from domain.organisations.chronicle import note, values_of
from domain.organisations.membership import (
    Membership,
    OrganisationPermissionMissing,
    held,
    limits_of,
    lock_member,
    locked_with,
)
from domain.organisations.rules import MemberLimits, check_limits, reaches
from kernel.errors import YoukaError
from kernel.organisation_states import (
    MemberState,
    OrganisationAction,
    OrganisationPermission,
    OrganisationRole,
)
from models.database import transactional
from models.organisations import OrganisationMember, OrganisationMemberCard


class LastOwner(YoukaError):
    """An organisation has an owner at all times."""

    code = "LAST_OWNER"
    messages = {
        "zh-CN": "企业至少须有一名所有者，请先转让所有权",
        "en": "An organisation keeps an owner, transfer the ownership first",
    }


@transactional
async def change_role(
    *, viewer: Viewer, member_id: UUID | None, role: OrganisationRole, now: datetime
) -> OrganisationMember:
    """Give a member another role. Nobody gives a role, or takes one away, that has more rights than their own.

    Raises LastOwner and the errors of `membership.locked_with`.
    """
    asking, member = await locked_with(
        viewer=viewer, member_id=member_id, permission=OrganisationPermission.MANAGE_MEMBERS
    )
    require_reach(asking, member.role)
    require_reach(asking, role)
    before = member.role
    if before is not role:
        await _keep_an_owner(member)
        await _change(member, role=role)
        about = {"before": {"role": before}, "after": {"role": role}}
        await note(OrganisationAction.ROLE_CHANGED, by=asking, about=member.id, now=now, **about)
    return member


@transactional
async def transfer_ownership(*, viewer: Viewer, member_id: UUID | None, now: datetime) -> OrganisationMember:
    """Make another member an owner in the place of the viewer, who becomes an administrator.

    Raises the errors of `membership.locked_with`.
    """
    asking, member = await locked_with(
        viewer=viewer, member_id=member_id, permission=OrganisationPermission.MANAGE_ORGANISATION
    )
    if member.id == asking.member.id:
        return member
    before = member.role
    await _change(member, role=OrganisationRole.OWNER)
    await _change(asking.member, role=OrganisationRole.ADMIN)
    await note(
        OrganisationAction.OWNERSHIP_TRANSFERRED,
        by=asking,
        about=member.id,
        before={"role": before, "ownRole": OrganisationRole.OWNER},
        after={"role": OrganisationRole.OWNER, "ownRole": OrganisationRole.ADMIN},
        now=now,
    )
    return member


@transactional
async def set_limits(
    *, viewer: Viewer, member_id: UUID | None, limits: MemberLimits, now: datetime
) -> OrganisationMember:
    """Set what a member may recharge, from their next order on. Their own limits only owners set.

    Raises MemberLimitInvalid and the errors of `membership.locked_with`.
    """
    check_limits(limits)
    asking, member = await locked_with(viewer=viewer, member_id=member_id, permission=OrganisationPermission.SET_LIMITS)
    require_reach(asking, member.role)
    if member.id == asking.member.id:
        asking.require(OrganisationPermission.MANAGE_ORGANISATION)
    before = limits_of(member)
    if before != limits:
        await _change(
            member,
            recharge_max_fen=limits.recharge_fen,
            daily_max_fen=limits.daily_fen,
            monthly_max_fen=limits.monthly_fen,
        )
        about = {"before": values_of(before), "after": values_of(limits)}
        await note(OrganisationAction.LIMITS_SET, by=asking, about=member.id, now=now, **about)
    return member


@transactional
async def remove(*, viewer: Viewer, member_id: UUID | None, now: datetime) -> OrganisationMember:
    """Put a member out. Cards, orders and streams of the organisation are not theirs any more from the commit on.

    Raises LastOwner and the errors of `membership.locked_with`.
    """
    asking, member = await locked_with(
        viewer=viewer, member_id=member_id, permission=OrganisationPermission.MANAGE_MEMBERS
    )
    require_reach(asking, member.role)
    await _end(asking, member, MemberState.REMOVED, OrganisationAction.REMOVED, now)
    return member


@transactional
async def leave(*, viewer: Viewer, organisation_id: UUID | None, now: datetime) -> Membership:
    """Put oneself out, of a suspended organisation as well. Raises OrganisationNotFound or LastOwner."""
    asking = await held(viewer=viewer, organisation_id=organisation_id)
    member = await lock_member(asking.member.id)
    await _end(asking, member, MemberState.LEFT, OrganisationAction.LEFT, now)
    return Membership(asking.organisation, member)


async def _end(
    asking: Membership, member: OrganisationMember, state: MemberState, action: OrganisationAction, now: datetime
) -> None:
    await _keep_an_owner(member)
    await OrganisationMemberCard.filter(member_id=member.id).delete()
    await _change(member, state=state, ended_at=now)
    await note(action, by=asking, about=member.id, before={"role": member.role, "name": member.name}, now=now)


def require_reach(asking: Membership, role: OrganisationRole) -> None:
    """Raises OrganisationPermissionMissing, which names a right that the role has and who asks has not."""
    if not reaches(asking.member.role, role):
        raise OrganisationPermissionMissing(permission=OrganisationPermission.MANAGE_ORGANISATION)


async def _keep_an_owner(member: OrganisationMember) -> None:
    """Raises LastOwner where the member, who is about to be none, is the only one. The organisation is held."""
    owners = OrganisationMember.filter(
        organisation_id=member.organisation_id, role=OrganisationRole.OWNER, state=MemberState.ACTIVE
    )
    if member.role is OrganisationRole.OWNER and await owners.count() == 1:
        raise LastOwner


async def _change(member: OrganisationMember, **changes: object) -> None:
    await OrganisationMember.filter(id=member.id).update(**changes)
    member.update_from_dict(changes)
