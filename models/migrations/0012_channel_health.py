"""How the lines to payment channels do, and who users are at channels."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import HealthMark, PaymentMethod
from models.fields import UtcDatetimeField
from models.operations import Check
from uuid import uuid4
from tortoise import fields


class Migration(migrating.Migration):
    dependencies = [('models', '0011_oauth')]

    initial = False

    operations = [
        ops.CreateModel(
            name='ChannelHealth',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('line', fields.CharField(unique=True, max_length=96)),
                ('mark', fields.CharEnumField(description='HEALTHY: HEALTHY\nSUSPECT: SUSPECT\nDOWN: DOWN', enum_type=HealthMark, max_length=16)),
                ('failures', fields.IntField()),
                ('since', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('failed_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('probe_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('version', fields.IntField()),
            ],
            options={'table': 'channel_health', 'app': 'models', 'pk_attr': 'id', 'table_description': 'How one line to a payment channel has done lately, for all processes. The version counts the changes.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ChannelPayer',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('method', fields.CharEnumField(description='WECHAT_PAY: WECHAT_PAY\nALIPAY: ALIPAY\nWALLET: WALLET', enum_type=PaymentMethod, max_length=16)),
                ('payer_id', fields.CharField(max_length=64)),
                ('code_digest', fields.CharField(max_length=64)),
                ('linked_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'channel_payer', 'app': 'models', 'unique_together': (('user_id', 'method'),), 'pk_attr': 'id', 'table_description': 'Who a user is at a channel, as the channel says. Of the code that it was asked by a digest is kept.'},
            bases=['Model'],
        ),
        Check("channel_health", "channel_failures_not_negative", "failures >= 0"),
        Check("channel_health", "channel_down_is_probed", "(mark = 'DOWN') = (probe_at IS NOT NULL)"),
        Check("channel_payer", "channel_payer_by_alipay", "method = 'ALIPAY'"),
    ]
