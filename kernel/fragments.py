"""Parts of answers, and rows, that are kept by their entities until something that they show is changed.

All of them were made of what is changed together, so one change forgets them all. Whoever keeps one has begun at some
moment to read what it was made of; what was begun before a change is not kept after it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Any

# How many keys are told apart by whether they were made before; others are taken for them by chance.
SEEN_BITS = 1 << 18
# What the tables take for each of them, measured; it and the part of its key that is its own are on top of that.
BYTES_PER_FRAGMENT = 260


class Fragments:
    """Bounded in bytes; what was used last is kept longest. Times are those of `clock`, in seconds.

    Nothing is found or kept before `hold` has said for how long all of it is true, after that, and after `open_until`,
    which whoever brings the news of changes moves on. `tags` name what they are made of. What is found elsewhere when
    it is asked for again, as in whole answers, is worth keeping `at_second` need only.
    """

    def __init__(
        self,
        size_max_bytes: int,
        *,
        tags: Collection[str],
        clock: Callable[[], float] = time.monotonic,
        at_second: bool = False,
    ) -> None:
        self._size_max_bytes, self._tags, self.clock = size_max_bytes, frozenset(tags), clock
        self._at_second, self._seen = at_second, bytearray()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self.size_bytes = 0
        self.open_until = float("inf")
        self._true_until = 0.0
        # Grows with every change, so that what was begun before one can be told apart.
        self.generation = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_room(self) -> bool:
        """Whether it could keep anything at all."""
        return self._size_max_bytes > 0

    @property
    def is_open(self) -> bool:
        return self._size_max_bytes > 0 and self.clock() < self.open_until

    def view(self) -> View | None:
        """Return what somebody sees who begins to read now; None where nothing may be found."""
        now = self.clock()
        return View(self) if now < self._true_until and now < self.open_until else None

    def restart(self) -> int:
        """Forget everything, and return what `hold` has to be given."""
        self.clear()
        return self.generation

    def hold(self, generation: int, lasts_s: float) -> None:
        """Find and keep things for so long, unless something was changed since the generation."""
        if generation == self.generation:
            self._true_until = self.clock() + lasts_s

    def find(self, key: Hashable) -> Any:
        """Return what is kept; None where nothing is."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: Any, size_bytes: int) -> None:
        size_bytes += BYTES_PER_FRAGMENT
        if size_bytes > self._size_max_bytes:
            return
        known = self._entries.pop(key, None)
        self._entries[key] = value, size_bytes
        self.size_bytes += size_bytes - (known[1] if known else 0)
        while self.size_bytes > self._size_max_bytes:
            _, (_, freed_bytes) = self._entries.popitem(last=False)
            self.size_bytes -= freed_bytes

    def wants(self, key: Hashable) -> bool:
        """Return whether it is worth making what is kept under the key, and remember that it was needed."""
        if not self._at_second:
            return True
        if not self._seen:
            self._seen = bytearray(SEEN_BITS // 8)
        place, bit = divmod(hash(key) % SEEN_BITS, 8)
        was_seen = bool(self._seen[place] & 1 << bit)
        self._seen[place] |= 1 << bit
        return was_seen

    def purge(self, tags: Collection[str]) -> int:
        """Forget everything if it was made of one of these, and return how much that was."""
        if self._tags.isdisjoint(tags):
            return 0
        forgotten = len(self._entries)
        self.clear()
        return forgotten

    def clear(self) -> None:
        """Forget everything, and what is being made."""
        self.generation += 1
        self._entries.clear()
        self._seen = bytearray()
        self.size_bytes, self._true_until = 0, 0.0


class View:
    """What one execution finds, and where it keeps what it has read since it began."""

    __slots__ = ("_fragments", "_generation", "get", "wants")

    def __init__(self, fragments: Fragments) -> None:
        self._fragments, self._generation = fragments, fragments.generation
        self.get, self.wants = fragments.find, fragments.wants

    def keep(self, key: Hashable, value: Any, *, size_bytes: int) -> bool:
        """Keep something that was read since the execution began, and return whether nothing was changed since."""
        if self._generation != self._fragments.generation:
            return False
        self._fragments.put(key, value, size_bytes)
        return True
