"""Reading users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from tortoise import Tortoise

from domain.identity.viewer import Viewer
from models.changes import of_users
from models.database import dialect
from models.lean import Statement, fetch
from models.moments import read_kept, shown

USERS = Statement(
    postgres=f"SELECT id, display_name, {shown('created_at')} FROM user_account "  # noqa: S608 - names of our own
    "WHERE id = ANY($1::uuid[]) ORDER BY id",
    sqlite="SELECT id, display_name, created_at FROM user_account "
    "WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
)


class UserFacts(NamedTuple):
    """What clients are shown of one row of the table of users, which has the same names for it.

    The moment is a text as `kernel.clock.written` writes it.
    """

    id: UUID
    display_name: str
    created_at: str


async def profile(*, viewer: Viewer) -> UserFacts | None:
    """Return the viewer's own row; None where the account is gone."""
    return (await profiles(viewers=[viewer]))[0]


async def profiles(*, viewers: Sequence[Viewer]) -> list[UserFacts | None]:
    """Return each viewer's own row, in their order; None where the account is gone."""
    rows = await fetch(USERS, [viewer.user_id for viewer in viewers])
    found = {facts.id: facts for facts in (_read(*row) for row in rows)}
    return [found.get(viewer.user_id) for viewer in viewers]


def _read(user_id: UUID | str, display_name: str, created_at: str) -> UserFacts:
    if isinstance(user_id, str):
        return UserFacts(UUID(user_id), display_name, read_kept(created_at))
    return UserFacts(user_id, display_name, created_at)


TAKE_TURN = "UPDATE user_account SET created_at = created_at WHERE id = $1"


async def lock_user(*, viewer: Viewer) -> None:
    """Let what one user does happen one after another, so that limits count all of it.

    PostgreSQL marks the row as changed when the transaction commits. So whoever has read without the lock can tell that
    somebody took a turn meanwhile (see `domain.orders.creation_facts`).
    """
    connection = Tortoise.get_connection("default")
    # On SQLite a transaction is alone from its beginning.
    if dialect() == "postgres":
        # Nothing that is shown of the row is changed.
        with of_users():
            await connection.execute_query(TAKE_TURN, [viewer.user_id])
