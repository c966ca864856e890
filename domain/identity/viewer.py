"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kernel.errors import YoukaError


class AccountGone(YoukaError):
    """The token is good, but the user whom it names is not there any more."""

    code = "UNAUTHENTICATED"
    messages = {"zh-CN": "账号不存在，请重新登录", "en": "The account is gone, please sign in again"}


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
