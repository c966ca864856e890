"""Proving the ledger from its own rows. Each proof is one statement, so it sees one moment even under traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tortoise import Tortoise

UNBALANCED = """
SELECT t.key AS subject, COALESCE(SUM(e.amount_fen), 0) AS total_fen, COUNT(e.id) AS line_count
FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
GROUP BY t.id, t.key HAVING COALESCE(SUM(e.amount_fen), 0) <> 0 OR COUNT(e.id) < 2
ORDER BY t.key
"""
NOT_REPLAYED = """
SELECT a.code AS subject, a.balance_fen, a.version, COALESCE(SUM(e.amount_fen), 0) AS replayed_fen,
    COUNT(e.id) AS entry_count
FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id
GROUP BY a.id, a.code, a.balance_fen, a.version
HAVING a.balance_fen <> COALESCE(SUM(e.amount_fen), 0) OR a.version <> COUNT(e.id)
ORDER BY a.code
"""
OVERDRAWN = """
SELECT code AS subject, balance_fen FROM ledger_account
WHERE balance_fen > 0 AND (code IN ('recharge_transit', 'refunds_payable') OR code LIKE 'customer_prepaid:%')
ORDER BY code
"""
PROOFS = {
    "every transaction balances": UNBALANCED,
    "a replay rebuilds every balance": NOT_REPLAYED,
    "no liability is overdrawn": OVERDRAWN,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks a rule: which rule, which transaction, account or order, and the figures in fen."""

    rule: str
    subject: str
    figures: dict[str, Any]


async def findings() -> list[Finding]:
    """Return every row that breaks a rule of the ledger itself; none means that it is proven."""
    return [finding for rule, statement in PROOFS.items() for finding in await prove(rule, statement)]


async def prove(rule: str, statement: str) -> Sequence[Finding]:
    """Run a statement that selects what must not exist, each row with its `subject`."""
    rows = await Tortoise.get_connection("default").execute_query_dict(statement)
    return [
        Finding(rule, str(row["subject"]), {name: value for name, value in row.items() if name != "subject"})
        for row in rows
    ]
