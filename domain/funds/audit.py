"""Proving that what is held is what transfers wait for, that enough people signed, and that the reserve is kept."""

from __future__ import annotations

from domain.funds.lifecycle import LIVE
from domain.funds.policy import Policy
from domain.funds.queries import escrow
from domain.ledger.audit import Finding, prove
from domain.ledger.postings import ESCROW_OPERATING
from models.funds import FundSweep
from models.ledger import LedgerEntry

LIVE_STATES = ", ".join(f"'{state.value}'" for state in sorted(LIVE))
HELD = f"""
SELECT code AS subject, SUM(booked_fen) AS booked_fen, SUM(told_fen) AS told_fen FROM (
    SELECT code, balance_fen AS booked_fen, 0 AS told_fen FROM ledger_account
    WHERE code IN ('escrow:operating_held', 'escrow:reserve_held')
    UNION ALL
    SELECT source_account || '_held', 0, amount_fen FROM fund_transfer WHERE state IN ({LIVE_STATES})
) AS line GROUP BY code HAVING SUM(booked_fen) <> SUM(told_fen) ORDER BY code
"""  # noqa: S608 -- names of states.
SIGNED = """
SELECT t.id AS subject, t.state, t.amount_fen FROM fund_transfer t
WHERE t.kind <> 'TO_RESERVE' AND t.state IN ('SENT', 'CONFIRMED', 'FAILED') AND (
    t.checked_by = t.proposed_by
    OR NOT EXISTS (SELECT 1 FROM fund_step s WHERE s.subject_id = t.id AND s.step = 'CHECK'
        AND s.staff_id = t.checked_by AND s.digest = t.digest AND s.second_factor_step IS NOT NULL)
    OR (t.needs_director AND (t.directed_by IN (t.proposed_by, t.checked_by)
        OR NOT EXISTS (SELECT 1 FROM fund_step s WHERE s.subject_id = t.id AND s.step = 'DIRECT'
        AND s.staff_id = t.directed_by AND s.digest = t.digest AND s.second_factor_step IS NOT NULL)))
) ORDER BY t.id
"""
STORY = """
SELECT each.id AS subject, each.version, COUNT(s.id) AS step_count FROM (
    SELECT id, version FROM fund_transfer UNION ALL SELECT id, version FROM fund_payee
    UNION ALL SELECT id, version FROM insurance_claim
) AS each LEFT JOIN fund_step s ON s.subject_id = each.id
GROUP BY each.id, each.version HAVING COUNT(s.id) <> each.version ORDER BY each.id
"""
BOOKED = """
SELECT due.subject, due.amount_fen FROM (
    SELECT reference || CASE kind WHEN 'WITHDRAWAL' THEN ':withdrawn' ELSE ':swept' END AS subject, amount_fen
    FROM fund_transfer WHERE state = 'CONFIRMED'
    UNION ALL SELECT reference || ':settled', gross_fen FROM fund_settlement
    UNION ALL SELECT bank_reference || ':claimed', accepted_fen FROM insurance_claim WHERE state = 'PAID'
) AS due WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.key = due.subject) ORDER BY due.subject
"""

HELD_RULE = "what is held in escrow is what transfers wait for"
SIGNED_RULE = "a transfer is sent as enough people have signed it"
STORY_RULE = "every step of funds is in their story"
BOOKED_RULE = "what has arrived or left is in the books"
RESERVE_RULE = "the reserve has its share since the last sweep"
RULE_NAMES = (HELD_RULE, SIGNED_RULE, STORY_RULE, BOOKED_RULE, RESERVE_RULE)


async def findings(*, policy: Policy) -> list[Finding]:
    """Return every account, transfer, payee and claim that breaks a rule."""
    rules = ((HELD_RULE, HELD), (SIGNED_RULE, SIGNED), (STORY_RULE, STORY), (BOOKED_RULE, BOOKED))
    found = [each for rule, text in rules for each in await prove(rule, text)]
    return found + await _reserve(policy)


async def _reserve(policy: Policy) -> list[Finding]:
    """Between sweeps money arrives in the operating account; where none has, the last sweep's share is there still."""
    last = await FundSweep.all().order_by("-occurred_at", "-id").first()
    found = await escrow()
    if last is None or found.keeps_the_reserve(policy.reserve_min_basis_points):
        return []
    arrived = LedgerEntry.filter(account__code=ESCROW_OPERATING, amount_fen__gt=0, occurred_at__gt=last.occurred_at)
    if await arrived.exists():
        return []
    figures = {
        "in_reserve_fen": found.in_reserve_fen,
        "reserve_min_fen": found.reserve_min_fen(policy.reserve_min_basis_points),
    }
    return [Finding(RESERVE_RULE, str(last.business_day), figures)]
