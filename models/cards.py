"""Fuel cards that users have bound."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from kernel.states import CardBrand
from models.fields import UtcDatetimeField
from models.identity import User


class FuelCard(Model):
    """A card of one user. The number is stored sealed, its keyed digest finds it again and its tail is for people."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    brand = fields.CharEnumField(CardBrand, max_length=16)
    number_sealed = fields.BinaryField()
    number_digest = fields.CharField(max_length=64)
    number_tail = fields.CharField(max_length=4)
    created_at = UtcDatetimeField()

    user_id: object

    class Meta:
        table = "fuel_card"
        unique_together = (("user", "number_digest"),)
