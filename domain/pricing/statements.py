"""The little that differs between the dialects in hand-written SQL."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tortoise import Tortoise

from models.database import dialect


class Statement:
    """Collects values while a statement's text is put together, and runs it."""

    def __init__(self) -> None:
        self.postgres = dialect() == "postgres"
        self.values: list[Any] = []

    def uuid(self, value: UUID) -> str:
        return self._mark(value if self.postgres else str(value), "uuid")

    def moment(self, value: datetime) -> str:
        """SQLite compares timestamps as text, so that all of them must be written in UTC."""
        return self._mark(value.astimezone(UTC), "timestamptz")

    def text(self, value: str) -> str:
        return self._mark(value, "text")

    def number(self, value: int) -> str:
        return self._mark(value, "bigint")

    def uuids(self, values: Collection[UUID]) -> str:
        """Return a query for the ids, one in each row of a column `id`; the text is the same however many there are."""
        ordered = sorted(set(values))
        if self.postgres:
            return f"SELECT unnest({self._mark(ordered, 'uuid[]')}) AS id"
        given = self._mark(json.dumps([str(each) for each in ordered]), "text")
        return f"SELECT value AS id FROM json_each({given})"  # noqa: S608 - a placeholder

    @property
    def by_codepoint(self) -> str:
        """Makes a text column sort alike everywhere, whatever the locale of the database."""
        return 'COLLATE "C"' if self.postgres else "COLLATE BINARY"

    def _mark(self, value: Any, type_name: str) -> str:
        self.values.append(value)
        number = len(self.values)
        return f"${number}::{type_name}" if self.postgres else f"?{number}"

    async def rows(self, text: str) -> list[dict[str, Any]]:
        return await Tortoise.get_connection("default").execute_query_dict(text, self.values)


async def hold(stream: str) -> None:
    """Lock the head of a stream until the transaction ends, so that its writers follow one another.

    What such a writer reads afterwards, the clock included, is as new as everything that the stream tells of.
    """
    statement = Statement()
    await statement.rows(
        f"INSERT INTO event_stream (name, position) VALUES ({statement.text(stream)}, 0) "  # noqa: S608 - placeholders
        "ON CONFLICT (name) DO UPDATE SET position = event_stream.position RETURNING position"
    )
