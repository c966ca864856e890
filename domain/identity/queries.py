"""Reading users."""

from __future__ import annotations

from domain.identity.viewer import Viewer
from models.identity import User


async def profile(*, viewer: Viewer) -> User | None:
    """Return the viewer's own row; None where the account is gone."""
    return await User.get_or_none(id=viewer.user_id)
