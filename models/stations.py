"""Filling stations."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import StationBrand
from models.fields import UtcDatetimeField
from models.pricing import PriceZone


class Station(Model):
    """A station with its place in degrees (as the source gives them) and the price zone that it belongs to."""

    id = fields.UUIDField(primary_key=True)
    source_key = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=128)
    brand = fields.CharEnumField(StationBrand, max_length=16)
    address = fields.CharField(max_length=256)
    province = fields.CharField(max_length=32)
    city = fields.CharField(max_length=32)
    district = fields.CharField(max_length=32)
    latitude = fields.FloatField()
    longitude = fields.FloatField()
    zone: fields.ForeignKeyNullableRelation[PriceZone] = fields.ForeignKeyField(
        "models.PriceZone", null=True, on_delete=fields.SET_NULL
    )
    created_at = UtcDatetimeField()
    updated_at = UtcDatetimeField()

    zone_id: UUID | None

    class Meta:
        table = "station"
