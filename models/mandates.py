"""Mandates: what a user allows the service to deduct without a password, and onto which cards."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import MandateState
from models.cards import FuelCard
from models.fields import UtcDatetimeField
from models.identity import User


class Mandate(Model):
    """One contract (委托代扣协议) at a payment channel, and the terms under which it may be used.

    `contract_id` comes with the signature. `version` counts the changes and guards each of them.
    """

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    channel = fields.CharField(max_length=32)
    sub_mchid = fields.CharField(max_length=32)
    out_contract_code = fields.CharField(max_length=32, unique=True)
    contract_id = fields.CharField(max_length=64, null=True)
    state = fields.CharEnumField(MandateState, max_length=16)
    version = fields.IntField()
    transaction_max_fen = fields.BigIntField()
    daily_max_fen = fields.BigIntField()
    signing_until = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    created_at = UtcDatetimeField()
    signed_at = UtcDatetimeField(null=True)
    ended_at = UtcDatetimeField(null=True)

    user_id: UUID

    class Meta:
        table = "mandate"
        indexes = (("user_id", "id"),)


class MandateCard(Model):
    """A card that a mandate may pay for."""

    id = fields.UUIDField(primary_key=True)
    mandate: fields.ForeignKeyRelation[Mandate] = fields.ForeignKeyField("models.Mandate", on_delete=fields.RESTRICT)
    card: fields.ForeignKeyRelation[FuelCard] = fields.ForeignKeyField("models.FuelCard", on_delete=fields.RESTRICT)
    user_id = fields.UUIDField()

    mandate_id: UUID
    card_id: UUID

    class Meta:
        table = "mandate_card"
        unique_together = (("mandate", "card"),)
