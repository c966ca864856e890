"""Statements that the ORM has no words for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from tortoise import Tortoise

from models.database import dialect

NOTICES = {
    "postgres": """
SELECT id, source, notice_id, facts, received_at, applied_at FROM third_party_notice
WHERE facts -> 'facts' ->> 'out_trade_no' = ANY($1::text[]) OR facts -> 'facts' ->> 'attempt_id' = ANY($2::text[])
ORDER BY received_at, id LIMIT $3
""",
    "sqlite": """
SELECT id, source, notice_id, facts, received_at, applied_at FROM third_party_notice
WHERE json_extract(facts, '$.facts.out_trade_no') IN (SELECT value FROM json_each(?1))
    OR json_extract(facts, '$.facts.attempt_id') IN (SELECT value FROM json_each(?2))
ORDER BY received_at, id LIMIT ?3
""",
}


async def notices_about(*, trades: Sequence[str], attempts: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` callbacks about payments, by `out_trade_no`, and recharges, by the attempt; oldest first."""
    kind = dialect()
    if kind == "postgres":
        values: list[Any] = [list(trades), list(attempts), limit]
    else:
        values = [orjson.dumps(list(trades)).decode(), orjson.dumps(list(attempts)).decode(), limit]
    return await Tortoise.get_connection("default").execute_query_dict(NOTICES[kind], values)
