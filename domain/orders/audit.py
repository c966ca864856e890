"""Proving that every order's money is where its state says, that its story is true, and that nothing is left undone."""

from __future__ import annotations

from domain.ledger.audit import Finding, prove
from domain.orders.lifecycle import REFUND_RULE_NUMBER, RULES

# Per order: what the ledger holds for it, what was paid, and what was paid back.
MONEY = """
WITH booked AS (
    SELECT t.order_id,
        SUM(CASE WHEN a.code = 'recharge_transit' THEN e.amount_fen ELSE 0 END) AS transit_fen,
        SUM(CASE WHEN a.code = 'refunds_payable' THEN e.amount_fen ELSE 0 END) AS payable_fen,
        SUM(CASE WHEN a.code LIKE 'customer_held:%' THEN e.amount_fen ELSE 0 END) AS held_fen
    FROM ledger_transaction t
    JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
    GROUP BY t.order_id
), paid AS (
    SELECT order_id,
        SUM(CASE WHEN state = 'PAID' THEN amount_fen ELSE 0 END) AS paid_fen,
        SUM(CASE WHEN state = 'OPEN' AND channel = 'wallet' THEN amount_fen ELSE 0 END) AS wallet_fen
    FROM payment_attempt GROUP BY order_id
), refunded AS (
    SELECT order_id, SUM(amount_fen) AS refunded_fen FROM refund WHERE state = 'SUCCESS' GROUP BY order_id
), money AS (
    SELECT o.id AS subject, o.state, o.price_fen,
        CASE WHEN o.state IN ('RECHARGING', 'SUCCEEDED') THEN o.price_fen ELSE 0 END AS taken_fen,
        COALESCE(booked.transit_fen, 0) AS transit_fen, COALESCE(booked.payable_fen, 0) AS payable_fen,
        COALESCE(booked.held_fen, 0) AS held_fen,
        COALESCE(paid.paid_fen, 0) AS paid_fen, COALESCE(paid.wallet_fen, 0) AS wallet_fen,
        COALESCE(refunded.refunded_fen, 0) AS refunded_fen
    FROM recharge_order o
    LEFT JOIN booked ON booked.order_id = o.id
    LEFT JOIN paid ON paid.order_id = o.id
    LEFT JOIN refunded ON refunded.order_id = o.id
)
SELECT subject, state, price_fen, transit_fen, payable_fen, held_fen, paid_fen, refunded_fen FROM money WHERE
"""
# A job that is neither done nor lost: it waits, it runs, it is parked, or a person has said that it need not run.
WORK_LEFT = (
    "EXISTS (SELECT 1 FROM job j WHERE j.kind = '{kind}' AND j.key = CAST({key} AS VARCHAR(96)) AND (j.done_at IS NULL "
    "OR EXISTS (SELECT 1 FROM job_intervention i WHERE i.job_id = j.id AND i.action = 'DISMISS')))"
)
# The key of the work that looks for another issuer behind an attempt.
NEXT_SUBMISSION = "(CAST(a.order_id AS VARCHAR(36)) || ':' || CAST(a.number + 1 AS VARCHAR(9)))"
# Per account of a third party: what our rows say that it moved for users, and what the ledger says.
MOVED = """
SELECT code AS subject, SUM(told_fen) AS told_fen, SUM(booked_fen) AS booked_fen FROM (
    {told}
    UNION ALL
    SELECT a.code, 0, e.amount_fen FROM ledger_transaction t
    JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
    WHERE t.user_id IS NOT NULL AND a.code LIKE '{prefix}:%'
) AS line GROUP BY code HAVING SUM(told_fen) <> SUM(booked_fen) ORDER BY code
"""
CLEARED = """
    SELECT 'channel_clearing:' || channel || ':' || sub_mchid AS code, amount_fen AS told_fen, 0 AS booked_fen
    FROM payment_attempt WHERE state = 'PAID' AND channel <> 'wallet'
    UNION ALL
    SELECT 'channel_clearing:' || channel || ':' || sub_mchid, amount_fen, 0 FROM wallet_top_up WHERE state = 'PAID'
    UNION ALL
    SELECT 'channel_clearing:' || p.channel || ':' || p.sub_mchid, -r.amount_fen, 0
    FROM refund r JOIN payment_attempt p ON p.id = r.attempt_id WHERE r.state = 'SUCCESS' AND p.channel <> 'wallet'
"""
SPENT = """
    SELECT 'issuer_prepaid:' || issuer AS code, -cost_fen AS told_fen, 0 AS booked_fen
    FROM recharge_attempt WHERE state IN ('SUCCEEDED', 'SURPLUS')
"""
PROOFS = {
    "what is in transit belongs to an order that is recharging": MONEY
    + "transit_fen <> (CASE WHEN state = 'RECHARGING' THEN -price_fen ELSE 0 END)",
    "what is owed back is what was paid, not taken and not yet refunded": MONEY
    + "payable_fen <> taken_fen + refunded_fen - paid_fen",
    "what a wallet holds belongs to a payment under way": MONEY + "held_fen <> -wallet_fen",
    "no order is refunded more than it was paid": MONEY + "refunded_fen > paid_fen",
    "an order that recharges or has succeeded was paid": MONEY + "paid_fen < taken_fen",
    "each channel holds what was paid there and not refunded": MOVED.format(told=CLEARED, prefix="channel_clearing"),
    "the issuer's deposit has paid for every recharge once": MOVED.format(told=SPENT, prefix="issuer_prepaid"),
    "what is paid into a wallet is credited once": """
SELECT user_id AS subject, SUM(paid_fen) AS paid_fen, SUM(credited_fen) AS credited_fen FROM (
    SELECT user_id, amount_fen AS paid_fen, 0 AS credited_fen FROM wallet_top_up WHERE state = 'PAID'
    UNION ALL
    SELECT t.user_id, 0, -e.amount_fen FROM ledger_transaction t
    JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
    WHERE t.order_id IS NULL AND a.code LIKE 'customer_prepaid:%'
) AS line GROUP BY user_id HAVING SUM(paid_fen) <> SUM(credited_fen) ORDER BY user_id
""",
    "every step of an order is in its story": """
SELECT o.id AS subject, o.version, COUNT(s.id) AS step_count
FROM recharge_order o LEFT JOIN order_transition s ON s.order_id = o.id
GROUP BY o.id, o.version HAVING COUNT(s.id) <> o.version ORDER BY o.id
""",
    "every step begins where the one before it ended": """
SELECT order_id AS subject, version, from_state, before_state FROM (
    SELECT order_id, version, from_state, LAG(to_state) OVER (PARTITION BY order_id ORDER BY version) AS before_state
    FROM order_transition
) AS step WHERE COALESCE(from_state, '') <> COALESCE(before_state, '') ORDER BY order_id, version
""",
    "every order stands where its story ends": """
SELECT o.id AS subject, o.state, s.to_state FROM recharge_order o
JOIN order_transition s ON s.order_id = o.id AND s.version = o.version WHERE s.to_state <> o.state ORDER BY o.id
""",
    "every step of an order is told by its event": """
SELECT line.stream AS subject, line.position, SUM(is_step) AS step_count, SUM(is_event) AS event_count FROM (
    SELECT 'order:' || CAST(order_id AS TEXT) AS stream, version AS position, 1 AS is_step, 0 AS is_event
    FROM order_transition
    UNION ALL
    SELECT stream, position, 0, 1 FROM event WHERE stream LIKE 'order:%'
) AS line LEFT JOIN event_stream AS head ON head.name = line.stream
WHERE line.position > COALESCE(head.purged, 0) GROUP BY line.stream, line.position
HAVING SUM(is_step) <> 1 OR SUM(is_event) <> 1 ORDER BY line.stream, line.position
""",
    "every arrival is told once": """
SELECT stream AS subject, SUM(is_step) AS arrival_count, SUM(is_event) AS event_count FROM (
    SELECT 'arrivals:' || CAST(user_id AS TEXT) AS stream, 1 AS is_step, 0 AS is_event
    FROM order_transition WHERE trigger = 'CONFIRM_RECHARGE'
    UNION ALL
    SELECT stream, 0, 1 FROM event WHERE stream LIKE 'arrivals:%'
    UNION ALL
    SELECT name, 0, purged FROM event_stream WHERE name LIKE 'arrivals:%'
) AS line GROUP BY stream HAVING SUM(is_step) <> SUM(is_event) ORDER BY stream
""",
    "an order is recharged once, and a failed one only where two people decide": """
SELECT o.id AS subject, o.state, COUNT(a.id) AS succeeded_count
FROM recharge_order o
LEFT JOIN recharge_attempt a ON a.order_id = o.id AND a.state = 'SUCCEEDED'
GROUP BY o.id, o.state
HAVING (o.state = 'SUCCEEDED' AND COUNT(a.id) <> 1) OR COUNT(a.id) > 1
    OR (o.state = 'FAILED' AND COUNT(a.id) > 0 AND NOT EXISTS (
        SELECT 1 FROM manual_case c WHERE c.order_id = o.id AND c.kind = 'CLAW_BACK'))
    OR (o.state IN ('PENDING_PAYMENT', 'PAYING', 'RECHARGING') AND COUNT(a.id) > 0)
ORDER BY o.id
""",
    "what was recharged beside an order is before two people": """
SELECT a.id AS subject, a.order_id, a.issuer FROM recharge_attempt a WHERE a.state = 'SURPLUS' AND NOT EXISTS (
    SELECT 1 FROM manual_case c WHERE c.attempt_id = a.id AND c.kind = 'CLAW_BACK') ORDER BY a.id
""",
    "an order goes to another issuer only after a definite no": """
SELECT a.order_id AS subject, a.number, a.issuer, a.state FROM recharge_attempt a
WHERE a.state IN ('SUBMITTED', 'SUCCEEDED', 'REFUSED')
AND EXISTS (SELECT 1 FROM recharge_attempt later WHERE later.order_id = a.order_id AND later.number > a.number)
ORDER BY a.order_id, a.number
""",
    "a recharge is under way only while its order recharges": """
SELECT o.id AS subject, o.state, a.number FROM recharge_attempt a JOIN recharge_order o ON o.id = a.order_id
WHERE a.state = 'SUBMITTED' AND o.state <> 'RECHARGING' ORDER BY o.id
""",
    "a refund keeps the number under which it began": """
SELECT r.out_refund_no AS subject, r.order_id, r.state FROM refund r WHERE NOT EXISTS (
    SELECT 1 FROM order_transition s
    WHERE s.order_id = r.order_id AND s.trigger = 'START_REFUND' AND s.reason = r.out_refund_no
) ORDER BY r.out_refund_no
""",
    "an order's refunds are together what it says": """
SELECT o.id AS subject, o.refund_state, COUNT(r.id) AS refund_count
FROM recharge_order o LEFT JOIN refund r ON r.order_id = o.id
GROUP BY o.id, o.refund_state
HAVING o.refund_state <> CASE
    WHEN SUM(CASE WHEN r.state = 'ABNORMAL' THEN 1 ELSE 0 END) > 0 THEN 'ABNORMAL'
    WHEN SUM(CASE WHEN r.state = 'PROCESSING' THEN 1 ELSE 0 END) > 0 THEN 'PROCESSING'
    WHEN COUNT(r.id) > 0 THEN 'SUCCESS' ELSE 'NONE' END
ORDER BY o.id
""",
    "a reviewed order says what its review says": """
SELECT o.id AS subject, o.review_state, r.state FROM review r JOIN recharge_order o ON o.id = r.order_id
WHERE r.state <> o.review_state ORDER BY o.id
""",
    "nobody reviews an order of their own": """
SELECT r.order_id AS subject, s.name FROM review r JOIN staff_member s ON s.id = r.decided_by
WHERE s.customer_id = r.user_id ORDER BY r.order_id
""",
    "an order is recharged only after its review": """
SELECT a.order_id AS subject, o.review_state FROM recharge_attempt a JOIN recharge_order o ON o.id = a.order_id
WHERE o.review_state NOT IN ('NONE', 'APPROVED') ORDER BY a.order_id
""",
    "the stock of an offer is what orders do not hold": """
SELECT f.code AS subject, f.stock_total, f.stock_left, COUNT(r.id) AS held_count
FROM offer f LEFT JOIN offer_reservation r ON r.offer_id = f.id AND r.state <> 'RELEASED'
GROUP BY f.id, f.code, f.stock_total, f.stock_left HAVING f.stock_total - f.stock_left <> COUNT(r.id) ORDER BY f.code
""",
    "an order holds stock exactly while it needs it": """
SELECT o.id AS subject, o.state, o.failure_kind, r.state AS reservation_state
FROM recharge_order o LEFT JOIN offer_reservation r ON r.id = o.id
WHERE (o.offer_id IS NULL) <> (r.id IS NULL) OR (r.id IS NOT NULL AND r.state <> CASE
    WHEN o.state = 'SUCCEEDED' OR o.failure_kind = 'REVERSED' THEN 'USED'
    WHEN o.state = 'FAILED' THEN 'RELEASED' ELSE 'RESERVED' END)
ORDER BY o.id
""",
    "an unpaid order has work that ends it": f"""
SELECT o.id AS subject, o.state FROM recharge_order o WHERE o.state IN ('PENDING_PAYMENT', 'PAYING')
AND NOT {WORK_LEFT.format(kind="expire_order", key="o.id")} ORDER BY o.id
""",
    "a paid order has work that ends it": f"""
SELECT o.id AS subject, o.review_state FROM recharge_order o WHERE o.state = 'RECHARGING'
AND NOT (o.review_state = 'PENDING' AND {WORK_LEFT.format(kind="expire_review", key="o.id")})
AND NOT {WORK_LEFT.format(kind="submit_recharge", key="o.id")}
AND NOT EXISTS (SELECT 1 FROM recharge_attempt a WHERE a.order_id = o.id
    AND {WORK_LEFT.format(kind="submit_recharge", key=NEXT_SUBMISSION)})
AND NOT EXISTS (SELECT 1 FROM recharge_attempt a WHERE a.order_id = o.id AND a.state = 'SUBMITTED'
    AND {WORK_LEFT.format(kind="query_recharge", key="a.id")}) ORDER BY o.id
""",
    "a refund under way has work that ends it": f"""
SELECT r.out_refund_no AS subject, r.order_id FROM refund r WHERE r.state <> 'SUCCESS'
AND NOT {WORK_LEFT.format(kind="refund", key="r.out_refund_no")} ORDER BY r.out_refund_no
""",
}
# Each kind of step that was ever taken, with one of the orders that took it.
STEPS_TAKEN = """
SELECT MIN(CAST(order_id AS TEXT)) AS subject, rule, trigger, from_state, to_state
FROM order_transition GROUP BY rule, trigger, from_state, to_state
"""
STEPS_RULE = "every step is a row of the table of order states"
RULE_NAMES = (*PROOFS, STEPS_RULE)


async def findings() -> list[Finding]:
    """Return every order whose money, state and story contradict each other."""
    found = [finding for rule, statement in PROOFS.items() for finding in await prove(rule, statement)]
    return [*found, *await _steps_off_the_table()]


async def _steps_off_the_table() -> list[Finding]:
    allowed = {(rule.number, rule.trigger.value, rule.source, rule.target) for rule in RULES}
    names = ("rule", "trigger", "from_state", "to_state")
    return [
        finding
        for finding in await prove(STEPS_RULE, STEPS_TAKEN)
        if finding.figures["rule"] != REFUND_RULE_NUMBER
        and tuple(finding.figures[name] for name in names) not in allowed
    ]
