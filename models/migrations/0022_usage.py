"""Who still uses what is announced to go."""

from models import migrating
from tortoise.migrations import operations as ops
from models.fields import UtcDatetimeField
from models.operations import Check
from uuid import uuid4
from tortoise import fields


class Migration(migrating.Migration):
    dependencies = [('models', '0021_operators')]

    initial = False

    operations = [
        ops.CreateModel(
            name='DeprecatedUse',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('client_id', fields.CharField(max_length=64)),
                ('coordinate', fields.CharField(max_length=256)),
                ('count', fields.BigIntField()),
                ('first_used_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('last_used_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'deprecated_use', 'app': 'models', 'unique_together': (('client_id', 'coordinate'),), 'pk_attr': 'id', 'table_description': 'How often one client has asked for one deprecated part of the schema, by its coordinate.'},
            bases=['Model'],
        ),
        Check("deprecated_use", "deprecated_use_is_counted_up", "count >= 0"),
    ]
