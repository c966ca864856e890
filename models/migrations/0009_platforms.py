"""Messages of the mini-program platform and what users agreed to, phones, codes by SMS, and the price platform's prices."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import CodePurpose, ConsentEnd, HeldPriceState, MessageState, MessageTemplate, Product
from models.fields import UtcDatetimeField
from models.operations import Check, PartialIndex
from orjson import loads
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrating.Migration):
    dependencies = [('models', '0008_webhooks')]

    initial = False

    operations = [
        ops.CreateModel(
            name='HeldPrice',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('province_code', fields.CharField(max_length=6)),
                ('zone_code', fields.CharField(max_length=32)),
                ('product', fields.CharEnumField(description='GASOLINE_89: 89\nGASOLINE_92: 92\nGASOLINE_95: 95\nGASOLINE_98: 98\nDIESEL_0: 0', enum_type=Product, max_length=4)),
                ('milliyuan_per_litre', fields.IntField()),
                ('previous_milliyuan', fields.IntField(null=True)),
                ('effective_from', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('source', fields.CharField(max_length=128)),
                ('source_url', fields.CharField(max_length=512)),
                ('version', fields.BigIntField()),
                ('state', fields.CharEnumField(description='HELD: HELD\nRELEASED: RELEASED\nREFUSED: REFUSED\nSUPERSEDED: SUPERSEDED', enum_type=HeldPriceState, max_length=16)),
                ('held_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('decided_by', fields.CharField(null=True, max_length=64)),
                ('reason', fields.CharField(null=True, max_length=256)),
            ],
            options={'table': 'held_price', 'app': 'models', 'unique_together': (('province_code', 'version', 'zone_code', 'product'),), 'pk_attr': 'id', 'table_description': 'A price that moves too much to be published by a machine until a person releases it.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='MessageConsent',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('template', fields.CharEnumField(description='ARRIVAL: ARRIVAL\nPRICE_CHANGE: PRICE_CHANGE', enum_type=MessageTemplate, max_length=16)),
                ('zone_id', fields.UUIDField(null=True)),
                ('product', fields.CharEnumField(null=True, description='GASOLINE_89: 89\nGASOLINE_92: 92\nGASOLINE_95: 95\nGASOLINE_98: 98\nDIESEL_0: 0', enum_type=Product, max_length=4)),
                ('grant_key', fields.CharField(max_length=96)),
                ('granted_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('end_reason', fields.CharEnumField(null=True, description='SPENT: SPENT\nWITHDRAWN: WITHDRAWN', enum_type=ConsentEnd, max_length=16)),
            ],
            options={'table': 'message_consent', 'app': 'models', 'unique_together': (('user_id', 'template', 'grant_key'),), 'pk_attr': 'id', 'table_description': 'One accepted request for one message of a template: a row is one credit, and is ended by being used.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='MessageScan',
            fields=[
                ('id', fields.SmallIntField(primary_key=True, unique=True, db_index=True)),
                ('event_id', fields.BigIntField()),
            ],
            options={'table': 'message_scan', 'app': 'models', 'pk_attr': 'id', 'table_description': 'The one row that says up to which event everything was looked at for messages.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OutgoingMessage',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('consent_id', fields.UUIDField(unique=True)),
                ('template', fields.CharEnumField(description='ARRIVAL: ARRIVAL\nPRICE_CHANGE: PRICE_CHANGE', enum_type=MessageTemplate, max_length=16)),
                ('event_key', fields.CharField(max_length=96)),
                ('content', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('state', fields.CharEnumField(description='PENDING: PENDING\nSENDING: SENDING\nSENT: SENT\nREFUSED: REFUSED\nFAILED: FAILED\nUNKNOWN: UNKNOWN\nWITHDRAWN: WITHDRAWN', enum_type=MessageState, max_length=16)),
                ('error_code', fields.IntField(null=True)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('settled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'outgoing_message', 'app': 'models', 'unique_together': (('user_id', 'template', 'event_key'),), 'pk_attr': 'id', 'table_description': 'One message about one event, written down before it is sent. Each consent is behind one message at most.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='PriceDocument',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('province_code', fields.CharField(max_length=6)),
                ('version', fields.BigIntField()),
                ('digest', fields.CharField(max_length=64)),
                ('adjusted_on', fields.DateField()),
                ('received_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'price_document', 'app': 'models', 'unique_together': (('province_code', 'version'),), 'pk_attr': 'id', 'table_description': "A version of a province's prices that was taken from the price platform, known by its digest."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SmsCode',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('purpose', fields.CharEnumField(description='BIND_PHONE: BIND_PHONE', enum_type=CodePurpose, max_length=16)),
                ('subject', fields.CharField(max_length=64)),
                ('phone_digest', fields.CharField(max_length=64)),
                ('address_digest', fields.CharField(max_length=64)),
                ('code_digest', fields.CharField(max_length=64)),
                ('attempts', fields.IntField()),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'sms_code', 'app': 'models', 'indexes': [Index(fields=['user_id', 'created_at']), Index(fields=['phone_digest', 'created_at']), Index(fields=['address_digest', 'created_at'])], 'pk_attr': 'id', 'table_description': 'A code that was sent to a phone, for one person and purpose. Of phone, address and code only digests are kept.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='UserPhone',
            fields=[
                ('user_id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('phone_sealed', fields.BinaryField()),
                ('phone_digest', fields.CharField(db_index=True, max_length=64)),
                ('phone_masked', fields.CharField(max_length=24)),
                ('bound_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'user_phone', 'app': 'models', 'pk_attr': 'user_id', 'table_description': 'The phone of a user: sealed, with a keyed digest to find it again, and a mask for people.'},
            bases=['Model'],
        ),
        Check("message_consent", "consent_ends_for_a_reason", "(ended_at IS NULL) = (end_reason IS NULL)"),
        Check("message_consent", "consent_names_a_price", "template <> 'PRICE_CHANGE' OR (zone_id IS NOT NULL AND product IS NOT NULL)"),
        PartialIndex("message_consent", "consent_left", "user_id, template, id", "ended_at IS NULL"),
        PartialIndex("message_consent", "consent_left_by_zone", "zone_id, product", "ended_at IS NULL AND template = 'PRICE_CHANGE'"),
        Check("outgoing_message", "message_state_known", "state IN ('PENDING', 'SENDING', 'SENT', 'REFUSED', 'FAILED', 'UNKNOWN', 'WITHDRAWN')"),
        Check("outgoing_message", "message_settled_at_its_end", "(state IN ('PENDING', 'SENDING')) = (settled_at IS NULL)"),
        PartialIndex("message_consent", "consent_ended", "ended_at", "ended_at IS NOT NULL"),
        PartialIndex("outgoing_message", "message_settled", "settled_at", "settled_at IS NOT NULL"),
        Check("message_scan", "message_scan_is_one", "id = 1"),
        PartialIndex("event", "event_to_message", "id", "type IN ('recharge.arrived', 'price.changed')"),
        Check("held_price", "held_price_decided", "(state = 'HELD') = (decided_at IS NULL)"),
        Check("held_price", "held_price_over_zero", "milliyuan_per_litre > 0"),
        PartialIndex("held_price", "held_price_open", "province_code, id", "state = 'HELD'"),
        Check("sms_code", "sms_attempts_not_negative", "attempts >= 0"),
    ]
