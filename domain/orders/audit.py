"""Proving that every order's money is where its state says."""

from __future__ import annotations

from domain.ledger.audit import Finding, prove

# Per order: what the ledger holds in transit and owes back, what was paid, and what was paid back.
MONEY = """
WITH booked AS (
    SELECT t.order_id,
        SUM(CASE WHEN a.code = 'recharge_transit' THEN e.amount_fen ELSE 0 END) AS transit_fen,
        SUM(CASE WHEN a.code = 'refunds_payable' THEN e.amount_fen ELSE 0 END) AS payable_fen
    FROM ledger_transaction t
    JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
    GROUP BY t.order_id
), paid AS (
    SELECT order_id, SUM(amount_fen) AS paid_fen FROM payment_attempt WHERE state = 'PAID' GROUP BY order_id
), refunded AS (
    SELECT order_id, SUM(amount_fen) AS refunded_fen FROM refund WHERE state = 'SUCCESS' GROUP BY order_id
), money AS (
    SELECT o.id AS subject, o.state, o.amount_fen,
        COALESCE(booked.transit_fen, 0) AS transit_fen, COALESCE(booked.payable_fen, 0) AS payable_fen,
        COALESCE(paid.paid_fen, 0) AS paid_fen, COALESCE(refunded.refunded_fen, 0) AS refunded_fen
    FROM recharge_order o
    LEFT JOIN booked ON booked.order_id = o.id
    LEFT JOIN paid ON paid.order_id = o.id
    LEFT JOIN refunded ON refunded.order_id = o.id
)
SELECT subject, state, amount_fen, transit_fen, payable_fen, paid_fen, refunded_fen FROM money WHERE
"""
PROOFS = {
    "what is in transit belongs to an order that is recharging": MONEY
    + "transit_fen <> (CASE WHEN state = 'RECHARGING' THEN -amount_fen ELSE 0 END)",
    "what is owed back is what a failed order was paid and not yet refunded": MONEY
    + "payable_fen <> (CASE WHEN state = 'FAILED' THEN refunded_fen - paid_fen ELSE 0 END)",
    "no order is refunded more than it was paid": MONEY + "refunded_fen > paid_fen",
    "an order that recharges or has succeeded was paid exactly": MONEY
    + "state IN ('RECHARGING', 'SUCCEEDED') AND paid_fen <> amount_fen",
    "every step of an order is in its story": """
SELECT o.id AS subject, o.version, COUNT(s.id) AS step_count
FROM recharge_order o LEFT JOIN order_transition s ON s.order_id = o.id
GROUP BY o.id, o.version HAVING COUNT(s.id) <> o.version ORDER BY o.id
""",
}


async def findings() -> list[Finding]:
    """Return every order whose money, state and story contradict each other."""
    return [finding for rule, statement in PROOFS.items() for finding in await prove(rule, statement)]
