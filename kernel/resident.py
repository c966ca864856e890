"""Memory of a process that nobody needs any more once it is started.

Loading touches most pages of thirty shared libraries, and a server uses a few of them afterwards. They are copies of
files, which the system has as well, and takes back where memory is short; here they are given back at once. What is
used again is mapped again, without reading anything.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

SMAPS = Path("/proc/self/smaps")
# https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html: from, to, that it is private and not writable, a file.
MAPPED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* +/")
MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")
MADV_DONTNEED = 4  # madvise(2), Linux.


def let_go() -> int:
    """Give back the pages that are as in their files, and return how many bytes were mapped there; 0 elsewhere."""
    try:
        told = SMAPS.read_text("ascii", errors="replace")
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        # That is no Linux, or one that does not tell.
        return 0
    madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    return sum(length for start, length in untouched(told) if madvise(start, length, MADV_DONTNEED) == 0)


def untouched(smaps: str) -> Iterator[tuple[int, int]]:
    """Return address and length of what is mapped from files, cannot be written, and was not: relocations write."""
    mapped: re.Match[str] | None = None
    for line in smaps.splitlines():
        if MAPPING.match(line):
            mapped = MAPPED.match(line)
        elif mapped and line.startswith("Anonymous:") and line.split()[1] == "0":
            start = int(mapped[1], 16)
            yield start, int(mapped[2], 16) - start
