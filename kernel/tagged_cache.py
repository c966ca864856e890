"""A cache whose entries are tagged with what they were made of, and are gone as soon as that is changed.

Between reading something and keeping what came of it, it may have been changed. So whoever fills the cache says when
they begin, and what is tagged with anything that was purged since is not kept.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kernel.exact import exact

T = TypeVar("T")

# What the tables take for each entry, measured; its value and its key are on top of that.
BYTES_PER_ENTRY = 640
BYTES_PER_TAG = 96
# What takes more than this part of the room would drive out too many others.
SHARE_MAX = 8


@dataclass(slots=True, eq=False)
class Fill:
    """Something that is being made for the cache, and what was purged since it was begun."""

    purged: set[str] = field(default_factory=set)
    spoilt: bool = False

    def is_stale(self, tags: Collection[str]) -> bool:
        return self.spoilt or not self.purged.isdisjoint(tags)


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    value: T
    tags: frozenset[str]
    expires_at: float
    size_bytes: int


class TaggedCache(Generic[T]):
    """Bounded in bytes; what was used last is kept longest. Times are those of `clock`, in seconds.

    While it is `shut` it finds and keeps nothing, and so it is after `open_until`, which whoever brings the news of
    changes moves on.
    """

    def __init__(self, size_max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size_max_bytes, self.clock = size_max_bytes, clock
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._tagged: dict[str, set[Hashable]] = {}
        self._tags_last: frozenset[str] = frozenset()
        self._fills: set[Fill] = set()
        self.size_bytes = 0
        self.open_until = float("inf")
        self.purges = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_open(self) -> bool:
        return self._size_max_bytes > 0 and self.clock() < self.open_until

    def get(self, key: Hashable) -> T | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self.clock()
        if now >= self.open_until:
            return None
        if now >= entry.expires_at:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def begin(self) -> Fill:
        """Say that something is read from now on. Each fill is ended by `keep` or `leave`."""
        fill = Fill()
        self._fills.add(fill)
        return fill

    def keep(
        self, fill: Fill, key: Hashable, value: T, *, tags: Collection[str], lasts_s: float, size_bytes: int
    ) -> bool:
        """Keep a value where nothing of its tags was purged since the fill began; return whether it is kept."""
        self._fills.discard(fill)
        if lasts_s <= 0 or size_bytes * SHARE_MAX > self._size_max_bytes or not self.is_open or fill.is_stale(tags):
            return False
        self._put(key, value, frozenset(tags), self.clock() + lasts_s, size_bytes)
        return True

    def alias(self, key: Hashable, other: Hashable, *, size_bytes: int) -> None:
        """Find what is kept under a key by another one as well, for as long as that is kept."""
        entry = self._entries.get(key)
        if entry is not None and other not in self._entries:
            self._put(other, entry.value, entry.tags, entry.expires_at, size_bytes)

    def leave(self, fill: Fill) -> None:
        """End a fill of which nothing is kept."""
        self._fills.discard(fill)

    def purge(self, tags: Collection[str]) -> int:
        """Forget what has one of the tags, and what is being made of it; return how many entries that were."""
        for fill in self._fills:
            fill.purged.update(tags)
        keys = set().union(*(self._tagged.get(tag, ()) for tag in tags))
        for key in keys:
            self._drop(key)
        self.purges += 1
        return len(keys)

    def clear(self) -> None:
        """Forget everything, and what is being made."""
        for fill in self._fills:
            fill.spoilt = True
        self._entries.clear()
        self._tagged.clear()
        self.size_bytes = 0
        self.purges += 1

    def _put(self, key: Hashable, value: T, tags: frozenset[str], expires_at: float, size_bytes: int) -> None:
        if key in self._entries:
            self._drop(key)
        if isinstance(key, tuple):
            # Variables are as they were encoded, and requests may be parts of what was read.
            key = tuple(exact(part) if isinstance(part, bytes) else part for part in key)
        # Most are made of the same, and a set takes more than its tags.
        tags = self._tags_last = self._tags_last if tags == self._tags_last else tags
        size_bytes += BYTES_PER_ENTRY + BYTES_PER_TAG * len(tags)
        self._entries[key] = _Entry(value, tags, expires_at, size_bytes)
        self.size_bytes += size_bytes
        for tag in tags:
            self._tagged.setdefault(tag, set()).add(key)
        while self.size_bytes > self._size_max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        self.size_bytes -= entry.size_bytes
        for tag in entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]
