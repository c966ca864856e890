"""How a subscriber hears of events, whoever carries them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the event table. Positions of a stream start at 1 and have no gaps."""

    stream: str
    position: int
    type: str
    payload: dict[str, Any]
    occurred_at: datetime


class HistoryGone(Exception):
    """The next events of a stream are deleted; whoever follows it has to start anew from a snapshot."""


class EventSource(Protocol):
    def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        """Yield the events behind position `after`, then new ones as they are committed, in order, each once.

        None starts with what is committed after the generator's first step. It must be closed by its reader. Raises
        HistoryGone where the next event is deleted.
        """
