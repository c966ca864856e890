"""Mandates to deduct without a password, and the attempts that are deductions."""

from uuid import uuid4

from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops

from kernel.states import MandateState, PaymentMethod
from models import migrating
from models.fields import UtcDatetimeField
from models.operations import Check, PartialIndex, Redescribe


class Migration(migrating.Migration):
    dependencies = [('models', '0016_reconciliation')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Mandate',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user', fields.ForeignKeyField('models.User', source_field='user_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('channel', fields.CharField(max_length=32)),
                ('sub_mchid', fields.CharField(max_length=32)),
                ('out_contract_code', fields.CharField(unique=True, max_length=32)),
                ('contract_id', fields.CharField(null=True, max_length=64)),
                ('state', fields.CharEnumField(description='PENDING: PENDING\nACTIVE: ACTIVE\nREVOKED: REVOKED\nENDED: ENDED\nREFUSED: REFUSED', enum_type=MandateState, max_length=16)),
                ('version', fields.IntField()),
                ('transaction_max_fen', fields.BigIntField()),
                ('daily_max_fen', fields.BigIntField()),
                ('signing_until', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('signed_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'mandate', 'app': 'models', 'indexes': [('user_id', 'id')], 'pk_attr': 'id', 'table_description': 'One contract (委托代扣协议) at a payment channel, and the terms under which it may be used.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='MandateCard',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('mandate', fields.ForeignKeyField('models.Mandate', source_field='mandate_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('card', fields.ForeignKeyField('models.FuelCard', source_field='card_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('user_id', fields.UUIDField()),
            ],
            options={'table': 'mandate_card', 'app': 'models', 'unique_together': (('mandate', 'card'),), 'pk_attr': 'id', 'table_description': 'A card that a mandate may pay for.'},
            bases=['Model'],
        ),
        ops.AddField(model_name='PaymentAttempt', name='mandate_id', field=fields.UUIDField(null=True)),
        ops.AddField(model_name='PaymentAttempt', name='asked_at', field=UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
        Redescribe(
            model_name='ChannelPayer',
            name='method',
            field=fields.CharEnumField(description='WECHAT_PAY: WECHAT_PAY\nALIPAY: ALIPAY\nWALLET: WALLET\nMANDATE: MANDATE', enum_type=PaymentMethod, max_length=16),
        ),
        Check("mandate", "mandate_caps_in_order", "transaction_max_fen > 0 AND transaction_max_fen <= daily_max_fen"),
        Check("mandate", "mandate_active_is_signed", "state <> 'ACTIVE' OR contract_id IS NOT NULL"),
        Check("mandate", "mandate_has_a_version", "version > 0"),
        # A user has one at most that is in force or waits for its signature.
        PartialIndex("mandate", "mandate_one_live", "user_id", "state IN ('PENDING', 'ACTIVE')", unique=True),
        PartialIndex("payment_attempt", "deduction_by_mandate", "mandate_id, created_at", "mandate_id IS NOT NULL"),
    ]
