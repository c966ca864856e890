"""Proving the ledger from its own rows. Each proof is one statement, so it sees one moment even under traffic.

The database does the work and hands over a few of the rows that break a rule, so memory does not grow with the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tortoise import Tortoise

from domain.events.streams import ledger_stream
from domain.ledger.chart import CHART, AccountKind, Side
from domain.ledger.shards import LEDGER_SHARDS
from models.database import dialect

FINDINGS_PER_RULE_MAX = 100

BALANCED = """
SELECT t.key AS subject, t.line_count, COUNT(e.id) AS entry_count, COALESCE(SUM(e.amount_fen), 0) AS total_fen
FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
GROUP BY t.id
HAVING COALESCE(SUM(e.amount_fen), 0) <> 0 OR COUNT(e.id) < 2 OR COUNT(e.id) <> t.line_count
"""
REPLAYED = """
SELECT a.code AS subject, a.shard, a.balance_fen, a.version, COALESCE(SUM(e.amount_fen), 0) AS replayed_fen,
    COUNT(e.id) AS entry_count
FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id
GROUP BY a.id
HAVING a.balance_fen <> COALESCE(SUM(e.amount_fen), 0) OR a.version <> COUNT(e.id)
"""
CONTIGUOUS = """
SELECT a.code AS subject, a.shard, a.version, COUNT(DISTINCT e.account_version) AS version_count,
    MIN(e.account_version) AS first_version, MAX(e.account_version) AS last_version
FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id
GROUP BY a.id
HAVING COUNT(DISTINCT e.account_version) <> a.version OR MIN(e.account_version) <> 1
    OR MAX(e.account_version) <> a.version
"""
OVERDRAWN = "SELECT code AS subject, shard, balance_fen FROM ledger_account WHERE {overdrawn}"
OUTSIDE_CHART = "SELECT code AS subject, shard, balance_fen FROM ledger_account WHERE NOT ({in_chart})"
MISPLACED = """
SELECT t.key AS subject, 'transaction' AS misplaced, t.shard, t.user_id, NULL AS account FROM ledger_transaction t
WHERE t.shard <> {shard_of_user}
UNION ALL
SELECT a.code, 'account', a.shard, NULL, a.code FROM ledger_account a
WHERE a.code LIKE 'customer_%' AND a.shard <> {shard_of_code}
UNION ALL
SELECT COALESCE(t.key, CAST(e.transaction_id AS TEXT)), 'entry', e.shard, e.user_id, a.code FROM ledger_entry e
LEFT JOIN ledger_transaction t ON t.id = e.transaction_id LEFT JOIN ledger_account a ON a.id = e.account_id
WHERE t.id IS NULL OR a.id IS NULL OR e.shard <> t.shard OR e.shard <> a.shard OR e.occurred_at <> t.occurred_at
    OR COALESCE(CAST(e.user_id AS TEXT), '') <> COALESCE(CAST(t.user_id AS TEXT), '')
    OR (a.code LIKE 'customer_%' AND a.code NOT LIKE '%:' || CAST(e.user_id AS TEXT))
"""
# Both sides as text, line by line; a line that is on one side only, or twice on one, is left over.
TOLD = """
SELECT posting_key AS subject, shard, position, line_number, account, amount_fen, SUM(in_ledger) AS in_ledger,
    SUM(in_event) AS in_event
