"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from kernel.errors import YoukaError


class AccountGone(YoukaError):
    """The token is good, but the user whom it names is not there any more."""

    code = "UNAUTHENTICATED"
    messages = {"zh-CN": "账号不存在，请重新登录", "en": "The account is gone, please sign in again"}


# A viewer without a token of its own, such as the owner of a webhook, is made anew each time.
JUST_NOW = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, as the access token names them.

    `session_id` is the device's, where the token came from a sign-in; `vehicle_id` the car's, where it is bound to one.
    """

    user_id: UUID
    client_id: str
    scopes: frozenset[str]
    expires_at: datetime
    issued_at: datetime = JUST_NOW
    session_id: UUID | None = None
    token_id: UUID | None = None
    vehicle_id: str | None = None

    def __hash__(self) -> int:
        # Viewers are parts of keys, many times in each request, and few are of one user.
        return hash(self.user_id.int)

    @property
    def actor(self) -> str:
        """How the audit names this viewer."""
        return f"user:{self.user_id}"
