"""The statements that hand out work, in the words of each database.

PostgreSQL locks the rows that it picks and skips those that another worker is picking (`FOR UPDATE SKIP LOCKED`), so no
worker waits for another. SQLite has one writer at a time, and the transaction is it (`BEGIN IMMEDIATE`).

**Kinds take turns.** In the order of due times alone, 10,000 queries that each wait five seconds for a third party that
is down would keep a payment of another kind waiting for an hour. So the kinds of open work are found first, with one
look into the index for each; then the oldest work of each kind; and of those the kind that runs least comes first. A
job thus waits until one place is free and its kind's turn comes, however long the queues of the other kinds are.
Within a kind the oldest comes first.

**Suspects run alone.** Work that has been claimed twice without an outcome may have killed its worker, and all that ran
beside it has the same mark. It is left out here and claimed one by one, so that a third death names its cause.

Values: $1 lease owner, $2 lease end, $3 now, and for many $4 how many, $5 what runs already by kind, as JSON.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tortoise import Tortoise

from models.database import dialect

# Beyond what a worker asks for, so that it still finds work where others are picking the oldest at this moment.
LOOK_AHEAD = 64

OPEN = "job.done_at IS NULL AND job.parked_at IS NULL"
FREE = f"{OPEN} AND job.due_at <= $3 AND (job.lease_until IS NULL OR job.lease_until < $3)"

KINDS = f"""
kinds (kind) AS (
    SELECT * FROM (SELECT job.kind FROM job WHERE {OPEN} ORDER BY job.kind LIMIT 1) AS first
    UNION ALL
    SELECT (SELECT job.kind FROM job WHERE {OPEN} AND job.kind > kinds.kind ORDER BY job.kind LIMIT 1)
    FROM kinds WHERE kinds.kind IS NOT NULL
)"""  # noqa: S608 -- put together from literals of this file.

CLAIM_POSTGRES = f"""
WITH RECURSIVE {KINDS},
candidates AS (
    SELECT oldest.id, oldest.due_at, oldest.place + COALESCE(CAST(busy.value AS integer), 0) AS turn
    FROM kinds
    LEFT JOIN jsonb_each_text($5::jsonb) AS busy ON busy.key = kinds.kind
    CROSS JOIN LATERAL (
        SELECT job.id, job.due_at, row_number() OVER (ORDER BY job.due_at) AS place
        FROM job WHERE job.kind = kinds.kind AND {FREE} AND job.claims < 2
        ORDER BY job.due_at LIMIT $4::bigint + {LOOK_AHEAD}
    ) AS oldest
    ORDER BY turn, oldest.due_at LIMIT $4::bigint + {LOOK_AHEAD}
),
picked AS MATERIALIZED (
    SELECT job.id FROM candidates JOIN job ON job.id = candidates.id
    WHERE {FREE} AND job.claims < 2
    ORDER BY candidates.turn, candidates.due_at LIMIT $4
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE job SET lease_owner = $1, lease_until = $2, claims = job.claims + 1
FROM picked WHERE job.id = picked.id RETURNING job.*
"""  # noqa: S608 -- put together from literals of this file.

CLAIM_SQLITE = f"""
WITH RECURSIVE {KINDS},
candidates AS (
    SELECT job.id, job.due_at, job.kind, row_number() OVER (PARTITION BY job.kind ORDER BY job.due_at) AS place
    FROM kinds CROSS JOIN job ON job.id IN (
        SELECT job.id FROM job WHERE job.kind = kinds.kind AND {FREE} AND job.claims < 2
        ORDER BY job.due_at LIMIT $4
    )
)
UPDATE job SET lease_owner = $1, lease_until = $2, claims = claims + 1
WHERE id IN (
    SELECT candidates.id FROM candidates LEFT JOIN json_each($5) AS busy ON busy.key = candidates.kind
    ORDER BY candidates.place + COALESCE(busy.value, 0), candidates.due_at LIMIT $4
)
RETURNING *
"""  # noqa: S608 -- the same.

# The claim of a suspect is counted when its run begins, since a slow database is not a death.
SUSPECT_POSTGRES = f"""
WITH picked AS MATERIALIZED (
    SELECT job.id FROM job WHERE {FREE} AND job.claims >= 2 ORDER BY job.due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE job SET lease_owner = $1, lease_until = $2 FROM picked WHERE job.id = picked.id RETURNING job.*
"""  # noqa: S608 -- the same.

SUSPECT_SQLITE = f"""
UPDATE job SET lease_owner = $1, lease_until = $2
WHERE id IN (SELECT job.id FROM job WHERE {FREE} AND job.claims >= 2 ORDER BY job.due_at LIMIT 1)
RETURNING *
"""  # noqa: S608 -- the same.

SUSPECT_WAITS = f"SELECT 1 FROM job WHERE {FREE.replace('$3', '$1')} AND job.claims >= 2 LIMIT 1"  # noqa: S608 -- the same.

# A lease only grows: a renewal that was stuck on its way must not shorten what a later one has given.
RENEW_POSTGRES = """
UPDATE job SET lease_until = GREATEST(lease_until, $1)
WHERE id = ANY($2::uuid[]) AND lease_owner = ANY($3::text[]) RETURNING id
"""
RENEW_SQLITE = """
UPDATE job SET lease_until = MAX(lease_until, $1)
WHERE id IN (SELECT value FROM json_each($2)) AND lease_owner IN (SELECT value FROM json_each($3)) RETURNING id
"""

# A lock that lets the lease be renewed, and that keeps a claim away until the transaction ends.
HOLD_POSTGRES = "SELECT 1 AS held FROM job WHERE id = $1 AND lease_owner = $2 FOR KEY SHARE"
HOLD_SQLITE = "SELECT 1 AS held FROM job WHERE id = $1 AND lease_owner = $2"

# What a person has acted on is history, and stays.
PURGEABLE = """
SELECT job.id FROM job
WHERE job.done_at < $1 AND NOT EXISTS (SELECT 1 FROM job_intervention acted WHERE acted.job_id = job.id)
ORDER BY job.done_at LIMIT $2"""
PURGE_POSTGRES = f"""
WITH old AS MATERIALIZED ({PURGEABLE} FOR UPDATE OF job SKIP LOCKED)
DELETE FROM job USING old WHERE job.id = old.id RETURNING job.id
"""  # noqa: S608 -- the same.
PURGE_SQLITE = f"DELETE FROM job WHERE id IN ({PURGEABLE}) RETURNING id"  # noqa: S608 -- the same.


async def rows(postgres: str, sqlite: str, *values: Any) -> list[dict[str, Any]]:
    """Run the statement of the open database. Its values are numbered alike in both."""
    connection = Tortoise.get_connection("default")
    given = [value.astimezone(UTC) if isinstance(value, datetime) else value for value in values]
    if dialect() == "postgres":
        return await connection.execute_query_dict(postgres, given)
    return await connection.execute_query_dict(sqlite.replace("$", "?"), [_for_sqlite(value) for value in given])


def _for_sqlite(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps([str(item) for item in value])
    return str(value) if isinstance(value, UUID) else value
