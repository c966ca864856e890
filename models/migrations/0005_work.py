"""Claims without an outcome are counted, kinds of work take turns, and what people do with parked work is kept."""

from uuid import uuid4

from models import migrating
from tortoise import fields
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops

from kernel.states import InterventionAction
from models.fields import UtcDatetimeField
from models.operations import AppendOnly, Check, PartialIndex

OPEN = "done_at IS NULL AND parked_at IS NULL"


class Migration(migrating.Migration):
    dependencies = [("models", "0004_lifecycle")]

    operations = [
        ops.CreateModel(
            name='JobIntervention',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('job', fields.ForeignKeyField('models.Job', source_field='job_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('actor', fields.CharField(max_length=64)),
                ('action', fields.CharEnumField(description='RETRY: RETRY\nDISMISS: DISMISS', enum_type=InterventionAction, max_length=16)),
                ('reason', fields.CharField(max_length=256)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'job_intervention', 'app': 'models', 'pk_attr': 'id', 'table_description': 'What a person did with parked work, and why. The rows are never changed, and their jobs are kept for them.'},
            bases=['Model'],
        ),
        ops.AddField(model_name="Job", name="claims", field=fields.IntField(default=0, db_default=0)),
        Check("job_intervention", "intervention_action_known", "action IN ('RETRY', 'DISMISS')"),
        Check("job_intervention", "intervention_explained", "actor <> '' AND reason <> ''"),
        AppendOnly("job_intervention"),
        PartialIndex("job_intervention", "intervention_by_job", "job_id", ""),
        # Each kind is read by itself, the oldest first, so that none can stand in another's way.
        ops.RunSQL('DROP INDEX "job_waiting"'),
        PartialIndex("job", "job_waiting", "kind, due_at", OPEN),
        PartialIndex("job", "job_suspect", "due_at", f"{OPEN} AND claims >= 2"),
        PartialIndex("job", "job_parked", "parked_at, id", "parked_at IS NOT NULL AND done_at IS NULL"),
        PartialIndex("job", "job_done", "done_at", "done_at IS NOT NULL"),
    ]
