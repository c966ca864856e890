"""A partner's own quota of what its requests may cost."""

from tortoise import fields
from tortoise.migrations import operations as ops

from models import migrating


class Migration(migrating.Migration):
    dependencies = [('models', '0023_funds')]

    initial = False

    operations = [
        ops.AddField(model_name='OAuthClient', name='cost_max', field=fields.IntField(null=True)),
        ops.AddField(model_name='OAuthClient', name='cost_refill_per_s', field=fields.IntField(null=True)),
    ]
