"""Invitations: a code that is shown once and makes whoever brings it a member."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.access.rules import hash_of, new_secret
from domain.identity import phones
from domain.identity.phone_numbers import read_phone
from domain.identity.queries import lock_user, profile
from domain.identity.viewer import AccountGone, Viewer
from domain.organisations.chronicle import note, values_of
from domain.organisations.members import require_reach
from domain.organisations.membership import Membership, hold, locked, membership
from domain.organisations.operations import check_room
from domain.organisations.policy import OrganisationPolicy
from domain.organisations.rules import NO_LIMITS, MemberLimits, check_limits, may, reaches, read_name
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.organisation_states import (
    InvitationState,
    MemberState,
    OrganisationAction,
    OrganisationPermission,
    OrganisationRole,
    OrganisationState,
)
from kernel.sealing import Sealer
from models.database import transactional
from models.organisations import Organisation, OrganisationInvitation, OrganisationMember

CODE_PREFIX = "yoi"
CODE_TEXT_LENGTH_MAX = 128


class InvitationInvalid(YoukaError):
    """Unknown, used, withdrawn, expired, or of somebody who may not invite any more: all the same to whoever tries."""

    code = "INVITATION_INVALID"
    messages = {"zh-CN": "邀请无效、已使用或已过期", "en": "The invitation is invalid, used or expired"}


class InvitationForAnotherPhone(YoukaError):
    code = "INVITATION_FOR_ANOTHER_PHONE"
    messages = {
        "zh-CN": "该邀请仅限受邀手机号，请先绑定该手机号",
        "en": "The invitation is for another phone number, bind that one first",
    }


class InvitationNotFound(YoukaError):
    code = "INVITATION_NOT_FOUND"
    messages = {"zh-CN": "邀请不存在", "en": "There is no such invitation"}


class AlreadyMember(YoukaError):
    code = "ALREADY_MEMBER"
    messages = {"zh-CN": "您已是该企业成员", "en": "You belong to the organisation already"}


class TooManyInvitations(YoukaError):
    code = "TOO_MANY_INVITATIONS"
    messages = {"zh-CN": "最多{maximum}个未使用的邀请", "en": "There can be {maximum} open invitations at most"}


class TooManyMembers(YoukaError):
    code = "TOO_MANY_MEMBERS"
    messages = {"zh-CN": "企业最多{maximum}名成员", "en": "The organisation can have {maximum} members at most"}


@dataclass(frozen=True, slots=True)
class Offered:
    """What somebody is invited to become. `phone` binds the invitation to who has that number."""

    name: str
    role: OrganisationRole
    all_cards: bool = False
    limits: MemberLimits = NO_LIMITS
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Invited:
    """The invitation, and its code, which nobody can read again."""

    invitation: OrganisationInvitation
    code: str


@transactional
async def invite(
    *,
    viewer: Viewer,
    organisation_id: UUID | None,
    offered: Offered,
    sealer: Sealer,
    policy: OrganisationPolicy,
    now: datetime,
) -> Invited:
    """Write an invitation. Nobody invites to a role that has more rights than their own.

    Raises OrganisationNameInvalid, MemberLimitInvalid, PhoneInvalid, TooManyInvitations and the errors of
    `membership.locked`.
    """
    name = read_name(offered.name)
    check_limits(offered.limits)
    phone = read_phone(offered.phone) if offered.phone is not None else None
    asking = await locked(
        viewer=viewer, organisation_id=organisation_id, permission=OrganisationPermission.MANAGE_MEMBERS
    )
    require_reach(asking, offered.role)
    if offered.limits != NO_LIMITS:
        asking.require(OrganisationPermission.SET_LIMITS)
    open_ones = OrganisationInvitation.filter(
        organisation_id=asking.organisation.id, state=InvitationState.OPEN, expires_at__gt=now
    )
    if await open_ones.count() >= policy.invitations_open_max:
        raise TooManyInvitations(maximum=policy.invitations_open_max)
    code = new_secret(CODE_PREFIX)
    invitation = await OrganisationInvitation.create(
        id=new_id(),
        organisation_id=asking.organisation.id,
        name=name,
        role=offered.role,
        all_cards=offered.all_cards,
        recharge_max_fen=offered.limits.recharge_fen,
        daily_max_fen=offered.limits.daily_fen,
        monthly_max_fen=offered.limits.monthly_fen,
        code_digest=hash_of(code),
        phone_digest=sealer.digest(phone.e164) if phone else None,
        phone_masked=phone.masked if phone else None,
        state=InvitationState.OPEN,
        invited_by=asking.member.id,
        created_at=now,
        expires_at=now + policy.invitation_lifetime,
    )
    after = {"name": name, "role": offered.role, "allCards": offered.all_cards, **values_of(offered.limits)}
    await note(OrganisationAction.INVITED, by=asking, after=after, now=now)
    return Invited(invitation, code)


@transactional
async def withdraw(*, viewer: Viewer, invitation_id: UUID | None, now: datetime) -> OrganisationInvitation:
    """End an open invitation; doing it again returns it. Raises InvitationNotFound and the errors of `locked`."""
    row = await OrganisationInvitation.get_or_none(id=invitation_id) if invitation_id else None
    if row is None or await membership(viewer=viewer, organisation_id=row.organisation_id) is None:
        raise InvitationNotFound
    asking = await locked(
        viewer=viewer, organisation_id=row.organisation_id, permission=OrganisationPermission.MANAGE_MEMBERS
    )
    ended = {"state": InvitationState.WITHDRAWN, "ended_at": now}
    if await OrganisationInvitation.filter(id=row.id, state=InvitationState.OPEN).update(**ended):
        before = {"name": row.name, "role": row.role}
        await note(OrganisationAction.INVITATION_WITHDRAWN, by=asking, before=before, now=now)
    await row.refresh_from_db()
    return row


@transactional
async def accept(*, viewer: Viewer, code: str, policy: OrganisationPolicy, now: datetime) -> Membership:
    """Become what the code offers. The same viewer with the same code gets the same membership again.

    Raises InvitationInvalid, InvitationForAnotherPhone, AlreadyMember, TooManyMembers, TooManyOrganisations or
    AccountGone.
    """
    digest = hash_of(code) if len(code) <= CODE_TEXT_LENGTH_MAX else ""
    invitation = await OrganisationInvitation.get_or_none(code_digest=digest)
    if invitation is None:
        raise InvitationInvalid
    await lock_user(viewer=viewer)
    if await profile(viewer=viewer) is None:
        raise AccountGone
    await hold(invitation.organisation_id)
    await invitation.refresh_from_db()
    present = await membership(viewer=viewer, organisation_id=invitation.organisation_id)
    if present and present.member.id == invitation.member_id:
        return present
    organisation = await Organisation.get(id=invitation.organisation_id)
    if organisation.state is not OrganisationState.ACTIVE or not await _is_good(invitation, now):
        raise InvitationInvalid
    if present:
        raise AlreadyMember
    await _check_phone(viewer, invitation)
    live = OrganisationMember.filter(organisation_id=organisation.id, state=MemberState.ACTIVE)
    if await live.count() >= policy.members_max:
        raise TooManyMembers(maximum=policy.members_max)
    await check_room(viewer, policy)
    return await _join(viewer, organisation, invitation, now)


async def _is_good(invitation: OrganisationInvitation, now: datetime) -> bool:
    """Whether it waits, and whoever has written it could write it today: who was put out lets nobody in."""
    if invitation.state is not InvitationState.OPEN or now >= invitation.expires_at:
        return False
    inviter = await OrganisationMember.get(id=invitation.invited_by)
    invites = may(inviter.role, OrganisationPermission.MANAGE_MEMBERS) and reaches(inviter.role, invitation.role)
    return inviter.state is MemberState.ACTIVE and invites


async def _check_phone(viewer: Viewer, invitation: OrganisationInvitation) -> None:
    if invitation.phone_digest is None:
        return
    (phone,) = await phones.of_users([viewer.user_id])
    if phone is None or phone.phone_digest != invitation.phone_digest:
        raise InvitationForAnotherPhone


async def _join(
    viewer: Viewer, organisation: Organisation, invitation: OrganisationInvitation, now: datetime
) -> Membership:
    member = await OrganisationMember.create(
        id=new_id(),
        organisation_id=organisation.id,
        user_id=viewer.user_id,
        name=invitation.name,
        role=invitation.role,
        state=MemberState.ACTIVE,
        all_cards=invitation.all_cards,
        recharge_max_fen=invitation.recharge_max_fen,
        daily_max_fen=invitation.daily_max_fen,
        monthly_max_fen=invitation.monthly_max_fen,
        joined_at=now,
    )
    accepted = {"state": InvitationState.ACCEPTED, "member_id": member.id, "ended_at": now}
    if await OrganisationInvitation.filter(id=invitation.id, state=InvitationState.OPEN).update(**accepted) != 1:
        raise InvitationInvalid
    joined = Membership(organisation, member)
    after = {"name": member.name, "role": member.role}
    await note(OrganisationAction.JOINED, by=joined, about=member.id, after=after, now=now)
    return joined
