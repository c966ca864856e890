"""Failures of work are counted beside its attempts, because most attempts are only waits."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0002_constraints")]

    operations = [
        ops.AddField(model_name="Job", name="failures", field=fields.IntField(default=0, db_default=0)),
    ]
