"""How much history there is, and how an order's steps and its postings look in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.growth.parties import CHANNEL, ISSUER, MARGIN_BASIS_POINTS, SUB_MCHID, PromptChannel
from domain.ledger.postings import COMMISSION, TRANSIT, channel_clearing, issuer_prepaid
from domain.ledger.shards import LEDGER_SHARDS

# Three orders in ten are never paid.
EXPIRED_IN_TEN = 3
TOPPED_UP_ONE_IN = 4
TOP_UP_FEN = 20_000
# Without a common factor with any number of users that a person would choose, so that customers come in turns.
STRIDE = 7_919
CLEARING, PREPAID = channel_clearing(CHANNEL, SUB_MCHID), issuer_prepaid(ISSUER)

# recharged, version, rule, trigger, from, to, seconds behind the creation, actor, reason
STEPS = """(VALUES
    (true, 1, 1, 'CREATE', NULL, 'PENDING_PAYMENT', 0, NULL, ''),
    (true, 2, 2, 'START_PAYMENT', 'PENDING_PAYMENT', 'PAYING', 4, NULL, 'out_trade_no'),
    (true, 3, 4, 'CONFIRM_PAYMENT', 'PAYING', 'RECHARGING', 15, '{channel}', 'out_trade_no'),
    (true, 4, 10, 'SUBMIT_RECHARGE', 'RECHARGING', 'RECHARGING', 16, 'system', 'recharge_id'),
    (true, 5, 11, 'CONFIRM_RECHARGE', 'RECHARGING', 'SUCCEEDED', 24, '{issuer}', 'issuer_order_id'),
    (false, 1, 1, 'CREATE', NULL, 'PENDING_PAYMENT', 0, NULL, ''),
    (false, 2, 6, 'EXPIRE', 'PENDING_PAYMENT', 'FAILED', 901, 'system', '')
) AS step (recharged, version, rule, trigger, from_state, to_state, after_s, actor, reason)"""
# posting, its key, seconds behind the creation, line, lines, account
LINES = """(VALUES
    ('paid', 'paid:1', 15, 1, 2, '{clearing}'),
    ('paid', 'paid:1', 15, 2, 2, '{transit}'),
    ('succeeded', 'succeeded', 24, 1, 3, '{transit}'),
    ('succeeded', 'succeeded', 24, 2, 3, '{prepaid}'),
    ('succeeded', 'succeeded', 24, 3, 3, '{commission}')
) AS line (posting, event, after_s, number, count, account)"""
AMOUNT = """CASE
    WHEN line.account = '{clearing}' THEN o.amount_fen
    WHEN line.account = '{prepaid}' THEN -o.cost_fen
    WHEN line.account = '{commission}' THEN o.cost_fen - o.amount_fen
    WHEN line.posting = 'paid' THEN -o.amount_fen ELSE o.amount_fen END"""
POSITION = "2 * o.place - CASE line.posting WHEN 'paid' THEN 1 ELSE 0 END"
# An id is what `kernel.ids` makes of the moment, but its random digits come from the number of the order: asking for
# chance costs more than all else of a row. `{id:digit:milliseconds}` makes one of a `tail` and a digit that no other id
# of the order in the same table has at that moment.
ID = re.compile(r"\{id:([^:}]+):([^}]+)\}")
ID_SQL = r"('0' || to_hex(\2) || '7' || \1 || tail)::uuid"
TAIL = re.compile(r"\{tail:([^}]+)\}")
TAIL_SQL = r"overlay(left(md5(\1), 18) placing '8' from 3)"

PARTS = {"STEPS": STEPS, "LINES": LINES, "AMOUNT": AMOUNT, "POSITION": POSITION}


@dataclass(frozen=True, slots=True)
class History:
    """How many orders there are, from when until when they were made, and since when their work is kept."""

    orders: int
    users: int
    begins_at: datetime
    ends_at: datetime
    work_kept_since: datetime

    @property
    def words(self) -> dict[str, object]:
        """What the statements' placeholders stand for: numbers, moments and literals of our own."""
        step = (self.ends_at - self.begins_at) / self.orders
        return {
            "orders": self.orders,
            "users": self.users,
            "begins_at": f"timestamptz '{self.begins_at.isoformat()}'",
            "ends_at": f"timestamptz '{self.ends_at.isoformat()}'",
            "kept_since": f"timestamptz '{self.work_kept_since.isoformat()}'",
            "begins_ms": int(self.begins_at.timestamp() * 1000),
            "every_us": step // timedelta(microseconds=1),
            "channel": CHANNEL,
            "issuer": ISSUER,
            "sub_mchid": SUB_MCHID,
            "app_id": PromptChannel.app_id,
            "mchid": PromptChannel.mchid,
            "clearing": CLEARING,
            "prepaid": PREPAID,
            "transit": TRANSIT,
            "commission": COMMISSION,
            "margin": MARGIN_BASIS_POINTS,
            "shards": LEDGER_SHARDS,
            "top_up_fen": TOP_UP_FEN,
            "topped_up_one_in": TOPPED_UP_ONE_IN,
            "expired_in_ten": EXPIRED_IN_TEN,
            "stride": STRIDE,
        }

    def sql(self, statement: str) -> str:
        """Return the statement with every placeholder replaced, those of its parts as well."""
        for name, part in PARTS.items():
            statement = statement.replace(f"{{{name}}}", part)
        for name, word in self.words.items():
            statement = statement.replace(f"{{{name}}}", str(word))
        return TAIL.sub(TAIL_SQL, ID.sub(ID_SQL, statement))
