"""The double-entry ledger: accounts with balances, and the entries that explain them."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class LedgerAccount(Model):
    """An account. `balance_fen` is debits minus credits and `version` counts the entries that made it."""

    id = fields.UUIDField(primary_key=True)
    code = fields.CharField(max_length=96, unique=True)
    balance_fen = fields.BigIntField()
    version = fields.BigIntField()
    created_at = UtcDatetimeField()

    class Meta:
        table = "ledger_account"


class LedgerTransaction(Model):
    """A balanced set of entries with the key (`{order}:{event}`) that lets it happen only once."""

    id = fields.UUIDField(primary_key=True)
    key = fields.CharField(max_length=96, unique=True)
    order_id = fields.UUIDField(null=True, db_index=True)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "ledger_transaction"


class LedgerEntry(Model):
    """One line: positive `amount_fen` debits the account, negative credits it. Never updated, never deleted."""

    id = fields.UUIDField(primary_key=True)
    transaction: fields.ForeignKeyRelation[LedgerTransaction] = fields.ForeignKeyField(
        "models.LedgerTransaction", on_delete=fields.RESTRICT
    )
    account: fields.ForeignKeyRelation[LedgerAccount] = fields.ForeignKeyField(
        "models.LedgerAccount", on_delete=fields.RESTRICT
    )
    amount_fen = fields.BigIntField()
    account_version = fields.BigIntField()

    transaction_id: UUID
    account_id: UUID

    class Meta:
        table = "ledger_entry"
        unique_together = (("account", "account_version"),)
