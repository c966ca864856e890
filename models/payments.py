"""Attempts to pay an order, refunds of it, and what the third parties told us."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import PaymentState, RefundState
from models.fields import UtcDatetimeField
from models.identity import User
from models.orders import RechargeOrder


class PaymentAttempt(Model):
    """One merchant order at a payment channel."""

    id = fields.UUIDField(primary_key=True)
    order: fields.ForeignKeyRelation[RechargeOrder] = fields.ForeignKeyField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    number = fields.IntField()
    channel = fields.CharField(max_length=32)
    sub_mchid = fields.CharField(max_length=32)
    out_trade_no = fields.CharField(max_length=32, unique=True)
    amount_fen = fields.BigIntField()
    state = fields.CharEnumField(PaymentState, max_length=16)
    prepay_id = fields.CharField(max_length=64, null=True)
    transaction_id = fields.CharField(max_length=64, null=True, unique=True)
    created_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    order_id: UUID

    class Meta:
        table = "payment_attempt"
        unique_together = (("order", "number"),)


class Refund(Model):
    """Money on its way back by the route it came. `out_refund_no` is reused on every retry."""

    id = fields.UUIDField(primary_key=True)
    order: fields.ForeignKeyRelation[RechargeOrder] = fields.ForeignKeyField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    attempt: fields.OneToOneRelation[PaymentAttempt] = fields.OneToOneField(
        "models.PaymentAttempt", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    out_refund_no = fields.CharField(max_length=64, unique=True)
    amount_fen = fields.BigIntField()
    state = fields.CharEnumField(RefundState, max_length=16)
    channel_refund_id = fields.CharField(max_length=64, null=True)
    created_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    order_id: UUID
    attempt_id: UUID

    class Meta:
        table = "refund"


class WalletTopUp(Model):
    """Money that a user pays into the wallet: one merchant order at a payment channel."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    channel = fields.CharField(max_length=32)
    sub_mchid = fields.CharField(max_length=32)
    out_trade_no = fields.CharField(max_length=32, unique=True)
    amount_fen = fields.BigIntField()
    state = fields.CharEnumField(PaymentState, max_length=16)
    prepay_id = fields.CharField(max_length=64, null=True)
    transaction_id = fields.CharField(max_length=64, null=True, unique=True)
    pay_deadline_at = UtcDatetimeField()
    created_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    user_id: UUID

    class Meta:
        table = "wallet_top_up"
        indexes = (("user_id", "id"),)


class ThirdPartyNotice(Model):
    """A callback whose signature was good, stored once before anything is done about it."""

    id = fields.UUIDField(primary_key=True)
    source = fields.CharField(max_length=32)
    notice_id = fields.CharField(max_length=64)
    facts: fields.JSONField[dict[str, object]] = fields.JSONField()
    received_at = UtcDatetimeField()
    applied_at = UtcDatetimeField(null=True)

    class Meta:
        table = "third_party_notice"
        unique_together = (("source", "notice_id"),)
