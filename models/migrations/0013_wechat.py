"""Nonces of callbacks, each good for one body."""

from models import migrating
from tortoise.migrations import operations as ops
from models.fields import UtcDatetimeField
from uuid import uuid4
from tortoise import fields


class Migration(migrating.Migration):
    dependencies = [('models', '0012_channel_health')]

    initial = False

    operations = [
        ops.CreateModel(
            name='CallbackNonce',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('signer', fields.CharField(max_length=64)),
                ('nonce', fields.CharField(max_length=64)),
                ('body_digest', fields.CharField(max_length=64)),
                ('used_at', UtcDatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'callback_nonce', 'app': 'models', 'unique_together': (('signer', 'nonce'),), 'pk_attr': 'id', 'table_description': 'A nonce that a sender has used: it is good for one body. Kept until no signature with it can be fresh.'},
            bases=['Model'],
        ),
    ]
