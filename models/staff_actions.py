"""What people who work here have done and looked at."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class StaffAction(Model):
    """One action or look, with the object as it was before and as it is after. Never changed and never removed.

    Written in the transaction of the action itself. `position` counts without gaps, and `digest` is over this row and
    the digest of the one before, so that a row that was changed or taken out behind the database's back is noticed.
    """

    id = fields.UUIDField(primary_key=True)
    position = fields.BigIntField(unique=True)
    actor = fields.CharField(max_length=96)
    roles = fields.CharField(max_length=160)
    action = fields.CharField(max_length=64)
    object_type = fields.CharField(max_length=32)
    object_id = fields.CharField(max_length=96)
    reason = fields.CharField(max_length=256)
    before: fields.JSONField[Any] = fields.JSONField(null=True)
    after: fields.JSONField[Any] = fields.JSONField(null=True)
    request_id = fields.CharField(max_length=64)
    occurred_at = UtcDatetimeField()
    previous_digest = fields.CharField(max_length=64)
    digest = fields.CharField(max_length=64)

    class Meta:
        table = "staff_action"
        indexes = (("object_type", "object_id", "id"), ("actor", "id"), ("action", "id"))