FROM (
    SELECT t.shard, t.position, t.key AS posting_key, CAST(t.user_id AS TEXT) AS user_id,
        CAST(t.order_id AS TEXT) AS order_id, {day_of_transaction} AS business_day, t.occurred_at, e.line_number,
        a.code AS account, CAST(e.amount_fen AS TEXT) AS amount_fen, 1 AS in_ledger, 0 AS in_event
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    JOIN ledger_account a ON a.id = e.account_id
    UNION ALL
    {lines_of_events}
) AS line
GROUP BY shard, position, posting_key, user_id, order_id, business_day, occurred_at, line_number, account, amount_fen
HAVING SUM(in_ledger) <> 1 OR SUM(in_event) <> 1
"""
STREAMS = ", ".join(f"'{ledger_stream(shard)}'" for shard in range(LEDGER_SHARDS))
GAPLESS = f"""
SELECT s.name AS subject, s.position, COUNT(v.id) AS event_count, MAX(v.position) AS last_position
FROM event_stream s LEFT JOIN event v ON v.stream = s.name
WHERE s.name IN ({STREAMS})
GROUP BY s.name, s.position HAVING COUNT(v.id) <> s.position OR MAX(v.position) <> s.position
"""  # noqa: S608 -- names of streams.
UNFINISHED_SQLITE = "SELECT transaction_id AS subject FROM ledger_imbalance"

BALANCED_RULE = "every transaction balances and has all its lines"
REPLAYED_RULE = "a replay rebuilds every balance and version"
CONTIGUOUS_RULE = "the versions of an account have no gap and no double"
OVERDRAWN_RULE = "no account is overdrawn that may not be"
CHART_RULE = "every account is in the chart"
SHARD_RULE = "every row lies in the shard of its user"
TOLD_RULE = "the events tell what the ledger holds, line by line"
GAPLESS_RULE = "the streams of the ledger have no gap"
FINISHED_RULE = "no transaction was left unfinished"

# Where the dialects differ: a user's shard, a day in Shanghai, and the lines inside an event.
WORDS = {
    "postgres": {
        "shard_of_user": "COALESCE(get_byte(uuid_send(t.user_id), 15) & 15, 0)",
        "shard_of_code": "strpos('0123456789abcdef', right(a.code, 1)) - 1",
        "day_of_transaction": "to_char(t.occurred_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD')",
        "lines_of_events": """
            SELECT CAST(SUBSTR(v.stream, 8) AS INTEGER), v.position, v.payload ->> 'key', v.payload ->> 'user_id',
                v.payload ->> 'order_id', v.payload ->> 'business_day', v.occurred_at, l.number, l.line ->> 'account',
                l.line ->> 'amount_fen', 0, 1
            FROM event v CROSS JOIN LATERAL jsonb_array_elements(
                CASE jsonb_typeof(v.payload -> 'lines') WHEN 'array' THEN v.payload -> 'lines' ELSE '[null]' END
            ) WITH ORDINALITY AS l (line, number)""",
    },
    "sqlite": {
        "shard_of_user": "COALESCE(instr('0123456789abcdef', substr(t.user_id, 36)) - 1, 0)",
        "shard_of_code": "instr('0123456789abcdef', substr(a.code, -1)) - 1",
        "day_of_transaction": "date(t.occurred_at, '+8 hours')",
        "lines_of_events": """
            SELECT CAST(SUBSTR(v.stream, 8) AS INTEGER), v.position, json_extract(v.payload, '$.key'),
                json_extract(v.payload, '$.user_id'), json_extract(v.payload, '$.order_id'),
                json_extract(v.payload, '$.business_day'), v.occurred_at, l.key + 1, json_extract(l.value, '$.account'),
                CAST(json_extract(l.value, '$.amount_fen') AS TEXT), 0, 1
            FROM event v, json_each(v.payload, '$.lines') l""",
    },
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks a rule: which rule, which transaction, account or order, and the figures in fen."""

    rule: str
    subject: str
    figures: dict[str, Any]


def proofs() -> Mapping[str, str]:
    """Return the rules of the ledger, each with the statement that selects what breaks it, for the open database."""
    words = dict(WORDS[dialect()])
    words["lines_of_events"] += f" WHERE v.stream IN ({STREAMS})"
    found = {
        BALANCED_RULE: BALANCED,
        REPLAYED_RULE: REPLAYED,
        CONTIGUOUS_RULE: CONTIGUOUS,
        OVERDRAWN_RULE: OVERDRAWN.format(
            overdrawn=" OR ".join(_overdrawn(kind) for kind in CHART if not kind.overdraft)
        ),
        CHART_RULE: OUTSIDE_CHART.format(in_chart=" OR ".join(_matches(kind) for kind in CHART)),
        SHARD_RULE: MISPLACED.format(**words),
        TOLD_RULE: TOLD.format(**words),
        GAPLESS_RULE: GAPLESS,
    }
    if dialect() == "sqlite":
        found[FINISHED_RULE] = UNFINISHED_SQLITE
    return found


def _overdrawn(kind: AccountKind) -> str:
    return f"({_matches(kind)} AND balance_fen {'>' if kind.normal_side is Side.CREDIT else '<'} 0)"


def _matches(kind: AccountKind) -> str:
    """Say in SQL whether a code is of the kind, with what every engine has."""
    if not kind.part_count:
        return f"code = '{kind.pattern}'"
    begins = f"SUBSTR(code, 1, {len(kind.prefix)}) = '{kind.prefix}'"
    if kind.of_user:
        return f"({begins} AND LENGTH(code) = {len(kind.prefix) + 36})"
    colons = kind.pattern.count(":")
    return (
        f"({begins} AND LENGTH(code) - LENGTH(REPLACE(code, ':', '')) = {colons} "
        "AND code NOT LIKE '%::%' AND code NOT LIKE '%:')"
    )


async def findings() -> list[Finding]:
    """Return rows that break a rule of the ledger itself; none means that it is proven."""
    return [finding for rule, statement in proofs().items() for finding in await prove(rule, statement)]


async def prove(rule: str, statement: str) -> Sequence[Finding]:
    """Run a statement that selects what must not exist, each row with its `subject`.

    Returns FINDINGS_PER_RULE_MAX rows at most, in no order.
    """
    rows = await Tortoise.get_connection("default").execute_query_dict(
        f"SELECT * FROM ({statement}) AS broken LIMIT {FINDINGS_PER_RULE_MAX}"  # noqa: S608 -- statements of our own.
    )
    return [
        Finding(rule, str(row["subject"]), {name: _figure(row[name]) for name in row if name != "subject"})
        for row in rows
    ]


def _figure(value: Any) -> Any:
    # PostgreSQL sums integers to a numeric, which would be told as 3E+4.
    return int(value) if isinstance(value, Decimal) else value
