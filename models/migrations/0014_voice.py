"""What conversations by voice remember between two turns."""

from models import migrating
from tortoise.migrations import operations as ops
from models.fields import UtcDatetimeField
from models.operations import Check
from orjson import loads
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields


class Migration(migrating.Migration):
    dependencies = [('models', '0013_wechat')]

    initial = False

    operations = [
        ops.CreateModel(
            name='VoiceSession',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('session', fields.CharField(max_length=64)),
                ('state', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('version', fields.IntField()),
                ('expires_at', UtcDatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'voice_session', 'app': 'models', 'unique_together': (('user_id', 'session'),), 'pk_attr': 'id', 'table_description': 'What a conversation of one user remembers, under the name that the client gave it.'},
            bases=['Model'],
        ),
        Check("voice_session", "voice_session_has_a_version", "version > 0"),
    ]
