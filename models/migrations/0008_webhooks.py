"""Subscriptions of partners that are delivered as webhooks, and the log of what became of each attempt."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import SuspensionReason, WebhookState
from models.fields import UtcDatetimeField
from models.operations import Check, PartialIndex
from orjson import loads
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrating.Migration):
    dependencies = [('models', '0007_events')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Webhook',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('client_id', fields.CharField(max_length=64)),
                ('scopes', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('url', fields.CharField(max_length=2048)),
                ('document', fields.TextField(unique=False)),
                ('variables', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('operation_name', fields.CharField(null=True, max_length=128)),
                ('event_type', fields.CharField(max_length=128)),
                ('locale', fields.CharField(max_length=8)),
                ('cursor', fields.CharField(null=True, max_length=512)),
                ('state', fields.CharEnumField(description='ACTIVE: ACTIVE\nPAUSED: PAUSED\nSUSPENDED: SUSPENDED', enum_type=WebhookState, max_length=16)),
                ('suspension_reason', fields.CharEnumField(null=True, description='FAILING: FAILING\nGONE: GONE\nOWNER_GONE: OWNER_GONE\nREFUSED: REFUSED', enum_type=SuspensionReason, max_length=16)),
                ('attempt', fields.IntField()),
                ('failing_since', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('next_attempt_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('lease_owner', fields.CharField(null=True, max_length=64)),
                ('lease_until', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('secret_sealed', fields.BinaryField()),
                ('previous_secret_sealed', fields.BinaryField(null=True)),
                ('previous_secret_until', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'webhook', 'app': 'models', 'indexes': [Index(fields=['user_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One subscription of one owner, and how far it has been delivered.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('webhook_id', fields.UUIDField()),
                ('user_id', fields.UUIDField()),
                ('message_id', fields.CharField(null=True, max_length=64)),
                ('cursor', fields.CharField(null=True, max_length=512)),
                ('attempt', fields.IntField()),
                ('status', fields.IntField(null=True)),
                ('latency_ms', fields.IntField()),
                ('error', fields.CharField(null=True, max_length=32)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'webhook_delivery', 'app': 'models', 'indexes': [Index(fields=['webhook_id', 'id']), Index(fields=['occurred_at'])], 'pk_attr': 'id', 'table_description': 'One attempt. The rows are deleted by age, and stay until then when their webhook is deleted.'},
            bases=['Model'],
        ),
        Check("webhook", "webhook_state_known", "state IN ('ACTIVE', 'PAUSED', 'SUSPENDED')"),
        Check("webhook", "webhook_suspended_for_a_reason", "(state = 'SUSPENDED') = (suspension_reason IS NOT NULL)"),
        Check("webhook", "webhook_failing_since_its_first_failure", "attempt >= 0 AND (attempt = 0) = (failing_since IS NULL)"),
        Check("webhook", "webhook_previous_secret_ends", "(previous_secret_sealed IS NULL) = (previous_secret_until IS NULL)"),
        Check("webhook_delivery", "webhook_delivery_counts", "attempt >= 1 AND latency_ms >= 0"),
        PartialIndex("webhook", "webhook_due", "next_attempt_at", "state = 'ACTIVE'"),
    ]
