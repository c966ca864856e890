"""What staff do, written down; closed days of the finance report; and the ways by which staff find an order."""

from uuid import uuid4

from orjson import loads
from tortoise import fields
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from models import migrating
from models.fields import UtcDatetimeField
from models.operations import AddRequired, AppendOnly, AppendOnlyRows, Check, PartialIndex, Sql


def in_facts(index: str, name: str) -> Sql:
    """A word of the facts that a callback has brought, by which it is found."""
    return Sql(
        f"callbacks by {name}",
        postgres=[f"CREATE INDEX {index} ON third_party_notice ((facts -> 'facts' ->> '{name}'))"],
        sqlite=[f"CREATE INDEX {index} ON third_party_notice (json_extract(facts, '$.facts.{name}'))"],
    )


class Migration(migrating.Migration):
    dependencies = [('models', '0017_mandates')]

    initial = False

    operations = [
        ops.CreateModel(
            name='StaffAction',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('position', fields.BigIntField(unique=True)),
                ('actor', fields.CharField(max_length=96)),
                ('roles', fields.CharField(max_length=160)),
                ('action', fields.CharField(max_length=64)),
                ('object_type', fields.CharField(max_length=32)),
                ('object_id', fields.CharField(max_length=96)),
                ('reason', fields.CharField(max_length=256)),
                ('before', fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ('after', fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ('request_id', fields.CharField(max_length=64)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('previous_digest', fields.CharField(max_length=64)),
                ('digest', fields.CharField(max_length=64)),
            ],
            options={'table': 'staff_action', 'app': 'models', 'indexes': [Index(fields=['object_type', 'object_id', 'id']), Index(fields=['actor', 'id']), Index(fields=['action', 'id'])], 'pk_attr': 'id', 'table_description': 'One action or look, with the object as it was before and as it is after. Never changed and never removed.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FinanceDay',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('business_day', fields.DateField(unique=True)),
                ('boundaries', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('sums', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('closed_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'finance_day', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A business day (Asia/Shanghai) whose report is closed, as the ledger stood then. Never changed, never removed.'},
            bases=['Model'],
        ),
        Check("staff_action", "staff_action_counts", "position > 0"),
        Check("staff_action", "staff_action_by_somebody", "actor <> '' AND action <> ''"),
        AppendOnly("staff_action"),
        AppendOnlyRows("staff_action", "id", "position"),
        AppendOnly("finance_day"),
        AppendOnlyRows("finance_day", "id", "business_day"),
        PartialIndex("staff_action", "staff_action_by_time", "occurred_at, id", ""),
        PartialIndex("ledger_transaction", "transaction_by_time", "shard, occurred_at, position", ""),
        AddRequired('UserPhone', 'phone_tail', fields.CharField(max_length=4), value="SUBSTR(phone_masked, LENGTH(phone_masked) - 3, 4)"),
        PartialIndex("user_phone", "phone_by_tail", "phone_tail, user_id", ""),
        PartialIndex("fuel_card", "card_by_tail", "number_tail, id", ""),
        PartialIndex("recharge_order", "order_by_time", "created_at, id", ""),
        PartialIndex("recharge_order", "order_by_state", "state, created_at, id", ""),
        PartialIndex("recharge_attempt", "recharge_by_issuer_order", "issuer_order_id", ""),
        PartialIndex("reconciliation_difference", "difference_by_key", "key", ""),
        in_facts("notice_by_trade", "out_trade_no"),
        in_facts("notice_by_recharge", "attempt_id"),
    ]
