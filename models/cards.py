"""Fuel cards that users have bound, when an issuer was last asked about one, and how the issuers stand."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from kernel.states import CardBrand
from models.fields import UtcDatetimeField
from models.identity import User


class FuelCard(Model):
    """A card of one user. The number is stored sealed, its keyed digest finds it again and its tail is for people.

    Where `organisation_id` is set, the card is the organisation's, and the user is only who has bound it.
    One that was unbound stays for the orders that name it, and is bound anew by being bound again.
    """

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    brand = fields.CharEnumField(CardBrand, max_length=16)
    number_sealed = fields.BinaryField()
    number_digest = fields.CharField(max_length=64)
    number_tail = fields.CharField(max_length=4)
    created_at = UtcDatetimeField()
    checked_at = UtcDatetimeField(null=True)
    organisation_id = fields.UUIDField(null=True)
    unbound_at = UtcDatetimeField(null=True)

    user_id: object

    class Meta:
        table = "fuel_card"
        unique_together = (("user", "number_digest"),)


class CardCheck(Model):
    """When issuers were last asked about a card, whoever has bound it: they answer once in a while only."""

    number_digest = fields.CharField(max_length=64, primary_key=True)
    checked_at = UtcDatetimeField()

    class Meta:
        table = "card_check"


class IssuerStanding(Model):
    """What is known of one issuer: its deposit with a time, and when it last failed to take what was sent."""

    name = fields.CharField(max_length=32, primary_key=True)
    deposit_fen = fields.BigIntField(null=True)
    deposit_at = UtcDatetimeField(null=True)
    unavailable_at = UtcDatetimeField(null=True)
    reason = fields.CharField(max_length=128)

    class Meta:
        table = "issuer_standing"
