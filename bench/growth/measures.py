"""What a piece of work costs the database: the time of its process, and what it reads of each table and index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tortoise import Tortoise

from bench.machine import CpuTimeUnknown, cpu_seconds

# A process of the database writes its counters down now and then, and this makes it do so at the end of the statement.
FLUSH = "SELECT pg_stat_force_next_flush()"
# Of a partition the name without its month counts, because the question is what kind of table is read, and how much.
READ = """
SELECT regexp_replace(relname, '_(y\\d{4}m\\d{2}|rest)(_.*)?$', '') AS name,
    SUM(pg_stat_get_blocks_fetched(oid))::bigint AS blocks,
    SUM(CASE WHEN relkind = 'r' THEN pg_stat_get_numscans(oid) ELSE 0 END)::bigint AS scans,
    SUM(CASE WHEN relkind = 'r' THEN pg_stat_get_tuples_returned(oid) ELSE 0 END)::bigint AS rows
FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace GROUP BY 1
"""
LOG_POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS bytes"


@dataclass(frozen=True, slots=True)
class Touched:
    """What was read between two looks: pages of tables and indexes, and rows by reading a whole table."""

    blocks: int = 0
    rows_scanned: Mapping[str, int] = field(default_factory=dict)
    scans: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: Touched) -> Touched:
        rows, scans = Counter(self.rows_scanned), Counter(self.scans)
        rows.update(other.rows_scanned)
        scans.update(other.scans)
        return Touched(self.blocks + other.blocks, dict(rows), dict(scans))


class Read(NamedTuple):
    """The counters of one table with its partitions, or of one index, since the statistics began."""

    blocks: int
    scans: int
    rows: int


class Meter:
    """Looks at the one process of the database that serves this connection, and at what all of them have counted."""

    def __init__(self) -> None:
        self._pid = 0
        self._cpu_s: float | None = None
        self._before: dict[str, Read] = {}

    async def begin(self) -> None:
        """Note what the database's process has used until now. The pool replaces a connection, and with it the process,
        after some ten thousand statements, so it is asked for each time."""
        self._pid = int((await _rows("SELECT pg_backend_pid() AS pid"))[0]["pid"])
        self._cpu_s = self._used_s()

    def spent_s(self) -> float:
        """Return the processor time since the beginning; nothing where the process has been replaced meanwhile."""
        used_s = self._used_s()
        return 0.0 if used_s is None or self._cpu_s is None else used_s - self._cpu_s

    def _used_s(self) -> float | None:
        """Return seconds, counted in nanoseconds where the kernel does so; None where the process is gone."""
        try:
            return int(Path(f"/proc/{self._pid}/schedstat").read_text("ascii").split()[0]) / 1e9
        except OSError:
            with suppress(CpuTimeUnknown):
                return cpu_seconds(self._pid)
        return None

    async def log_bytes(self) -> int:
        """Return how much the whole server has written into its log."""
        return int((await _rows(LOG_POSITION))[0]["bytes"])

    async def touched(self) -> Touched:
        """Return what was read since the last look; the first one says nothing."""
        await _rows(FLUSH)
        before, self._before = self._before, {}
        blocks, scans, rows = 0, Counter[str](), Counter[str]()
        for row in await _rows(READ):
            name = str(row["name"])
            now = Read(int(row["blocks"]), int(row["scans"]), int(row["rows"]))
            then = before.get(name, now)
            self._before[name] = now
            blocks += now.blocks - then.blocks
            if now.scans > then.scans:
                scans[name] += now.scans - then.scans
                rows[name] += now.rows - then.rows
        return Touched(blocks, dict(rows), dict(scans))


async def _rows(statement: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await Tortoise.get_connection("default").execute_query_dict(statement)
    return found
