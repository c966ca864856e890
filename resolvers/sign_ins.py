"""The audit of sign-ins, for staff."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from domain.identity import staff
from domain.signins import queries
from kernel.states import StaffRole
from schema.types.context import Info
from schema.types.prices import After, First
from schema.types.refusals import refusals
from schema.types.relay import Page, key_of
from schema.types.sign_ins import SignIn, SignInConnection

READERS = frozenset({StaffRole.AUDITOR, StaffRole.RISK})
UserId = Annotated[strawberry.ID, strawberry.argument(description="Whose: the id of a profile, or of a lock's user.")]


async def sign_ins(info: Info, user_id: UserId, first: First = 20, after: After = None) -> SignInConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    owner_id = key_of(user_id, "Profile")
    with refusals(info):
        member = await staff.require(viewer=info.context.signed_in, roles=READERS)
        rows = (
            await queries.of_account(
                staff=member, owner_id=owner_id, first=page.limit, after=page.after_id, now=info.context.now
            )
            if owner_id
            else []
        )
    return page.connection(rows, SignIn.of)


async def sign_in_by_key(info: Info, key: UUID) -> SignIn | None:
    """Find a line about the viewer, and for staff who may see them a line about anybody. Raises StaffOnly."""
    viewer = info.context.signed_in
    row = await queries.owned(viewer=viewer, sign_in_id=key)
    if row is None and staff.is_staff(viewer):
        row = await queries.any_line(staff=await staff.require(viewer=viewer, roles=READERS), sign_in_id=key)
    return SignIn.of(row) if row else None
