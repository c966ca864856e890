"""Who works here, and what they may do. The token names them; the table says whether that is still true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.identity.scopes import Scope
from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import StaffRole
from models.identity import StaffMember, User

STAFF_CLIENT_ID = "staff"
STAFF_SCOPE = Scope.STAFF


class StaffOnly(YoukaError):
    """Also where the role is missing: a stranger learns nothing of who may do what."""

    code = "FORBIDDEN"
    messages = {"zh-CN": "没有权限", "en": "You may not do this"}


class StaffNameTaken(YoukaError):
    code = "STAFF_NAME_TAKEN"
    messages = {"zh-CN": "该员工已存在", "en": "There is a member of staff of this name already"}


class CustomerNotFound(YoukaError):
    """An account that is not there would let somebody decide about orders of their own."""

    code = "CUSTOMER_NOT_FOUND"
    messages = {"zh-CN": "没有该用户", "en": "There is no such account"}


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff; `customer_id` is the account that they recharge with, if they have one.

    `roles` are those of theirs by which they were let in.
    """

    id: UUID
    name: str
    customer_id: UUID | None
    roles: frozenset[StaffRole] = frozenset()

    @property
    def actor(self) -> str:
        """How the audit names them."""
        return f"staff:{self.id}"


def is_staff(viewer: Viewer | None) -> bool:
    """Say whether the token was made for somebody who works here; `require` says whether they still do."""
    return viewer is not None and viewer.client_id == STAFF_CLIENT_ID and STAFF_SCOPE in viewer.scopes


async def require(*, viewer: Viewer, roles: frozenset[StaffRole] = frozenset(StaffRole)) -> Staff:
    """Return the member of staff behind the token, who has one of the roles. Raises StaffOnly."""
    member = await StaffMember.get_or_none(id=viewer.user_id) if is_staff(viewer) else None
    if member is None or member.left_at is not None or roles.isdisjoint(member.roles):
        raise StaffOnly
    return Staff(member.id, member.name, member.customer_id, roles & {StaffRole(role) for role in member.roles})


async def add(*, name: str, roles: frozenset[StaffRole], customer_id: UUID | None, now: datetime) -> StaffMember:
    """Raises StaffNameTaken or CustomerNotFound."""
    if await StaffMember.exists(name=name):
        raise StaffNameTaken
    if customer_id and not await User.exists(id=customer_id):
        raise CustomerNotFound
    return await StaffMember.create(
        id=new_id(), name=name, roles=sorted(roles), customer_id=customer_id, created_at=now
    )


async def by_name(name: str) -> StaffMember | None:
    """Return who has this name and has not left."""
    return await StaffMember.get_or_none(name=name, left_at__isnull=True)


async def leave(*, name: str, now: datetime) -> bool:
    """Note that somebody has left, and return whether there was somebody; their tokens are worth nothing from now."""
    return await StaffMember.filter(name=name, left_at__isnull=True).update(left_at=now) == 1
