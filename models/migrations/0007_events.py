"""Cursors name an epoch, old events are deleted, and devices have a position of their own."""

from uuid import uuid4

from models import migrating
from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops

from models.fields import UtcDatetimeField
from models.operations import Check, PartialIndex, Sql

# The events that a purge looks at; its statement says the same words, so that the index serves it.
PURGEABLE = "published_at IS NOT NULL AND SUBSTR(stream, 1, 7) <> 'ledger:'"


class Migration(migrating.Migration):
    dependencies = [("models", "0006_ledger")]

    operations = [
        ops.AddField(model_name="EventStream", name="purged", field=fields.BigIntField(default=0, db_default=0)),
        Check("event_stream", "stream_purged_up_to_its_head", "purged BETWEEN 0 AND position"),
        ops.CreateModel(
            name='EventEpoch',
            fields=[
                ('id', fields.SmallIntField(primary_key=True, unique=True, db_index=True)),
                ('name', fields.CharField(max_length=16)),
                ('started_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'event_epoch', 'app': 'models', 'pk_attr': 'id', 'table_description': 'The one row that names the history: another name means that positions were handed out a second time.'},
            bases=['Model'],
        ),
        Check("event_epoch", "epoch_is_one", "id = 1"),
        Sql(
            "the first epoch",
            postgres=["INSERT INTO event_epoch VALUES (1, SUBSTR(REPLACE(gen_random_uuid()::text, '-', ''), 1, 12), now())"],
            sqlite=["INSERT INTO event_epoch VALUES (1, lower(hex(randomblob(6))), strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))"],
        ),
        ops.CreateModel(
            name='NoticeAck',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user', fields.ForeignKeyField('models.User', source_field='user_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('device', fields.CharField(max_length=64)),
                ('position', fields.BigIntField()),
                ('acked_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'notice_ack', 'app': 'models', 'unique_together': (('user', 'device'),), 'pk_attr': 'id', 'table_description': "How far a device of a user has read the user's arrivals. `position` only grows."},
            bases=['Model'],
        ),
        Check("notice_ack", "ack_position_not_negative", "position >= 0"),
        PartialIndex("event", "event_purgeable", "occurred_at, id", PURGEABLE),
        PartialIndex("order_transition", "arrival_by_user", "user_id, occurred_at", "trigger = 'CONFIRM_RECHARGE'"),
    ]
