"""What a user protects: second proofs of who asks, the payment password, and limits of their own."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from kernel.access_states import StepUpAction, StepUpState
from models.fields import UtcDatetimeField


class StepUpChallenge(Model):
    """A second proof for one action with one content, which gives one grant that is used once.

    `content_digest` is keyed, and `grant_hash` is there once the proof was given. `session_id` is of who asked.
    """

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    session_id = fields.UUIDField(null=True)
    action = fields.CharEnumField(StepUpAction, max_length=32)
    content_digest = fields.CharField(max_length=64)
    face_token = fields.CharField(max_length=128, unique=True)
    state = fields.CharEnumField(StepUpState, max_length=16)
    attempts = fields.IntField()
    grant_hash = fields.CharField(max_length=64, null=True, unique=True)
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    grant_expires_at = UtcDatetimeField(null=True)
    used_at = UtcDatetimeField(null=True)

    class Meta:
        table = "step_up_challenge"
        indexes = [Index(fields=["user_id", "created_at"]), Index(fields=["expires_at"])]


class PaymentPassword(Model):
    """支付密码: the scrypt digest of a keyed digest of six digits, and the wrong tries since the last right one."""

    user_id: fields.UUIDField[UUID] = fields.UUIDField(primary_key=True)
    password_hash = fields.CharField(max_length=256)
    failures = fields.IntField()
    locked_until = UtcDatetimeField(null=True)
    changed_at = UtcDatetimeField()

    class Meta:
        table = "payment_password"


class SpendingLimits(Model):
    """The limits that a user has set themselves, in fen. Without one the limits of the service hold alone."""

    user_id: fields.UUIDField[UUID] = fields.UUIDField(primary_key=True)
    per_recharge_fen = fields.BigIntField(null=True)
    per_day_fen = fields.BigIntField(null=True)
    changed_at = UtcDatetimeField()

    class Meta:
        table = "spending_limits"
