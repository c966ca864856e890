"""What this process knows of sessions and tokens that are over, so that no request has to ask the database.

An id is kept until the last token that it is about has expired. Where there are too many of them, every token that was
made before is refused instead: its owner has a new one by their refresh token, and nothing that is over is let in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

KEPT_MAX = 100_000


class Revocations:
    def __init__(self, *, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._until: dict[UUID, datetime] = {}
        self._watchers: defaultdict[UUID, dict[object, Callable[[], None]]] = defaultdict(dict)
        self._floor = datetime.min.replace(tzinfo=UTC)

    def covers(self, *ids: UUID | None, issued_at: datetime) -> bool:
        """Whether a token is over that was issued then for any of these: its session, itself."""
        if issued_at < self._floor:
            return True
        return bool(self._until) and any(each in self._until for each in ids if each)

    def add(self, id: UUID, *, until: datetime, now: datetime) -> None:
        """Note that an id is over, and tell who watches it."""
        if id in self._until:
            return
        if len(self._until) >= self._kept_max:
            self._forget(now)
        self._until[id] = until
        for tell in list(self._watchers.pop(id, {}).values()):
            tell()

    def watch(self, id: UUID, tell: Callable[[], None]) -> Callable[[], None]:
        """Call back once when the id is over; what is returned stops watching."""
        token = object()
        self._watchers[id][token] = tell

        def stop() -> None:
            watching = self._watchers.get(id)
            if watching:
                watching.pop(token, None)
                if not watching:
                    del self._watchers[id]

        return stop

    def _forget(self, now: datetime) -> None:
        """Drop what has expired; where that makes no room, refuse everything that was issued up to now."""
        self._until = {id: until for id, until in self._until.items() if until > now}
        if len(self._until) >= self._kept_max:
            self._until.clear()
            self._floor = now
