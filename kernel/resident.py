"""Memory of a process that nobody needs any more: pages of shared libraries that were used once.

Loading touches most pages of thirty shared libraries, and a server uses a few of them afterwards; the first token that
is verified touches more. They are copies of files, which the system has as well, and takes back where memory is short;
here they are given back when the server is ready, and every so often. What is used again is mapped again, without
reading anything.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from kernel.tasks import cancel_and_wait, spawn

SMAPS = Path("/proc/self/smaps")
# The same without what each mapping holds, which takes a tenth of the time to tell.
MAPS = Path("/proc/self/maps")
# https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html: from, to, that it is private and not writable, a file.
MAPPED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* +/")
MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")
MADV_DONTNEED = 4  # madvise(2), Linux.
# Once takes about a millisecond, and what is used anyway is mapped again in another.
INTERVAL_S = 30.0


def as_in_files() -> frozenset[str]:
    """Return the mappings whose pages are as in their files; none where the system does not tell."""
    return frozenset(untouched(_told(SMAPS)))


@asynccontextmanager
async def letting_go(interval_s: float = INTERVAL_S) -> AsyncIterator[None]:
    """Give back what is as in its file now, and again after each interval, for as long as the context lasts.

    Later it is only what is mapped now: it is whole, whereas a library that is just being loaded may be changed between
    looking at it and giving it back.
    """
    mapped = as_in_files()
    let_go(mapped)
    again = spawn(_again(mapped, interval_s), name="resident")
    try:
        yield
    finally:
        await cancel_and_wait(again)


async def _again(mapped: frozenset[str], interval_s: float) -> None:
    while mapped:
        await asyncio.sleep(interval_s)
        let_go(mapped.intersection(_told(MAPS).splitlines()))


def untouched(smaps: str) -> Iterator[str]:
    """Return what is mapped from files, cannot be written, and was not: relocations write."""
    mapping = ""
    for line in smaps.splitlines():
        if MAPPING.match(line):
            mapping = line
        elif line.startswith("Anonymous:") and line.split()[1] == "0" and MAPPED.match(mapping):
            yield mapping


def _told(path: Path) -> str:
    try:
        return path.read_text("ascii", errors="replace")
    except OSError:
        # That is no Linux, or one that does not tell.
        return ""


def let_go(mappings: Iterable[str]) -> int:
    """Give back the pages of such mappings, and return how many bytes were mapped there."""
    ranges = [_range_of(mapping) for mapping in mappings]
    if not ranges:
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    return sum(length for start, length in ranges if madvise(start, length, MADV_DONTNEED) == 0)


def _range_of(mapping: str) -> tuple[int, int]:
    matched = MAPPED.match(mapping)
    assert matched is not None, mapping
    start = int(matched[1], 16)
    return start, int(matched[2], 16) - start
