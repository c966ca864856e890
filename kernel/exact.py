"""Bytes that are kept for long take no more memory than they are long, and are there once."""

from __future__ import annotations


def exact(encoded: bytes) -> bytes:
    """Return a copy without the room that orjson leaves behind what it encodes: up to seven times as much again."""
    return bytes(memoryview(encoded))


class Shared:
    """One copy of letters that much of what is kept has in common, such as the text of a query.

    Up to `kept_max` of them, of `size_max_bytes` each, are known here; then it begins anew, and who has one keeps it.
    """

    def __init__(self, *, kept_max: int = 256, size_max_bytes: int = 4_096) -> None:
        self._kept_max, self._size_max_bytes = kept_max, size_max_bytes
        self._known: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._known)

    def copy_of(self, part: bytes) -> bytes:
        """Return the copy that all have, which this is from now on if there is none."""
        if len(part) > self._size_max_bytes:
            return part
        if len(self._known) >= self._kept_max:
            self._known.clear()
        return self._known.setdefault(part, part)
