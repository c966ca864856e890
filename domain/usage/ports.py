"""Where what a client has used is noted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class UsageNotes(Protocol):
    def note(self, client_id: str, coordinates: Collection[str]) -> None:
        """Count one request of a client that asks for these deprecated parts of the schema; an empty id is nobody."""
