"""Proposals about a case are counted, so that an approval is of one of them."""

from tortoise import fields
from tortoise.migrations import operations as ops

from models import migrating
from models.operations import Check


class Migration(migrating.Migration):
    dependencies = [('models', '0024_quotas')]

    initial = False

    operations = [
        ops.AddField(model_name='ManualCase', name='version', field=fields.IntField(default=1, db_default=1)),
        Check("manual_case", "case_has_a_version", "version >= 1"),
    ]
