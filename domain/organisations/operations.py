"""What is done with an organisation as a whole: found it, rename it, suspend it, close it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity.queries import lock_user, profile
from domain.identity.viewer import AccountGone, Viewer
from domain.organisations.chronicle import note, write
from domain.organisations.membership import Membership, OrganisationNotFound, hold, locked, membership, memberships
from domain.organisations.policy import OrganisationPolicy
from domain.organisations.rules import read_credit_code, read_name
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
from models.cards import FuelCard
from models.database import transactional
from models.organisations import Organisation, OrganisationInvitation, OrganisationMember, OrganisationMemberCard

REASON_LENGTH_MAX = 256


class CreditCodeTaken(YoukaError):
    code = "CREDIT_CODE_TAKEN"
    messages = {
        "zh-CN": "该企业已注册，请联系其管理员邀请您",
        "en": "The organisation is here already, ask one of its administrators to invite you",
    }


class SuspensionReasonInvalid(YoukaError):
    code = "SUSPENSION_REASON_INVALID"
    messages = {"zh-CN": "请填写原因，最多{maximum}个字符", "en": "Say why, in {maximum} characters at most"}


class TooManyOrganisations(YoukaError):
    code = "TOO_MANY_ORGANISATIONS"
    messages = {"zh-CN": "最多加入{maximum}家企业", "en": "You can belong to {maximum} organisations at most"}


async def create(
    *,
    viewer: Viewer,
    name: str,
    credit_code: str,
    policy: OrganisationPolicy,
    now: datetime,
    own_name: str | None = None,
) -> Membership:
    """Found an organisation, whose owner the viewer is. Founding one's own again returns it.

    `own_name` is what the viewer is called there; without it, as everywhere.

    Raises OrganisationNameInvalid, CreditCodeInvalid, CreditCodeTaken, TooManyOrganisations or AccountGone.
    """
    name, credit_code = read_name(name), read_credit_code(credit_code)
    own_name = read_name(own_name) if own_name is not None else None
    try:
        return await _create(viewer, name, own_name, credit_code, policy, now)
    except IntegrityError as error:
        # Another request has founded it at the same moment.
        existing = await _own(viewer, credit_code)
        if existing is None:
            raise CreditCodeTaken from error
        return existing


@transactional
async def _create(
    viewer: Viewer, name: str, own_name: str | None, credit_code: str, policy: OrganisationPolicy, now: datetime
) -> Membership:
    await lock_user(viewer=viewer)
    user = await profile(viewer=viewer)
    if user is None:
        raise AccountGone
    existing = await _own(viewer, credit_code)
    if existing:
        return existing
    if await _live_with(credit_code):
        raise CreditCodeTaken
    await check_room(viewer, policy)
    organisation = await Organisation.create(
        id=new_id(), name=name, credit_code=credit_code, state=OrganisationState.ACTIVE, created_at=now
    )
    member = await OrganisationMember.create(
        id=new_id(),
        organisation_id=organisation.id,
        user_id=viewer.user_id,
        name=own_name or user.display_name,
        role=OrganisationRole.OWNER,
        state=MemberState.ACTIVE,
        all_cards=True,
        joined_at=now,
    )
    founded = Membership(organisation, member)
    after = {"name": name, "creditCode": credit_code}
    await note(OrganisationAction.CREATED, by=founded, about=member.id, after=after, now=now)
    return founded


async def check_room(viewer: Viewer, policy: OrganisationPolicy) -> None:
    """Count, behind the user's lock, what they belong to. Raises TooManyOrganisations."""
    if len(await memberships(viewer=viewer)) >= policy.per_user_max:
        raise TooManyOrganisations(maximum=policy.per_user_max)


async def _live_with(credit_code: str) -> Organisation | None:
    return await Organisation.get_or_none(credit_code=credit_code, state__not=OrganisationState.CLOSED)


async def _own(viewer: Viewer, credit_code: str) -> Membership | None:
    """Return the organisation of this code where the viewer is an owner of it."""
    organisation = await _live_with(credit_code)
    found = await membership(viewer=viewer, organisation_id=organisation.id if organisation else None)
    return found if found and found.member.role is OrganisationRole.OWNER else None


@transactional
async def rename(*, viewer: Viewer, organisation_id: UUID | None, name: str, now: datetime) -> Membership:
    """Raises OrganisationNameInvalid and the errors of `membership.locked`."""
    name = read_name(name)
    asking = await locked(
        viewer=viewer, organisation_id=organisation_id, permission=OrganisationPermission.MANAGE_ORGANISATION
    )
    organisation = asking.organisation
    before = organisation.name
    if before != name:
        await Organisation.filter(id=organisation.id).update(name=name)
        organisation.name = name
        await note(OrganisationAction.RENAMED, by=asking, before={"name": before}, after={"name": name}, now=now)
    return asking


@transactional
async def close(*, viewer: Viewer, organisation_id: UUID | None, now: datetime) -> Membership:
    """End an organisation for good: its members lose it, its cards go back to who had bound them.

    What was ordered goes on and is its members' to pay no more. Raises the errors of `membership.locked`.
    """
    asking = await locked(
        viewer=viewer, organisation_id=organisation_id, permission=OrganisationPermission.MANAGE_ORGANISATION
    )
    organisation = asking.organisation
    await Organisation.filter(id=organisation.id).update(state=OrganisationState.CLOSED, closed_at=now)
    organisation.state, organisation.closed_at = OrganisationState.CLOSED, now
    live = OrganisationMember.filter(organisation_id=organisation.id, state=MemberState.ACTIVE)
    # Their rows are locked one by one and in order, as their orders do it.
    for row in await live.order_by("id").select_for_update():
        await OrganisationMemberCard.filter(member_id=row.id).delete()
        await OrganisationMember.filter(id=row.id).update(state=MemberState.CLOSED, ended_at=now)
    asking.member.state, asking.member.ended_at = MemberState.CLOSED, now
    await FuelCard.filter(organisation_id=organisation.id).update(organisation_id=None)
    waiting = OrganisationInvitation.filter(organisation_id=organisation.id, state=InvitationState.OPEN)
    await waiting.update(state=InvitationState.WITHDRAWN, ended_at=now)
    await note(OrganisationAction.CLOSED, by=asking, now=now)
    return asking


@transactional
async def set_suspended(*, credit_code: str, suspended: bool, actor: str, reason: str, now: datetime) -> Organisation:
    """Suspend an organisation, or take that back; for whoever runs the service. Doing it again changes nothing.

    Raises CreditCodeInvalid, OrganisationNotFound or SuspensionReasonInvalid.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= REASON_LENGTH_MAX:
        raise SuspensionReasonInvalid(maximum=REASON_LENGTH_MAX)
    found = await _live_with(read_credit_code(credit_code))
    if found is None:
        raise OrganisationNotFound
    await hold(found.id)
    await found.refresh_from_db()
    state = OrganisationState.SUSPENDED if suspended else OrganisationState.ACTIVE
    if found.state is OrganisationState.CLOSED:
        raise OrganisationNotFound
    if found.state is not state:
        await Organisation.filter(id=found.id).update(state=state)
        found.state = state
        action = OrganisationAction.SUSPENDED if suspended else OrganisationAction.RESUMED
        await write(found.id, action, actor, now, after={"reason": reason})
    return found
