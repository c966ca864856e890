"""Proving that the finance journal is the ledger. What it has not read yet is its lag, and breaks no rule."""

from __future__ import annotations

from collections.abc import Mapping

from domain.ledger.audit import Finding, prove
from models.database import dialect

CURRENT = "(SELECT COALESCE(MAX(number), 1) FROM finance_generation WHERE current_since IS NOT NULL)"
# Behind the cursor each line is on both sides once; a line of the journal ahead of its cursor is on one side only.
JOURNALLED = """
SELECT posting_key AS subject, shard, position, line_number, account, amount_fen, SUM(in_ledger) AS in_ledger,
    SUM(in_journal) AS in_journal
FROM (
    SELECT t.shard, t.shard AS stream_shard, t.position, t.key AS posting_key, t.user_id, t.order_id,
        {day_of_transaction} AS business_day, t.occurred_at, e.line_number, a.code AS account, e.amount_fen,
        1 AS in_ledger, 0 AS in_journal
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    JOIN ledger_account a ON a.id = e.account_id
    JOIN finance_cursor c ON c.generation = {current} AND c.shard = t.shard AND t.position <= c.position
    UNION ALL
    SELECT j.shard, CAST(SUBSTR(j.stream, 8) AS INTEGER), j.position, j.posting_key, j.user_id, j.order_id,
        j.business_day, j.occurred_at, j.line_number, j.account, j.debit_fen - j.credit_fen, 0, 1
    FROM finance_journal j WHERE j.generation = {current}
) AS line
GROUP BY shard, stream_shard, position, posting_key, user_id, order_id, business_day, occurred_at, line_number, account,
    amount_fen
HAVING SUM(in_ledger) <> 1 OR SUM(in_journal) <> 1
"""
DAYS = f"""
SELECT CAST(business_day AS TEXT) AS subject, SUM(debit_fen) AS debit_fen, SUM(credit_fen) AS credit_fen
FROM finance_journal WHERE generation = {CURRENT}
GROUP BY business_day HAVING SUM(debit_fen) <> SUM(credit_fen)
"""  # noqa: S608 -- literals of this module.
CURSORS = """
SELECT c.stream AS subject, c.generation, c.position, COALESCE(s.position, 0) AS head
FROM finance_cursor c LEFT JOIN event_stream s ON s.name = c.stream WHERE c.position > COALESCE(s.position, 0)
"""
DAY_OF_TRANSACTION = {
    "postgres": "(t.occurred_at AT TIME ZONE 'Asia/Shanghai')::date",
    "sqlite": "date(t.occurred_at, '+8 hours')",
}

JOURNAL_RULE = "the journal is the ledger, line by line, as far as it has read"
DAYS_RULE = "the journal balances on every business day"
CURSORS_RULE = "no cursor is ahead of its stream"


def proofs() -> Mapping[str, str]:
    """Return the rules of the journal, each with the statement that selects what breaks it, for the open database."""
    return {
        JOURNAL_RULE: JOURNALLED.format(current=CURRENT, day_of_transaction=DAY_OF_TRANSACTION[dialect()]),
        DAYS_RULE: DAYS,
        CURSORS_RULE: CURSORS,
    }


async def findings() -> list[Finding]:
    """Return rows of the journal and the ledger that contradict each other."""
    return [finding for rule, statement in proofs().items() for finding in await prove(rule, statement)]
