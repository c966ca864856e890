"""Bills of third parties compared with our books: the runs, what they found, and what became of it."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from kernel.states import (
    BillEntryKind,
    DifferenceClass,
    DifferenceOutcome,
    DifferenceState,
    DifferenceStep,
    ReconciliationState,
)
from models.fields import UtcDatetimeField


class ReconciliationRun(Model):
    """One bill of one business day (Asia/Shanghai), known by the digest of its file.

    The same bill again is the same row and another pass. One run of a source works at a time, under a lease. A bill
    that could not be used has no digest, and a reason.
    """

    id = fields.UUIDField(primary_key=True)
    source = fields.CharField(max_length=64)
    business_day = fields.DateField()
    digest = fields.CharField(max_length=64)
    state = fields.CharEnumField(ReconciliationState, max_length=16)
    reason = fields.CharField(max_length=256)
    passes = fields.IntField()
    pass_id = fields.UUIDField()
    lease_owner = fields.CharField(max_length=64, null=True)
    lease_until = UtcDatetimeField(null=True)
    bill_line_count = fields.IntField()
    book_line_count = fields.IntField()
    matched_count = fields.IntField()
    difference_count = fields.IntField()
    bill_fen = fields.BigIntField()
    book_fen = fields.BigIntField()
    counts: fields.JSONField[dict[str, int]] = fields.JSONField()
    begun_at = UtcDatetimeField()
    finished_at = UtcDatetimeField(null=True)

    class Meta:
        table = "reconciliation_run"
        unique_together = (("source", "business_day", "digest"),)


class ReconciliationDifference(Model):
    """What a bill and our books say differently of one key.

    `figures` is what both said, so other figures are another row. `amount_fen` is what the bill says more than our
    books on the party's account; `suspended` says whether that was booked there, against suspense. `bill_moved_fen` is
    what the bill says of that account, to compare it again later. `round` counts how often the row was found after it
    had gone, and `version` every change.
    """

    id = fields.UUIDField(primary_key=True)
    source = fields.CharField(max_length=64)
    business_day = fields.DateField()
    kind = fields.CharEnumField(BillEntryKind, max_length=16)
    key = fields.CharField(max_length=96)
    difference_class = fields.CharEnumField(DifferenceClass, max_length=16)
    figures = fields.CharField(max_length=160)
    amount_fen = fields.BigIntField()
    book_fen = fields.BigIntField(null=True)
    book_state = fields.CharField(max_length=32, null=True)
    bill_fen = fields.BigIntField(null=True)
    bill_state = fields.CharField(max_length=32, null=True)
    bill_standing = fields.CharField(max_length=16, null=True)
    bill_moved_fen = fields.BigIntField(null=True)
    reference = fields.CharField(max_length=96)
    owner_id = fields.UUIDField(null=True)
    run_id = fields.UUIDField()
    seen_pass = fields.UUIDField()
    state = fields.CharEnumField(DifferenceState, max_length=16)
    suspended = fields.BooleanField()
    round = fields.IntField()
    version = fields.IntField()
    outcome = fields.CharEnumField(DifferenceOutcome, max_length=16, null=True)
    reason = fields.CharField(max_length=256)
    proposed_by = fields.UUIDField(null=True)
    proposed_at = UtcDatetimeField(null=True)
    approved_by = fields.UUIDField(null=True)
    approved_at = UtcDatetimeField(null=True)
    found_at = UtcDatetimeField()
    opened_at = UtcDatetimeField(null=True)

    class Meta:
        table = "reconciliation_difference"
        unique_together = (("source", "business_day", "kind", "key", "difference_class", "figures"),)
        indexes = (("source", "kind", "key"), ("state", "id"))


class ReconciliationStep(Model):
    """One line of a difference's story: what happened, from which state to which, who did it and why. Never changed."""

    id = fields.UUIDField(primary_key=True)
    difference_id = fields.UUIDField()
    version = fields.IntField()
    step = fields.CharEnumField(DifferenceStep, max_length=16)
    from_state = fields.CharEnumField(DifferenceState, max_length=16, null=True)
    to_state = fields.CharEnumField(DifferenceState, max_length=16)
    amount_fen = fields.BigIntField()
    outcome = fields.CharEnumField(DifferenceOutcome, max_length=16, null=True)
    actor = fields.CharField(max_length=64)
    reason = fields.CharField(max_length=256)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "reconciliation_step"
        unique_together = (("difference_id", "version"),)


class ReconciliationCrossing(Model):
    """A key that the bill of one day has and our books another: paid before midnight, say, and known to us after it."""

    id = fields.UUIDField(primary_key=True)
    source = fields.CharField(max_length=64)
    kind = fields.CharEnumField(BillEntryKind, max_length=16)
    key = fields.CharField(max_length=96)
    bill_day = fields.DateField()
    seen_pass = fields.UUIDField()

    class Meta:
        table = "reconciliation_crossing"
        unique_together = (("source", "kind", "key", "bill_day"),)
