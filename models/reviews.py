"""What people look at: large orders before they are recharged, errors, and cases that take two to decide."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.states import CaseKind, CaseOutcome, CaseState, ErrorKind, FaceCheckState, ReviewReason, ReviewState
from models.fields import UtcDatetimeField
from models.orders import RechargeOrder


class Review(Model):
    """A paid order that waits for somebody who did not make it. `decided_by` is a member of staff."""

    id = fields.UUIDField(primary_key=True)
    order: fields.OneToOneRelation[RechargeOrder] = fields.OneToOneField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    reason = fields.CharEnumField(ReviewReason, max_length=16)
    state = fields.CharEnumField(ReviewState, max_length=16)
    deadline_at = UtcDatetimeField()
    created_at = UtcDatetimeField()
    decided_by = fields.UUIDField(null=True)
    decided_at = UtcDatetimeField(null=True)

    order_id: UUID

    class Meta:
        table = "review"


class FaceCheck(Model):
    """A face verification that was begun for one order of one user, and whose token works once."""

    id = fields.UUIDField(primary_key=True)
    order: fields.ForeignKeyRelation[RechargeOrder] = fields.ForeignKeyField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    token = fields.CharField(max_length=128, unique=True)
    state = fields.CharEnumField(FaceCheckState, max_length=16)
    expires_at = UtcDatetimeField()
    created_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    order_id: UUID

    class Meta:
        table = "face_check"


class ErrorEntry(Model):
    """One row of the error ledger: what went wrong with an order's money, never changed and never removed."""

    id = fields.UUIDField(primary_key=True)
    key = fields.CharField(max_length=96, unique=True)
    kind = fields.CharEnumField(ErrorKind, max_length=32)
    order_id = fields.UUIDField(null=True, db_index=True)
    user_id = fields.UUIDField()
    amount_fen = fields.BigIntField()
    detail = fields.CharField(max_length=256)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "error_entry"


class ManualCase(Model):
    """What two people decide: one proposes an outcome, another one approves it.

    `version` counts the proposals, so that an approval is of one of them.
    """

    id = fields.UUIDField(primary_key=True)
    key = fields.CharField(max_length=96, unique=True)
    kind = fields.CharEnumField(CaseKind, max_length=16)
    order: fields.ForeignKeyRelation[RechargeOrder] = fields.ForeignKeyField(
        "models.RechargeOrder", on_delete=fields.RESTRICT
    )
    user_id = fields.UUIDField()
    # The recharge that it is about, of the several that an order may have.
    attempt_id = fields.UUIDField(null=True)
    amount_fen = fields.BigIntField()
    state = fields.CharEnumField(CaseState, max_length=16)
    version = fields.IntField(default=1, db_default=1)
    outcome = fields.CharEnumField(CaseOutcome, max_length=16, null=True)
    reason = fields.CharField(max_length=256)
    proposed_by = fields.UUIDField(null=True)
    proposed_at = UtcDatetimeField(null=True)
    approved_by = fields.UUIDField(null=True)
    approved_at = UtcDatetimeField(null=True)
    created_at = UtcDatetimeField()

    order_id: UUID

    class Meta:
        table = "manual_case"
        indexes = (("state", "id"),)
