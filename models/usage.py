"""Who still uses what is announced to go."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class DeprecatedUse(Model):
    """How often one client has asked for one deprecated part of the schema, by its coordinate.

    `client_id` is empty for whoever was not signed in.
    """

    id = fields.UUIDField(primary_key=True)
    client_id = fields.CharField(max_length=64)
    coordinate = fields.CharField(max_length=256)
    count = fields.BigIntField()
    first_used_at = UtcDatetimeField()
    last_used_at = UtcDatetimeField()

    class Meta:
        table = "deprecated_use"
        unique_together = (("client_id", "coordinate"),)
