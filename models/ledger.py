"""The double-entry ledger: accounts with balances, and the entries that explain them.

Every row carries its shard, which follows from the user whose money it is, so that the ledger can be spread over
databases. The rows of one transaction lie in one shard, the accounts it moves included.
"""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class LedgerAccount(Model):
    """One shard's part of an account. `balance_fen` is debits minus credits and `version` counts its entries."""

    id = fields.UUIDField(primary_key=True)
    code = fields.CharField(max_length=96)
    shard = fields.SmallIntField()
    balance_fen = fields.BigIntField()
    version = fields.BigIntField()
    created_at = UtcDatetimeField()

    class Meta:
        table = "ledger_account"
        unique_together = (("code", "shard"),)


class LedgerTransaction(Model):
    """A balanced set of entries with the key (`{order}:{event}`) that lets it happen only once.

    `position` is that of its event in the shard's stream. The commit fails unless exactly `line_count` entries are
    there and balance; each has one of the numbers up to that, so nothing can be added to a transaction later.
    """

    id = fields.UUIDField(primary_key=True)
    key = fields.CharField(max_length=96, unique=True)
    order_id = fields.UUIDField(null=True, db_index=True)
    user_id = fields.UUIDField(null=True)
    shard = fields.SmallIntField()
    position = fields.BigIntField()
    line_count = fields.SmallIntField()
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "ledger_transaction"
        unique_together = (("shard", "position"),)


class LedgerEntry(Model):
    """One line: positive `amount_fen` debits the account, negative credits it. Never updated, never deleted.

    Its foreign keys hold the shard, the time and the number of lines, so these are the transaction's and the account's.
    PostgreSQL keeps the table in one partition a month, by `occurred_at`, where no key can be unique across
    partitions. There `(account, account_version)` is an index only; what keeps it unique is the lock on the account's
    row, under which the version is counted, and the audit proves it.
    """

    id = fields.UUIDField(primary_key=True)
    transaction: fields.ForeignKeyRelation[LedgerTransaction] = fields.ForeignKeyField(
        "models.LedgerTransaction", on_delete=fields.RESTRICT
    )
    account: fields.ForeignKeyRelation[LedgerAccount] = fields.ForeignKeyField(
        "models.LedgerAccount", on_delete=fields.RESTRICT
    )
    line_number = fields.SmallIntField()
    line_count = fields.SmallIntField()
    amount_fen = fields.BigIntField()
    account_version = fields.BigIntField()
    user_id = fields.UUIDField(null=True)
    shard = fields.SmallIntField()
    occurred_at = UtcDatetimeField()

    transaction_id: UUID
    account_id: UUID

    class Meta:
        table = "ledger_entry"
        unique_together = (("transaction", "line_number"), ("account", "account_version"))
