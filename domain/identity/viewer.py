"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, as the access token names them."""

    user_id: UUID
    client_id: str
    scopes: frozenset[str]
    expires_at: datetime

    @property
    def actor(self) -> str:
        """How the audit names this viewer."""
        return f"user:{self.user_id}"
