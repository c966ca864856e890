"""Reading the audit of sign-ins: somebody's own, and for staff that of one account."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.actions.recording import Subject, looked
from domain.identity.staff import Staff
from domain.identity.viewer import Viewer
from models.sign_ins import SignInRecord

ACTION = "signIns"


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None) -> list[SignInRecord]:
    """Return up to `first` lines about the viewer, newest first, behind the line `after`."""
    return await _page(viewer.user_id, first, after)


async def of_account(
    *, staff: Staff, owner_id: UUID, first: int, after: UUID | None, now: datetime
) -> list[SignInRecord]:
    """Return up to `first` lines about an account, or about a member of staff, for staff who may see them.

    The look is written down before anything is returned.
    """
    rows = await _page(owner_id, first, after)
    seen = {"lines": min(len(rows), first)}
    await looked(who=staff, action=ACTION, subject=Subject("Profile", owner_id), seen=seen, now=now)
    return rows


async def owned(*, viewer: Viewer, sign_in_id: UUID) -> SignInRecord | None:
    """Return one line about the viewer."""
    return await SignInRecord.get_or_none(id=sign_in_id, owner_id=viewer.user_id)


async def any_line(*, staff: Staff, sign_in_id: UUID) -> SignInRecord | None:
    """Return one line about anybody, for staff who may see them."""
    del staff  # Asking for a member of staff with the role is the check.
    return await SignInRecord.get_or_none(id=sign_in_id)


async def _page(owner_id: UUID, first: int, after: UUID | None) -> list[SignInRecord]:
    rows = SignInRecord.filter(owner_id=owner_id)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)
