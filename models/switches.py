"""What whoever runs the service has switched on and off."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from kernel.states import Switch
from models.fields import UtcDatetimeField


class SwitchChange(Model):
    """One turn of a switch, of which the last one says how it stands.

    `position` is that of its event, so turns are in an order.
    """

    id = fields.UUIDField(primary_key=True)
    position = fields.BigIntField(unique=True)
    switch = fields.CharEnumField(Switch, max_length=32)
    on = fields.BooleanField()
    reason = fields.CharField(max_length=256)
    notice = fields.CharField(max_length=256, null=True)
    until = UtcDatetimeField(null=True)
    changed_by = fields.CharField(max_length=96)
    changed_at = UtcDatetimeField()

    class Meta:
        table = "switch_change"
        indexes = (("switch", "position"),)
