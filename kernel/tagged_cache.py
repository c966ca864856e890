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

# What an entry takes in the process's memory, measured; the bytes of its value and of its keys are on top of that. A
# tag has a set of its own where it is somebody's.
BYTES_PER_ENTRY = 300
BYTES_PER_TAG = 680
BYTES_PER_ALIAS = 320
ALIASES_MAX = 4
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
    key: Hashable
    value: T
    tags: tuple[str, ...]
    expires_at: float
    size_bytes: int
    aliases: tuple[Hashable, ...] = ()
    aliases_size_bytes: int = 0


class TaggedCache(Generic[T]):
    """Bounded in bytes; what was used last is kept longest. Times are those of `clock`, in seconds.

    While it is `shut` it finds and keeps nothing, and so it is after `open_until`, which whoever brings the news of
    changes moves on.
    """

    def __init__(self, size_max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size_max_bytes, self.clock = size_max_bytes, clock
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._aliases: dict[Hashable, Hashable] = {}
        self._tagged: dict[str, set[Hashable]] = {}
        self._tags_last: tuple[str, ...] = ()
        self._fills: set[Fill] = set()
        self.size_bytes = 0
        self.open_until = float("inf")
        self.purges = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_room(self) -> bool:
        """Whether it could keep anything at all."""
        return self._size_max_bytes > 0

    @property
    def is_open(self) -> bool:
        return self._size_max_bytes > 0 and self.clock() < self.open_until

    def get(self, key: Hashable) -> T | None:
        entry = self._entries.get(key)
        if entry is None:
            key = self._aliases.get(key)
            if key is None:
                return None
            entry = self._entries[key]
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
        self._put(key, value, tuple(tags), self.clock() + lasts_s, size_bytes)
        return True

    def alias(self, key: Hashable, other: Hashable, *, size_bytes: int) -> None:
        """Find what is kept under a key by another one as well, for as long as that is kept.

        Of the bytes of the other one, those count that are its own. After ALIASES_MAX of them it begins anew.
        """
        entry = self._entries.get(key)
        if entry is None or other in self._aliases or other in self._entries:
            return
        if len(entry.aliases) == ALIASES_MAX:
            self._forget_aliases(entry)
        size_bytes += BYTES_PER_ALIAS
        self._aliases[other] = entry.key
        entry.aliases = (*entry.aliases, other)
        entry.aliases_size_bytes += size_bytes
        self.size_bytes += size_bytes
        self._shrink()

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
        self._aliases.clear()
        self._tagged.clear()
        self.size_bytes = 0
        self.purges += 1

    def _put(self, key: Hashable, value: T, tags: tuple[str, ...], expires_at: float, size_bytes: int) -> None:
        if key in self._entries:
            self._drop(key)
        key = _compact(key)
        # Most are made of the same.
        tags = self._tags_last = self._tags_last if tags == self._tags_last else tags
        size_bytes += BYTES_PER_ENTRY + BYTES_PER_TAG * len(tags)
        self._entries[key] = _Entry(key, value, tags, expires_at, size_bytes)
        self.size_bytes += size_bytes
        for tag in tags:
            self._tagged.setdefault(tag, set()).add(key)
        self._shrink()

    def _shrink(self) -> None:
        while self.size_bytes > self._size_max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        self.size_bytes -= entry.size_bytes
        self._forget_aliases(entry)
        for tag in entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]

    def _forget_aliases(self, entry: _Entry[T]) -> None:
        for alias in entry.aliases:
            del self._aliases[alias]
        self.size_bytes -= entry.aliases_size_bytes
        entry.aliases, entry.aliases_size_bytes = (), 0


def _compact(key: Hashable) -> Hashable:
    """Return the key without room that its bytes may have behind them: variables are as they were encoded."""
    return tuple(exact(part) if isinstance(part, bytes) else part for part in key) if isinstance(key, tuple) else key
