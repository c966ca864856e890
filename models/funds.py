"""Money in escrow: transfers by the bank, whom they may go to, settlements that arrived, and what is insured."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from kernel.fund_states import (
    ClaimState,
    FundStepKind,
    FundSubject,
    IncidentKind,
    PayeeKind,
    PayeeState,
    TransferKind,
    TransferState,
)
from models.fields import UtcDatetimeField


class FundPayee(Model):
    """A bank account that withdrawals may go to, and the ledger's account that they are booked to.

    The number is sealed; `account_digest` finds it again and `account_masked` is what people see. Nothing of it ever
    changes but its state: another account is another row.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharEnumField(PayeeKind, max_length=16)
    party = fields.CharField(max_length=32)
    name = fields.CharField(max_length=64)
    bank_code = fields.CharField(max_length=12)
    account_sealed = fields.BinaryField()
    account_digest = fields.CharField(max_length=64)
    account_masked = fields.CharField(max_length=32)
    state = fields.CharEnumField(PayeeState, max_length=16)
    version = fields.IntField()
    reason = fields.CharField(max_length=256)
    proposed_by = fields.UUIDField()
    proposed_at = UtcDatetimeField()
    approved_by = fields.UUIDField(null=True)
    approved_at = UtcDatetimeField(null=True)
    ended_at = UtcDatetimeField(null=True)

    class Meta:
        table = "fund_payee"


class FundTransfer(Model):
    """One transfer by the bank out of an escrow account, from its proposal to its end.

    `version` counts every change, and approvals name it. Its money is held in the ledger under `round`, which counts
    how often it was held. `reference` is what the bank knows it by. A movement between our own accounts keeps what it
    leaves in the reserve and in all. `proposed_by` is empty where the rule of the sweep has begun it.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharEnumField(TransferKind, max_length=16)
    reference = fields.CharField(max_length=32, unique=True)
    state = fields.CharEnumField(TransferState, max_length=24)
    version = fields.IntField()
    round = fields.IntField()
    source_account = fields.CharField(max_length=96)
    target_account = fields.CharField(max_length=96)
    payee_id = fields.UUIDField(null=True)
    payee_version = fields.IntField(null=True)
    amount_fen = fields.BigIntField()
    needs_director = fields.BooleanField()
    digest = fields.CharField(max_length=64)
    reserve_after_fen = fields.BigIntField(null=True)
    total_after_fen = fields.BigIntField(null=True)
    reserve_min_basis_points = fields.IntField(null=True)
    reason = fields.CharField(max_length=256)
    idempotency_key = fields.CharField(max_length=64, null=True)
    input_hash = fields.CharField(max_length=64, null=True)
    proposed_by = fields.UUIDField(null=True)
    proposed_at = UtcDatetimeField()
    checked_by = fields.UUIDField(null=True)
    checked_at = UtcDatetimeField(null=True)
    directed_by = fields.UUIDField(null=True)
    directed_at = UtcDatetimeField(null=True)
    expires_at = UtcDatetimeField()
    sent_at = UtcDatetimeField(null=True)
    settled_at = UtcDatetimeField(null=True)
    bank_reference = fields.CharField(max_length=64, null=True)
    failure = fields.CharField(max_length=256, null=True)

    class Meta:
        table = "fund_transfer"
        unique_together = (("proposed_by", "idempotency_key"),)
        indexes = (("state", "id"), ("payee_id", "id"))


class FundStep(Model):
    """One line of the story of a transfer, payee, policy or claim: who did what, when and why. Never changed.

    `digest` is that of what it was done to. `second_factor_step` is the time step of the code that it was signed with,
    which is good for one line of a person.
    """

    id = fields.UUIDField(primary_key=True)
    subject = fields.CharEnumField(FundSubject, max_length=16)
    subject_id = fields.UUIDField()
    version = fields.IntField()
    step = fields.CharEnumField(FundStepKind, max_length=16)
    from_state = fields.CharField(max_length=24, null=True)
    to_state = fields.CharField(max_length=24)
    digest = fields.CharField(max_length=64)
    staff_id = fields.UUIDField(null=True)
    second_factor_step = fields.BigIntField(null=True)
    reason = fields.CharField(max_length=256)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "fund_step"
        unique_together = (("subject_id", "version"), ("staff_id", "second_factor_step"))


class FundSweep(Model):
    """What one sweep found and did. Never changed.

    `business_day` is in Asia/Shanghai; `cause` is the settlement that it follows, and empty for the day's own sweep.
    `amount_fen` is what it moves: into the reserve where positive, out of it where negative.
    """

    id = fields.UUIDField(primary_key=True)
    business_day = fields.DateField()
    cause = fields.CharField(max_length=36)
    forecast_fen = fields.BigIntField(null=True)
    operating_fen = fields.BigIntField()
    reserve_fen = fields.BigIntField()
    total_fen = fields.BigIntField()
    target_fen = fields.BigIntField()
    amount_fen = fields.BigIntField()
    transfer_id = fields.UUIDField(null=True)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "fund_sweep"
        unique_together = (("business_day", "cause"),)


class FundSettlement(Model):
    """What a channel paid out for one merchant and one day of trade (Asia/Shanghai). Never changed.

    `arrived_fen` is what the bank has of it, `gross_fen - fee_fen` what was expected.
    """

    id = fields.UUIDField(primary_key=True)
    channel = fields.CharField(max_length=32)
    sub_mchid = fields.CharField(max_length=32)
    business_day = fields.DateField()
    reference = fields.CharField(max_length=96, unique=True)
    bank_reference = fields.CharField(max_length=64, unique=True)
    gross_fen = fields.BigIntField()
    fee_fen = fields.BigIntField()
    arrived_fen = fields.BigIntField()
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "fund_settlement"
        unique_together = (("channel", "sub_mchid", "business_day"),)


class InsurancePolicy(Model):
    """What an insurer covers, between two days (both included), above the deductible of each claim. Never changed."""

    id = fields.UUIDField(primary_key=True)
    insurer = fields.CharField(max_length=64)
    number = fields.CharField(max_length=64, unique=True)
    cover_fen = fields.BigIntField()
    deductible_fen = fields.BigIntField()
    premium_fen = fields.BigIntField()
    starts_on = fields.DateField()
    ends_on = fields.DateField()
    registered_by = fields.UUIDField()
    created_at = UtcDatetimeField()

    class Meta:
        table = "insurance_policy"


class InsuranceClaim(Model):
    """What we want of an insurer for one incident. `accepted_fen` is what they grant, and what PAID has booked."""

    id = fields.UUIDField(primary_key=True)
    policy_id = fields.UUIDField()
    incident_kind = fields.CharEnumField(IncidentKind, max_length=16)
    incident_id = fields.UUIDField()
    state = fields.CharEnumField(ClaimState, max_length=16)
    version = fields.IntField()
    amount_fen = fields.BigIntField()
    accepted_fen = fields.BigIntField(null=True)
    bank_reference = fields.CharField(max_length=64, null=True, unique=True)
    reason = fields.CharField(max_length=256)
    filed_by = fields.UUIDField()
    filed_at = UtcDatetimeField()
    accepted_by = fields.UUIDField(null=True)
    accepted_at = UtcDatetimeField(null=True)
    paid_by = fields.UUIDField(null=True)
    settled_at = UtcDatetimeField(null=True)

    class Meta:
        table = "insurance_claim"
        indexes = (("state", "id"), ("policy_id", "id"))
