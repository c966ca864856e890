"""Reading users."""

from __future__ import annotations

from domain.identity.viewer import Viewer
from models.identity import User


async def profile(*, viewer: Viewer) -> User | None:
    """Return the viewer's own row; None where the account is gone."""
    return await User.get_or_none(id=viewer.user_id)


async def lock_user(*, viewer: Viewer) -> None:
    """Let what one user does happen one after another, so that limits count all of it."""
    await User.select_for_update().filter(id=viewer.user_id).first()
