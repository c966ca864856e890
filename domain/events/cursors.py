"""Cursors: the place of an event, as clients keep it, and what a kept place is worth today."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kernel import opaque
from kernel.errors import YoukaError

EPOCH = re.compile(r"[0-9a-f]{12}")
CURSOR_PARTS = 3


class CursorInvalid(YoukaError):
    """Nonsense, a place in another stream, or one that is yet to come."""

    code = "CURSOR_INVALID"
    messages = {"zh-CN": "游标不属于这个订阅", "en": "The cursor is not one of this stream"}


class GapReason(StrEnum):
    """Why what lies behind a cursor cannot be told event by event."""

    HISTORY_GONE = "HISTORY_GONE"
    EPOCH_CHANGED = "EPOCH_CHANGED"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The epoch of the history, the stream, and the position of the last event that its holder has; 0 for none."""

    epoch: str
    stream: str
    position: int

    @property
    def text(self) -> str:
        return opaque.pack(self.epoch, self.stream, self.position)

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises CursorInvalid."""
        try:
            parts = opaque.unpack(text)
        except ValueError:
            raise CursorInvalid from None
        if len(parts) != CURSOR_PARTS:
            raise CursorInvalid
        epoch, stream, position = parts
        if not isinstance(epoch, str) or not EPOCH.fullmatch(epoch) or not isinstance(stream, str):
            raise CursorInvalid
        if type(position) is not int or position < 0:
            raise CursorInvalid
        return cls(epoch, stream, position)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stream stands: its newest position, and up to which one its events are deleted; 0 for none."""

    stream: str
    epoch: str
    position: int
    purged: int

    def cursor(self, position: int | None = None) -> str:
        """Return the cursor of a position, without one that of the newest event."""
        return Cursor(self.epoch, self.stream, self.position if position is None else position).text


@dataclass(frozen=True, slots=True)
class Start:
    """Where a reader starts: behind `position`; where there is a gap it is told of that, and of a snapshot, first."""

    standing: Standing
    position: int
    gap: GapReason | None = None

    @classmethod
    def at(cls, standing: Standing, after: str | None) -> Start:
        """Start behind a cursor, or with the next event where there is none. Raises CursorInvalid."""
        if after is None:
            return cls(standing, standing.position)
        cursor = Cursor.read(after)
        if cursor.stream != standing.stream:
            raise CursorInvalid
        if cursor.epoch != standing.epoch:
            return cls(standing, standing.position, GapReason.EPOCH_CHANGED)
        if cursor.position > standing.position:
            raise CursorInvalid
        return cls.behind(standing, cursor.position)

    @classmethod
    def behind(cls, standing: Standing, position: int) -> Start:
        """Start behind a position of this epoch that a reader has reached."""
        assert 0 <= position <= standing.position
        if position < standing.purged:
            return cls(standing, standing.position, GapReason.HISTORY_GONE)
        return cls(standing, position)
