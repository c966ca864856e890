"""Recharge orders, and every step that an order has taken."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import FailureKind, OrderState, RechargeState, RefundState, ReviewReason, ReviewState
from models.cards import FuelCard
from models.fields import UtcDatetimeField
from models.identity import User
from models.offers import Offer


class RechargeOrder(Model):
    """One recharge of one card. `version` counts transitions and guards each of them.

    `amount_fen` arrives on the card and `price_fen` is paid for it; they differ where an offer was taken. An order for
    a card of an organisation remembers that, and as which member the user has ordered it.
    """

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    card: fields.ForeignKeyRelation[FuelCard] = fields.ForeignKeyField("models.FuelCard", on_delete=fields.RESTRICT)
    offer: fields.ForeignKeyNullableRelation[Offer] = fields.ForeignKeyField(
        "models.Offer", null=True, on_delete=fields.RESTRICT
    )
    amount_fen = fields.BigIntField()
    price_fen = fields.BigIntField()
    state = fields.CharEnumField(OrderState, max_length=16)
    version = fields.IntField()
    failure_kind = fields.CharEnumField(FailureKind, max_length=16, null=True)
    refund_state = fields.CharEnumField(RefundState, max_length=16)
    review_state = fields.CharEnumField(ReviewState, max_length=16)
    review_reason = fields.CharEnumField(ReviewReason, max_length=16, null=True)
    pay_deadline_at = UtcDatetimeField()
    created_at = UtcDatetimeField()
    updated_at = UtcDatetimeField()
    # No foreign keys: those would take locks that a removal of the member waits for in another order.
    organisation_id = fields.UUIDField(null=True)
    member_id = fields.UUIDField(null=True)

    user_id: UUID
    card_id: UUID
    offer_id: UUID | None

    class Meta:
        table = "recharge_order"
        indexes = (("user_id", "id"), ("user_id", "state", "id"), ("user_id", "created_at"))


class OrderTransition(Model):
    """One row per step: who, what, when, from, to, why, and the request that caused it."""

    id = fields.UUIDField(primary_key=True)
    order: fields.ForeignKeyRelation[RechargeOrder] = fields.ForeignKeyField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    version = fields.IntField()
    rule = fields.IntField()
    trigger = fields.CharField(max_length=32)
    from_state = fields.CharEnumField(OrderState, max_length=16, null=True)
    to_state = fields.CharEnumField(OrderState, max_length=16)
    actor = fields.CharField(max_length=64)
    reason = fields.CharField(max_length=256)
    request_id = fields.CharField(max_length=64)
    occurred_at = UtcDatetimeField()

    order_id: UUID

    class Meta:
        table = "order_transition"
        unique_together = (("order", "version"),)


class RechargeAttempt(Model):
    """One submission to a card issuer. Its id is the issuer's idempotency key.

    `sends` counts how often it was sent under that id; more than once means that an answer is missing.
    """

    id = fields.UUIDField(primary_key=True)
    order: fields.ForeignKeyRelation[RechargeOrder] = fields.ForeignKeyField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    number = fields.IntField()
    issuer = fields.CharField(max_length=32)
    issuer_order_id = fields.CharField(max_length=64, null=True)
    state = fields.CharEnumField(RechargeState, max_length=16)
    cost_fen = fields.BigIntField(null=True)
    sends = fields.IntField(default=1, db_default=1)
    submitted_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    order_id: UUID

    class Meta:
        table = "recharge_attempt"
        unique_together = (("order", "number"), ("issuer", "issuer_order_id"))


class IdempotencyKey(Model):
    """A client's key for one mutation, the hash of the input it came with, and what it made."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    operation = fields.CharField(max_length=32)
    key = fields.CharField(max_length=64)
    input_hash = fields.CharField(max_length=64)
    result_id = fields.UUIDField()
    created_at = UtcDatetimeField()

    user_id: UUID

    class Meta:
        table = "idempotency_key"
        unique_together = (("user", "operation", "key"),)
