"""Fields that close gaps of the ORM."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tortoise import fields
from tortoise.models import Model


class UtcDatetimeField(fields.DatetimeField):  # type: ignore[type-arg]
    """An aware datetime, stored in UTC.

    SQLite compares timestamps as text, so a filter with another UTC offset would find wrong rows without a word;
    every value is therefore converted first, and a naive one is refused.
    """

    def to_db_value(self, value: Any, instance: type[Model] | Model) -> Any:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError("a naive datetime cannot be stored")
            value = value.astimezone(UTC)
        return super().to_db_value(value, instance)

    def to_python_value(self, value: Any) -> datetime | None:
        if isinstance(value, str):
            # SQLite keeps text, which Python itself reads many times faster than the regular expression of the ORM.
            value = datetime.fromisoformat(value)
        return super().to_python_value(value)
