"""Proving that suspense holds exactly what differences tell of, and that their stories are whole."""

from __future__ import annotations

from domain.ledger.audit import Finding, prove
from models.database import dialect

# What belongs to a user is the claw-backs', and proven with the orders.
SUSPENDED = """
SELECT account AS subject, SUM(booked_fen) AS booked_fen, SUM(told_fen) AS told_fen FROM (
    SELECT a.code AS account, e.amount_fen AS booked_fen, 0 AS told_fen
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    JOIN ledger_account a ON a.id = e.account_id
    WHERE t.user_id IS NULL AND a.code LIKE 'suspense:%'
    UNION ALL
    SELECT 'suspense:' || CASE
        WHEN source LIKE 'issuer:%' THEN SUBSTR(source, 8) ELSE SUBSTR(source, 1, {colon} - 1) END, 0, -amount_fen
    FROM reconciliation_difference WHERE state IN ('OPEN', 'PROPOSED') AND suspended
) AS line GROUP BY account HAVING SUM(booked_fen) <> SUM(told_fen) ORDER BY account
"""
DECIDED_BY_TWO = """
SELECT id AS subject, state FROM reconciliation_difference
WHERE state = 'RESOLVED' AND (proposed_by IS NULL OR approved_by IS NULL OR proposed_by = approved_by) ORDER BY id
"""
STORY = """
SELECT d.id AS subject, d.version, COUNT(s.id) AS step_count
FROM reconciliation_difference d LEFT JOIN reconciliation_step s ON s.difference_id = d.id
GROUP BY d.id, d.version HAVING COUNT(s.id) <> d.version ORDER BY d.id
"""
COLON = {"postgres": "STRPOS(source, ':')", "sqlite": "INSTR(source, ':')"}

SUSPENSE_RULE = "suspense holds what differences tell of"
DECIDED_RULE = "a difference is resolved by two people"
STORY_RULE = "every step of a difference is in its story"
RULE_NAMES = (SUSPENSE_RULE, DECIDED_RULE, STORY_RULE)


async def findings() -> list[Finding]:
    """Return every account and difference that breaks a rule."""
    statements = (SUSPENDED.format(colon=COLON[dialect()]), DECIDED_BY_TWO, STORY)
    return [found for rule, text in zip(RULE_NAMES, statements, strict=True) for found in await prove(rule, text)]
