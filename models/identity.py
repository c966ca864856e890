"""Who uses the service."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class User(Model):
    """A person, known by the mini-program's openid."""

    id = fields.UUIDField(primary_key=True)
    openid = fields.CharField(max_length=64, unique=True)
    display_name = fields.CharField(max_length=64)
    created_at = UtcDatetimeField()

    class Meta:
        table = "user_account"


class StaffMember(Model):
    """Somebody who works here. `customer_id` is the account that they recharge with, if they have one."""

    id = fields.UUIDField(primary_key=True)
    name = fields.CharField(max_length=64, unique=True)
    roles: fields.JSONField[list[str]] = fields.JSONField()
    customer_id = fields.UUIDField(null=True)
    created_at = UtcDatetimeField()
    left_at = UtcDatetimeField(null=True)

    class Meta:
        table = "staff_member"
