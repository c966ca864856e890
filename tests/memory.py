"""Where tests keep what they throw away: in memory, where the machine has a file system there with room.

Copying the migrated PostgreSQL means making 700 files, which takes 50 ms in memory and up to two seconds on a disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
ROOM_MIN_BYTES = 4 * 2**30


def folder_in_memory() -> Path | None:
    """Return the folder to make others in, or None for the usual one: of a machine without such a file system, of one
    with little room in it, and where nothing may be executed there, since PostgreSQL's programs lie beside its data."""
    if not os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        return None
    executes = not os.statvfs(SHARED_MEMORY).f_flag & getattr(os, "ST_NOEXEC", 0)
    return SHARED_MEMORY if executes and shutil.disk_usage(SHARED_MEMORY).free >= ROOM_MIN_BYTES else None


@contextmanager
def sqlite_copy(template: Path) -> Iterator[str]:
    """The address of a copy of a migrated SQLite database, which goes at the end."""
    with tempfile.TemporaryDirectory(prefix="youka-sqlite-", dir=folder_in_memory()) as folder:
        path = Path(folder) / "youka.db"
        shutil.copyfile(template, path)
        yield f"sqlite://{path}"
