"""Moments that are only shown, as text that the database writes.

Making a datetime of a moment and a text of the datetime takes longer than everything else that is done for a row.
"""

from __future__ import annotations

from datetime import datetime

from kernel.clock import written


def shown(column: str) -> str:
    """Return what PostgreSQL selects to have a moment as `kernel.clock.written` writes it, milliseconds cut off."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def read_kept(text: str) -> str:
    """Return the same of the text that SQLite keeps."""
    return written(datetime.fromisoformat(text))


def read_kept_or_none(text: str | None) -> str | None:
    return read_kept(text) if text is not None else None
