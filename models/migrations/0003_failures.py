"""Failures of work are counted beside its attempts, because most attempts are only waits."""

from models import migrating
from tortoise import fields
from tortoise.migrations import operations as ops


class Migration(migrating.Migration):
    dependencies = [("models", "0002_constraints")]

    operations = [
        ops.AddField(model_name="Job", name="failures", field=fields.IntField(default=0, db_default=0)),
    ]
