"""The statements that write postings. What they write travels as JSON, so their text and their plans never change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from tortoise import Tortoise

from domain.ledger.postings import Posting
from kernel.ids import new_id

# A balance is moved before one is made: PostgreSQL asks the CHECKs of an upsert's row even where it only updates.
# It expects a hundred rows of JSON whatever is in it, and for so many it would rather read every account than look up
# the two or three that move. A limit that is their number makes it expect few, and takes nothing away.
POST_POSTGRES = """
WITH opened AS (
    INSERT INTO ledger_transaction (id, key, order_id, user_id, shard, position, line_count, occurred_at)
    SELECT t.id, t.key, t.order_id, t.user_id, $1, $2::bigint + t.number, t.line_count, $3
    FROM jsonb_to_recordset($4::jsonb)
    AS t (number bigint, id uuid, key text, order_id uuid, user_id uuid, line_count smallint)
), move AS (
    SELECT * FROM jsonb_to_recordset($5::jsonb) AS m (id uuid, code text, amount_fen bigint, line_count bigint)
    LIMIT jsonb_array_length($5::jsonb)
), moved AS (
    UPDATE ledger_account a SET balance_fen = a.balance_fen + move.amount_fen, version = a.version + move.line_count
    FROM move WHERE a.code = move.code AND a.shard = $1
    RETURNING a.id, a.code, a.version
), added AS (
    INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at)
    SELECT move.id, move.code, $1, move.amount_fen, move.line_count, $3
    FROM move WHERE NOT EXISTS (SELECT 1 FROM moved WHERE moved.code = move.code)
    RETURNING id, code, version
), account AS (
    SELECT id, code, version FROM moved UNION ALL SELECT id, code, version FROM added
)
INSERT INTO ledger_entry (id, transaction_id, account_id, line_number, line_count, amount_fen, account_version,
    user_id, shard, occurred_at)
SELECT e.id, e.transaction_id, account.id, e.line_number, e.line_count, e.amount_fen, account.version - e.lines_after,
    e.user_id, $1, $3
FROM jsonb_to_recordset($6::jsonb)
AS e (id uuid, transaction_id uuid, code text, line_number smallint, line_count smallint, amount_fen bigint,
    lines_after bigint, user_id uuid)
JOIN account ON account.code = e.code
"""
OPEN_SQLITE = """
INSERT INTO ledger_transaction (id, key, order_id, user_id, shard, position, line_count, occurred_at)
SELECT json_extract(value, '$.id'), json_extract(value, '$.key'), json_extract(value, '$.order_id'),
    json_extract(value, '$.user_id'), ?1,
    COALESCE((SELECT position FROM event_stream WHERE name = ?2), 0) + 1 + json_extract(value, '$.number'),
    json_extract(value, '$.line_count'), ?3
FROM json_each(?4)
"""
MOVE_SQLITE = """
INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at)
SELECT json_extract(value, '$.id'), json_extract(value, '$.code'), ?1, json_extract(value, '$.amount_fen'),
    json_extract(value, '$.line_count'), ?2
FROM json_each(?3) WHERE true
ON CONFLICT (code, shard) DO UPDATE SET
    balance_fen = balance_fen + excluded.balance_fen, version = version + excluded.version
"""
ENTER_SQLITE = """
INSERT INTO ledger_entry (id, transaction_id, account_id, line_number, line_count, amount_fen, account_version,
    user_id, shard, occurred_at)
SELECT json_extract(value, '$.id'), json_extract(value, '$.transaction_id'), a.id,
    json_extract(value, '$.line_number'), json_extract(value, '$.line_count'), json_extract(value, '$.amount_fen'),
    a.version - json_extract(value, '$.lines_after'), json_extract(value, '$.user_id'), ?1, ?2
FROM json_each(?3) JOIN ledger_account a ON a.code = json_extract(value, '$.code') AND a.shard = ?1
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Postings of one shard that are written together, as the rows of three tables in JSON.

    An account that several lines move is moved once by their sum. `lines_after` counts the later lines of the same
    account, so that each entry gets a version of its own.
    """

    shard: int
    postings: Sequence[Posting]
    transactions: str
    moves: str
    entries: str

    @classmethod
    def of(cls, shard: int, postings: Sequence[Posting]) -> Batch:
        amounts: Counter[str] = Counter()
        left: Counter[str] = Counter()
        for posting in postings:
            for line in posting.lines:
                amounts[line.account] += line.amount_fen
                left[line.account] += 1
        # Balances are locked in one order, so that nobody who reads them for an update waits in a circle.
        moves = [
            {"id": new_id(), "code": code, "amount_fen": amounts[code], "line_count": left[code]}
            for code in sorted(amounts)
        ]
        transactions, entries = [], []
        for number, posting in enumerate(postings):
            transaction = {
                "number": number,
                "id": new_id(),
                "key": posting.key,
                "order_id": posting.order_id,
                "user_id": posting.user_id,
                "line_count": len(posting.lines),
            }
            transactions.append(transaction)
            for line_number, line in enumerate(posting.lines, start=1):
                left[line.account] -= 1
                entries.append(
                    {
                        "id": new_id(),
                        "transaction_id": transaction["id"],
                        "code": line.account,
                        "line_number": line_number,
                        "line_count": len(posting.lines),
                        "amount_fen": line.amount_fen,
                        "lines_after": left[line.account],
                        "user_id": posting.user_id,
                    }
                )
        return cls(shard, postings, _json(transactions), _json(moves), _json(entries))


async def write_postgres(batch: Batch, *, position: int, now: datetime) -> None:
    """Write transactions, balances and entries in one statement, under the mutex that gave the first position."""
    await Tortoise.get_connection("default").execute_query_dict(
        POST_POSTGRES, [batch.shard, position, now, batch.transactions, batch.moves, batch.entries]
    )


async def open_sqlite(batch: Batch, *, stream: str, now: datetime) -> None:
    """Write the transactions at the stream's next positions. A key that is there fails before anything is changed."""
    values = [batch.shard, stream, now.astimezone(UTC), batch.transactions]
    await Tortoise.get_connection("default").execute_query(OPEN_SQLITE, values)


async def enter_sqlite(batch: Batch, *, now: datetime) -> None:
    """Move the balances and write the entries."""
    connection, moment = Tortoise.get_connection("default"), now.astimezone(UTC)
    await connection.execute_query(MOVE_SQLITE, [batch.shard, moment, batch.moves])
    await connection.execute_query(ENTER_SQLITE, [batch.shard, moment, batch.entries])


def _json(rows: Sequence[dict[str, object]]) -> str:
    # The driver's own kind of UUID, which is what rows have, is known to JSON by its text only.
    return orjson.dumps(rows, default=str).decode()
