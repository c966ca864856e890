"""The finance journal: what the ledger's events say, one row a line, for those who keep the books of the company."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class FinanceGeneration(Model):
    """One journal from the first event on. A rebuild begins another one, which becomes current when it is complete.

    The generation with the highest number that has a `current_since` is the one to read.
    """

    number = fields.IntField(primary_key=True)
    started_at = UtcDatetimeField()
    current_since = UtcDatetimeField(null=True)

    class Meta:
        table = "finance_generation"


class FinanceCursor(Model):
    """How far a generation has read a shard's stream: everything up to `position` is in the journal."""

    id = fields.IntField(primary_key=True)
    generation = fields.IntField()
    shard = fields.SmallIntField()
    stream = fields.CharField(max_length=64)
    position = fields.BigIntField()
    updated_at = UtcDatetimeField()

    class Meta:
        table = "finance_cursor"
        unique_together = (("generation", "stream"),)


class FinanceJournal(Model):
    """One line of one posting. `business_day` is the day in Asia/Shanghai. Never updated, never deleted."""

    id = fields.BigIntField(primary_key=True)
    generation = fields.IntField()
    stream = fields.CharField(max_length=64)
    position = fields.BigIntField()
    line_number = fields.SmallIntField()
    posting_key = fields.CharField(max_length=96)
    order_id = fields.UUIDField(null=True)
    user_id = fields.UUIDField(null=True)
    shard = fields.SmallIntField()
    account = fields.CharField(max_length=96)
    debit_fen = fields.BigIntField()
    credit_fen = fields.BigIntField()
    business_day = fields.DateField()
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "finance_journal"
        unique_together = (("generation", "stream", "position", "line_number"),)


class FinanceDay(Model):
    """A business day (Asia/Shanghai) whose report is closed, as the ledger stood then. Never changed, never removed.

    `boundaries` says by shard up to which position of the ledger the day goes; what is booked later under an earlier
    time belongs to the next day. `sums` has a line for each account: what it held, what was debited and credited, and
    by which postings.
    """

    id = fields.UUIDField(primary_key=True)
    business_day = fields.DateField(unique=True)
    boundaries: fields.JSONField[dict[str, int]] = fields.JSONField()
    sums: fields.JSONField[list[dict[str, Any]]] = fields.JSONField()
    closed_at = UtcDatetimeField()

    class Meta:
        table = "finance_day"
