"""Work that must happen: a row first, a message second; and what people did with the work that was left to them."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import InterventionAction
from models.fields import UtcDatetimeField


class Job(Model):
    """One piece of work with its due time, attempts and lease. `parked_at` marks what waits for a person.

    `attempts` counts every run that ended, waiting for somebody else included; `failures` those that failed since the
    last wait; `claims` those that began since the last outcome, so a worker that dies leaves its mark. `lease_owner`
    names the worker and this one claim of its.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharField(max_length=32)
    key = fields.CharField(max_length=96)
    payload: fields.JSONField[dict[str, str]] = fields.JSONField()
    due_at = UtcDatetimeField()
    attempts = fields.IntField()
    failures = fields.IntField(default=0, db_default=0)
    claims = fields.IntField(default=0, db_default=0)
    lease_until = UtcDatetimeField(null=True)
    lease_owner = fields.CharField(max_length=64, null=True)
    last_error = fields.CharField(max_length=256, null=True)
    created_at = UtcDatetimeField()
    done_at = UtcDatetimeField(null=True)
    parked_at = UtcDatetimeField(null=True)

    class Meta:
        table = "job"
        unique_together = (("kind", "key"),)


class JobIntervention(Model):
    """What a person did with parked work, and why. The rows are never changed, and their jobs are kept for them."""

    id = fields.UUIDField(primary_key=True)
    job: fields.ForeignKeyRelation[Job] = fields.ForeignKeyField("models.Job", on_delete=fields.RESTRICT)
    actor = fields.CharField(max_length=64)
    action = fields.CharEnumField(InterventionAction, max_length=16)
    reason = fields.CharField(max_length=256)
    occurred_at = UtcDatetimeField()

    job_id: UUID

    class Meta:
        table = "job_intervention"
