"""Whether somebody belongs to an organisation and may do a thing in it, for reading and for changing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from tortoise.queryset import QuerySet

from domain.identity.viewer import Viewer
from domain.organisations.rules import MemberLimits, Standing
from kernel.errors import YoukaError
from kernel.organisation_states import MemberState, OrganisationPermission, OrganisationState
from models.organisations import Organisation, OrganisationMember


class OrganisationNotFound(YoukaError):
    """Also where the viewer does not belong to it: the answer must not tell the two apart."""

    code = "ORGANISATION_NOT_FOUND"
    messages = {"zh-CN": "企业不存在", "en": "There is no such organisation"}


class MemberNotFound(YoukaError):
    """Also where it is a member of an organisation that the viewer does not belong to, or was one."""

    code = "MEMBER_NOT_FOUND"
    messages = {"zh-CN": "成员不存在", "en": "There is no such member"}


class OrganisationNotActive(YoukaError):
    code = "ORGANISATION_NOT_ACTIVE"
    messages = {"zh-CN": "企业已被停用", "en": "The organisation is suspended"}


class OrganisationPermissionMissing(YoukaError):
    """`permission` is what it takes, and what the viewer's role does not have."""

    code = "ORGANISATION_PERMISSION_MISSING"
    messages = {"zh-CN": "您在该企业中没有此权限", "en": "Your role in the organisation does not allow this"}


@dataclass(frozen=True, slots=True)
class Membership:
    """A member as they stand now, with their organisation."""

    organisation: Organisation
    member: OrganisationMember

    @property
    def standing(self) -> Standing:
        return Standing(self.member.role, self.organisation.state, self.member.all_cards)

    def may(self, permission: OrganisationPermission) -> bool:
        return self.standing.may(permission)

    def require(self, permission: OrganisationPermission) -> None:
        """Raises OrganisationPermissionMissing."""
        if not self.may(permission):
            raise OrganisationPermissionMissing(permission=permission)


def limits_of(member: OrganisationMember) -> MemberLimits:
    return MemberLimits(member.recharge_max_fen, member.daily_max_fen, member.monthly_max_fen)


async def memberships(*, viewer: Viewer) -> list[Membership]:
    """Return everything that the viewer belongs to, in the order in which they joined."""
    rows = await _live(viewer).select_related("organisation").order_by("id")
    return [Membership(row.organisation, row) for row in rows]


async def membership(*, viewer: Viewer, organisation_id: UUID | None) -> Membership | None:
    """Return the viewer's membership, None where there is none."""
    if organisation_id is None:
        return None
    row = await _live(viewer).filter(organisation_id=organisation_id).select_related("organisation").first()
    return Membership(row.organisation, row) if row else None


async def organisations_of(user_ids: Iterable[UUID], organisation_ids: Iterable[UUID]) -> set[tuple[UUID, UUID]]:
    """Return which of the users belong to which of the organisations, for rows that were authorised themselves."""
    live = OrganisationMember.filter(
        user_id__in=set(user_ids), organisation_id__in=set(organisation_ids), state=MemberState.ACTIVE
    )
    return {(row.user_id, row.organisation_id) for row in await live}


async def locked(*, viewer: Viewer, organisation_id: UUID | None, permission: OrganisationPermission) -> Membership:
    """Hold the organisation until the transaction ends, so that its changes happen one after another.

    Who asks is looked up behind the lock: a change that took their right away is seen. Raises OrganisationNotFound,
    OrganisationPermissionMissing or OrganisationNotActive.
    """
    found = await held(viewer=viewer, organisation_id=organisation_id)
    found.require(permission)
    if found.organisation.state is not OrganisationState.ACTIVE:
        raise OrganisationNotActive
    return found


async def held(*, viewer: Viewer, organisation_id: UUID | None) -> Membership:
    """Hold an organisation that the viewer belongs to, a suspended one as well. Raises OrganisationNotFound."""
    if organisation_id:
        await hold(organisation_id)
    found = await membership(viewer=viewer, organisation_id=organisation_id)
    if found is None:
        raise OrganisationNotFound
    return found


async def hold(organisation_id: UUID) -> None:
    await Organisation.select_for_update().filter(id=organisation_id).first()


async def locked_with(
    *, viewer: Viewer, member_id: UUID | None, permission: OrganisationPermission
) -> tuple[Membership, OrganisationMember]:
    """Hold the organisation of a member, and return who asks and the member, who is locked and belongs to it now.

    Raises MemberNotFound, OrganisationPermissionMissing or OrganisationNotActive.
    """
    row = await OrganisationMember.get_or_none(id=member_id) if member_id else None
    if row is None or await membership(viewer=viewer, organisation_id=row.organisation_id) is None:
        raise MemberNotFound
    asking = await locked(viewer=viewer, organisation_id=row.organisation_id, permission=permission)
    return asking, await lock_member(row.id)


async def lock_member(member_id: UUID) -> OrganisationMember:
    """Hold a member's row, which the orders of the member take as well. Raises MemberNotFound for who has gone."""
    row = await OrganisationMember.select_for_update().get(id=member_id)
    if row.state is not MemberState.ACTIVE:
        raise MemberNotFound
    return row


async def lock_own(*, viewer: Viewer, organisation_id: UUID) -> Membership | None:
    """Hold the viewer's own row for an order of theirs; None where they do not belong to the organisation any more.

    The organisation itself is not held: many members order at once.
    """
    row = await _live(viewer).select_for_update().filter(organisation_id=organisation_id).first()
    return Membership(await Organisation.get(id=organisation_id), row) if row else None


def _live(viewer: Viewer) -> QuerySet[OrganisationMember]:
    return OrganisationMember.filter(user_id=viewer.user_id, state=MemberState.ACTIVE)
