"""Work that must happen: a row first, a message second."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class Job(Model):
    """One piece of work with its due time, attempts and lease. `parked_at` marks what waits for a person.

    `attempts` counts every run, waiting for somebody else included; `failures` those that failed since the last wait.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharField(max_length=32)
    key = fields.CharField(max_length=96)
    payload: fields.JSONField[dict[str, str]] = fields.JSONField()
    due_at = UtcDatetimeField()
    attempts = fields.IntField()
    failures = fields.IntField(default=0, db_default=0)
    lease_until = UtcDatetimeField(null=True)
    lease_owner = fields.CharField(max_length=64, null=True)
    last_error = fields.CharField(max_length=256, null=True)
    created_at = UtcDatetimeField()
    done_at = UtcDatetimeField(null=True)
    parked_at = UtcDatetimeField(null=True)

    class Meta:
        table = "job"
        unique_together = (("kind", "key"),)
