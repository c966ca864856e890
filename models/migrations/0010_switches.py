"""Switches for whoever runs the service."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import Switch
from models.fields import UtcDatetimeField
from models.operations import AppendOnly, AppendOnlyRows, Check
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrating.Migration):
    dependencies = [('models', '0009_platforms')]

    initial = False

    operations = [
        ops.CreateModel(
            name='SwitchChange',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('position', fields.BigIntField(unique=True)),
                ('switch', fields.CharEnumField(description='HIDE_MARKETING: HIDE_MARKETING\nSIMPLIFIED_PAGES: SIMPLIFIED_PAGES\nMAINTENANCE: MAINTENANCE', enum_type=Switch, max_length=32)),
                ('on', fields.BooleanField()),
                ('reason', fields.CharField(max_length=256)),
                ('notice', fields.CharField(null=True, max_length=256)),
                ('until', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('changed_by', fields.CharField(max_length=96)),
                ('changed_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'switch_change', 'app': 'models', 'indexes': [Index(fields=['switch', 'position'])], 'pk_attr': 'id', 'table_description': 'One turn of a switch, of which the last one says how it stands.'},
            bases=['Model'],
        ),
        AppendOnly("switch_change"),
        AppendOnlyRows("switch_change", "id", "position"),
        Check("switch_change", "switch_turned_for_a_reason", "reason <> ''"),
    ]
