"""Attempts to pay an order, refunds of it, and what the third parties told us."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import HealthMark, PaymentMethod, PaymentState, RefundState
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
    # Of a deduction: by which mandate, and when the channel was asked for it last.
    mandate_id = fields.UUIDField(null=True)
    asked_at = UtcDatetimeField(null=True)
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


class ChannelPayer(Model):
    """Who a user is at a channel, as the channel says. Of the code that it was asked by a digest is kept."""

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    method = fields.CharEnumField(PaymentMethod, max_length=16)
    payer_id = fields.CharField(max_length=64)
    code_digest = fields.CharField(max_length=64)
    linked_at = UtcDatetimeField()

    class Meta:
        table = "channel_payer"
        unique_together = (("user_id", "method"),)


class ChannelHealth(Model):
    """How one line to a payment channel has done lately, for all processes. The version counts the changes."""

    id = fields.UUIDField(primary_key=True)
    line = fields.CharField(max_length=96, unique=True)
    mark = fields.CharEnumField(HealthMark, max_length=16)
    failures = fields.IntField()
    since = UtcDatetimeField()
    failed_at = UtcDatetimeField(null=True)
    probe_at = UtcDatetimeField(null=True)
    version = fields.IntField()

    class Meta:
        table = "channel_health"


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


class CallbackNonce(Model):
    """A nonce that a sender has used: it is good for one body. Kept until no signature with it can be fresh."""

    id = fields.UUIDField(primary_key=True)
    signer = fields.CharField(max_length=64)
    nonce = fields.CharField(max_length=64)
    body_digest = fields.CharField(max_length=64)
    used_at = UtcDatetimeField(db_index=True)

    class Meta:
        table = "callback_nonce"
        unique_together = (("signer", "nonce"),)
