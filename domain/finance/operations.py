"""Writing the finance journal off the ledger's events, and writing it anew.

Events are read at least once and have their effect once: the lines and the cursor behind them are committed together,
and a line that is there is not written again. The journal is never changed. Where it was written wrongly, a new
generation of it is written from the first event on beside the old one, and becomes the current one when it has read as
much; so readers always have a whole journal, and what they had read before stays as evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import orjson
from tortoise import Tortoise

from domain.events import queries as events
from domain.events.ports import StoredEvent
from domain.events.streams import ledger_stream
from domain.finance.queries import FIRST_GENERATION, current_generation
from domain.finance.rules import JournalLine, lines_of
from models.database import dialect, transactional
from models.finance import FinanceCursor, FinanceGeneration

COLUMNS = (
    "generation, stream, position, line_number, posting_key, order_id, user_id, shard, account, debit_fen, "
    "credit_fen, business_day, occurred_at"
)
NOT_THERE = (
    "NOT EXISTS (SELECT 1 FROM finance_journal j WHERE j.generation = {0} AND j.stream = {1} "
    "AND j.position = line.position AND j.line_number = line.line_number)"
)
# Literals of this module are put together here, never input.
WRITE_POSTGRES = f"""
INSERT INTO finance_journal ({COLUMNS})
SELECT $1, $2::text, position, line_number, posting_key, order_id, user_id, shard, account, debit_fen, credit_fen,
    business_day, occurred_at
FROM jsonb_to_recordset($3::jsonb) AS line (
    position bigint, line_number smallint, posting_key text, order_id uuid, user_id uuid, shard smallint, account text,
    debit_fen bigint, credit_fen bigint, business_day date, occurred_at timestamptz
) WHERE {NOT_THERE.format("$1", "$2::text")}
"""  # noqa: S608
WRITE_SQLITE = f"""
INSERT INTO finance_journal ({COLUMNS})
SELECT ?1, ?2, position, line_number, posting_key, order_id, user_id, shard, account, debit_fen, credit_fen,
    business_day, occurred_at
FROM (SELECT {", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in COLUMNS.split(", ")[2:])}
    FROM json_each(?3)) AS line
WHERE {NOT_THERE.format("?1", "?2")}
"""  # noqa: S608


class EventsMissing(RuntimeError):
    """A stream has a gap behind the cursor, which the order of commits makes impossible."""


@transactional
async def project(*, generation: int, shard: int, limit: int, now: datetime) -> int:
    """Write the next events of a shard's stream into the journal, and return how many they were.

    Where another process is at it the answer is 0. Raises EventUnreadable or EventsMissing, and the cursor stays.
    """
    stream = ledger_stream(shard)
    cursor = await _lock_cursor(generation, shard, stream, now)
    if cursor is None:
        return 0
    batch = await events.after(stream, position=cursor.position, limit=limit)
    if not batch:
        return 0
    if [event.position for event in batch] != list(range(cursor.position + 1, cursor.position + 1 + len(batch))):
        raise EventsMissing(f"{stream} behind {cursor.position}")
    await _write(generation, stream, batch)
    await FinanceCursor.filter(id=cursor.id).update(position=batch[-1].position, updated_at=now)
    return len(batch)


async def _lock_cursor(generation: int, shard: int, stream: str, now: datetime) -> FinanceCursor | None:
    cursor = FinanceCursor(generation=generation, shard=shard, stream=stream, position=0, updated_at=now)
    rows = FinanceCursor.select_for_update(skip_locked=True).filter(generation=generation, stream=stream)
    if (found := await rows.first()) is None and not await FinanceCursor.exists(generation=generation, stream=stream):
        await FinanceCursor.bulk_create([cursor], ignore_conflicts=True)
        found = await rows.first()
    return found


async def _write(generation: int, stream: str, batch: Sequence[StoredEvent]) -> None:
    lines = [_json_ready(line) for event in batch for line in lines_of(event)]
    statement = WRITE_POSTGRES if dialect() == "postgres" else WRITE_SQLITE
    await Tortoise.get_connection("default").execute_query(
        statement, [generation, stream, orjson.dumps(lines).decode()]
    )


def _json_ready(line: JournalLine) -> dict[str, object]:
    # SQLite compares timestamps as text, so this is the text in which the ORM stores them.
    return {**asdict(line), "occurred_at": line.occurred_at.astimezone(UTC).isoformat(" ")}


async def open_journal(*, now: datetime) -> None:
    """Begin the first journal, where there is none."""
    first = FinanceGeneration(number=FIRST_GENERATION, started_at=now, current_since=now)
    await FinanceGeneration.bulk_create([first], ignore_conflicts=True)


@transactional
async def begin_generation(*, now: datetime) -> int:
    """Begin a new journal, or find the one that somebody has begun and not finished; return its number."""
    # The first row stands for all of them: who holds it sees what others have begun.
    await FinanceGeneration.select_for_update().get(number=FIRST_GENERATION)
    newest = await FinanceGeneration.all().order_by("-number").first()
    assert newest is not None
    if newest.current_since is None:
        return newest.number
    await FinanceGeneration.create(number=newest.number + 1, started_at=now)
    return newest.number + 1


@transactional
async def complete_generation(*, generation: int, now: datetime) -> bool:
    """Make a journal the current one, unless the current one has read more; return whether it is the current one.

    No cursor moves while both are compared, so nobody who reads the journal is sent back.
    """
    current = await current_generation()
    if current >= generation:
        return True
    cursors = await FinanceCursor.select_for_update().filter(generation__in=[current, generation]).order_by("id")
    read = {(cursor.generation, cursor.stream): cursor.position for cursor in cursors}
    if any(
        read.get((generation, stream), 0) < position for (number, stream), position in read.items() if number == current
    ):
        return False
    await FinanceGeneration.filter(number=generation).update(current_since=now)
    return True
