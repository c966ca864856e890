"""The statements behind the daily report. Parts of the ledger are named by shard and positions, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from tortoise import Tortoise

from domain.finance.figures import USER_PREFIXES, AccountSum
from models.database import dialect

# Postings that belong to nobody have keys of many forms, and none of them is told apart by the report.
USERS = " ".join(f"WHEN a.code LIKE '{prefix}%' THEN '{prefix.rstrip(':')}'" for prefix in USER_PREFIXES)
REST_OF_KEY = "substr(t.key, 38)"
EVENT = {
    "postgres": f"split_part({REST_OF_KEY}, ':', 1)",
    "sqlite": f"substr({REST_OF_KEY}, 1, instr({REST_OF_KEY} || ':', ':') - 1)",
}
RANGES = {
    "postgres": "jsonb_to_recordset($1::jsonb) AS part (shard smallint, low bigint, high bigint)",
    "sqlite": "(SELECT json_extract(value, '$.shard') AS shard, json_extract(value, '$.low') AS low, "
    "json_extract(value, '$.high') AS high FROM json_each(?1)) AS part",
}
OF_PART = "JOIN ledger_transaction t ON t.shard = part.shard AND t.position > part.low AND t.position <= part.high"
# PostgreSQL reads the months of the entries only that lie between these.
TIMES = "SELECT MIN(t.occurred_at) AS earliest, MAX(t.occurred_at) AS latest FROM {ranges} {of_part}"
SUMS = """
SELECT CASE {users} ELSE a.code END AS account, CASE WHEN t.user_id IS NULL THEN '' ELSE {event} END AS event,
    SUM(CASE WHEN e.amount_fen > 0 THEN e.amount_fen ELSE 0 END) AS debit_fen,
    SUM(CASE WHEN e.amount_fen < 0 THEN -e.amount_fen ELSE 0 END) AS credit_fen
FROM {ranges} {of_part}
JOIN ledger_entry e ON e.transaction_id = t.id AND e.occurred_at = t.occurred_at
    AND e.occurred_at >= {second} AND e.occurred_at <= {third}
JOIN ledger_account a ON a.id = e.account_id
GROUP BY 1, 2 ORDER BY 1, 2
"""
FIRST_SINCE = (
    "SELECT shard, MIN(position) AS position FROM ledger_transaction WHERE occurred_at >= {first} GROUP BY shard"
)


async def sums_between(low: Mapping[int, int], high: Mapping[int, int]) -> list[AccountSum]:
    """Return what was booked behind the positions `low` and up to `high`, both by shard, account by account."""
    parts = [{"shard": shard, "low": low.get(shard, 0), "high": end} for shard, end in sorted(high.items())]
    parts = [part for part in parts if part["high"] > part["low"]]
    if not parts:
        return []
    kind, ranges = dialect(), orjson.dumps(parts).decode()
    (times,) = await _rows(TIMES.format(ranges=RANGES[kind], of_part=OF_PART), ranges)
    if times["earliest"] is None:
        return []
    statement = SUMS.format(
        users=USERS,
        event=EVENT[kind],
        ranges=RANGES[kind],
        of_part=OF_PART,
        second="$2" if kind == "postgres" else "?2",
        third="$3" if kind == "postgres" else "?3",
    )
    found: dict[str, AccountSum] = {}
    for row in await _rows(statement, ranges, times["earliest"], times["latest"]):
        one = found.setdefault(row["account"], AccountSum(row["account"]))
        one.add(row["event"], int(row["debit_fen"]), int(row["credit_fen"]))
    return list(found.values())


async def first_since(moment: datetime) -> dict[int, int]:
    """Return by shard the first position that was booked at the moment or later."""
    statement = FIRST_SINCE.format(first="$1" if dialect() == "postgres" else "?1")
    rows = await _rows(statement, moment.astimezone(UTC))
    return {int(row["shard"]): int(row["position"]) for row in rows}


async def _rows(statement: str, *values: Any) -> list[dict[str, Any]]:
    return await Tortoise.get_connection("default").execute_query_dict(statement, list(values))
