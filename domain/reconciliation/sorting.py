"""Sorting more lines than memory holds: sorted parts in files, merged while they are read."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from domain.reconciliation.rules import Entry

# A separator that sorts below everything that is printable, so lines sort as their first two fields do.
SEPARATOR = "\t"


class Sorter:
    """Takes lines in any order and gives them back sorted by kind and key, with `lines_max` of them in memory.

    Its files lie in the folder, which is the caller's to remove.
    """

    def __init__(self, folder: Path, name: str, *, lines_max: int) -> None:
        self._folder, self._name, self._lines_max = folder, name, lines_max
        self._lines: list[str] = []
        self._parts: list[Path] = []
        self.count = 0
        self.moved_fen = 0

    def add(self, entries: Iterable[Entry]) -> None:
        for each in entries:
            self._lines.append(_text(each))
            self.count += 1
            self.moved_fen += each.moved_fen
            if len(self._lines) >= self._lines_max:
                self._spill()

    def sorted(self) -> Iterator[Entry]:
        """Read everything in order. The files are open for as long as the iterator is."""
        self._lines.sort()
        with ExitStack() as stack:
            parts = [stack.enter_context(part.open(encoding="utf-8", newline="\n")) for part in self._parts]
            for line in heapq.merge(*parts, self._lines):
                yield _entry(line)

    def _spill(self) -> None:
        self._lines.sort()
        part = self._folder / f"{self._name}-{len(self._parts):05d}"
        with part.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(self._lines)
        self._parts.append(part)
        self._lines = []


def _text(each: Entry) -> str:
    return (
        f"{each.kind}\t{each.key}\t{each.standing}\t{each.state}\t{each.amount_fen}\t{each.effect_fen}\t"
        f"{each.reference}\t{each.owner}\n"
    )


def _entry(line: str) -> Entry:
    kind, key, standing, state, amount_fen, effect_fen, reference, owner = line[:-1].split(SEPARATOR)
    return Entry(kind, key, standing, state, int(amount_fen), int(effect_fen), reference, owner)
