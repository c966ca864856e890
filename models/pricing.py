"""Official retail prices by price zone, and which region lies in which zone."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import HeldPriceState, Product
from models.fields import UtcDatetimeField


class PriceZone(Model):
    """A zone of one province in which every station has the same official price."""

    id = fields.UUIDField(primary_key=True)
    province_code = fields.CharField(max_length=6)
    province_name = fields.CharField(max_length=32)
    code = fields.CharField(max_length=32)
    name = fields.CharField(max_length=64)

    class Meta:
        table = "price_zone"
        unique_together = (("province_code", "code"),)


class PriceRegion(Model):
    """A province, city or county by its full short name (云南临沧临翔) and the zone it lies in."""

    id = fields.UUIDField(primary_key=True)
    region = fields.CharField(max_length=64, unique=True)
    province_code = fields.CharField(max_length=6)
    zone: fields.ForeignKeyRelation[PriceZone] = fields.ForeignKeyField("models.PriceZone", on_delete=fields.RESTRICT)

    zone_id: UUID

    class Meta:
        table = "price_region"


class Price(Model):
    """The price of one product in one zone from one moment on, in thousandths of a yuan per litre."""

    id = fields.UUIDField(primary_key=True)
    zone: fields.ForeignKeyRelation[PriceZone] = fields.ForeignKeyField("models.PriceZone", on_delete=fields.RESTRICT)
    product = fields.CharEnumField(Product, max_length=4)
    milliyuan_per_litre = fields.IntField()
    effective_from = UtcDatetimeField()
    source = fields.CharField(max_length=128)
    source_url = fields.CharField(max_length=512)
    created_at = UtcDatetimeField()
    updated_at = UtcDatetimeField()

    zone_id: UUID

    class Meta:
        table = "price"
        unique_together = (("zone", "product", "effective_from"),)


class PriceDocument(Model):
    """A version of a province's prices that was taken from the price platform, known by its digest."""

    id = fields.UUIDField(primary_key=True)
    province_code = fields.CharField(max_length=6)
    version = fields.BigIntField()
    digest = fields.CharField(max_length=64)
    adjusted_on = fields.DateField()
    received_at = UtcDatetimeField()

    class Meta:
        table = "price_document"
        unique_together = (("province_code", "version"),)


class HeldPrice(Model):
    """A price that moves too much to be published by a machine until a person releases it."""

    id = fields.UUIDField(primary_key=True)
    province_code = fields.CharField(max_length=6)
    zone_code = fields.CharField(max_length=32)
    product = fields.CharEnumField(Product, max_length=4)
    milliyuan_per_litre = fields.IntField()
    previous_milliyuan = fields.IntField(null=True)
    effective_from = UtcDatetimeField()
    source = fields.CharField(max_length=128)
    source_url = fields.CharField(max_length=512)
    version = fields.BigIntField()
    state = fields.CharEnumField(HeldPriceState, max_length=16)
    held_at = UtcDatetimeField()
    decided_at = UtcDatetimeField(null=True)
    decided_by = fields.CharField(max_length=64, null=True)
    reason = fields.CharField(max_length=256, null=True)

    class Meta:
        table = "held_price"
        unique_together = (("province_code", "version", "zone_code", "product"),)
