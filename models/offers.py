"""Recharges at a price of their own, of which there are only so many."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import CardBrand, ReservationState
from models.fields import UtcDatetimeField


class Offer(Model):
    """`amount_fen` arrives on the card for `price_fen`. `stock_left` is what is neither reserved nor used."""

    id = fields.UUIDField(primary_key=True)
    code = fields.CharField(max_length=32, unique=True)
    title = fields.CharField(max_length=64)
    brand = fields.CharEnumField(CardBrand, max_length=16, null=True)
    amount_fen = fields.BigIntField()
    price_fen = fields.BigIntField()
    stock_total = fields.IntField()
    stock_left = fields.IntField()
    per_user_max = fields.IntField()
    starts_at = UtcDatetimeField()
    ends_at = UtcDatetimeField()
    created_at = UtcDatetimeField()
    updated_at = UtcDatetimeField()

    class Meta:
        table = "offer"


class OfferReservation(Model):
    """One piece of an offer's stock, held by one order. The id is the order's, so an order holds one at most."""

    id = fields.UUIDField(primary_key=True)
    offer: fields.ForeignKeyRelation[Offer] = fields.ForeignKeyField("models.Offer", on_delete=fields.RESTRICT)
    user_id = fields.UUIDField()
    state = fields.CharEnumField(ReservationState, max_length=16)
    created_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    offer_id: UUID

    class Meta:
        table = "offer_reservation"
        indexes = (("offer_id", "user_id", "state"),)
