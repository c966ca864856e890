"""Bills of third parties compared with our books: runs, differences and their stories, and what crosses midnight."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import BillEntryKind, DifferenceClass, DifferenceOutcome, DifferenceState, DifferenceStep, ReconciliationState
from models.fields import UtcDatetimeField
from models.operations import AppendOnly, AppendOnlyRows, Check, PartialIndex
from orjson import loads
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index


class Migration(migrating.Migration):
    dependencies = [('models', '0015_issuers')]

    initial = False

    operations = [
        ops.CreateModel(
            name='ReconciliationCrossing',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('source', fields.CharField(max_length=64)),
                ('kind', fields.CharEnumField(description='PAYMENT: PAYMENT\nREFUND: REFUND\nRECHARGE: RECHARGE\nREVERSAL: REVERSAL\nTRANSFER: TRANSFER', enum_type=BillEntryKind, max_length=16)),
                ('key', fields.CharField(max_length=96)),
                ('bill_day', fields.DateField()),
                ('seen_pass', fields.UUIDField()),
            ],
            options={'table': 'reconciliation_crossing', 'app': 'models', 'unique_together': (('source', 'kind', 'key', 'bill_day'),), 'pk_attr': 'id', 'table_description': 'A key that the bill of one day has and our books another: paid before midnight, say, and known to us after it.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ReconciliationDifference',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('source', fields.CharField(max_length=64)),
                ('business_day', fields.DateField()),
                ('kind', fields.CharEnumField(description='PAYMENT: PAYMENT\nREFUND: REFUND\nRECHARGE: RECHARGE\nREVERSAL: REVERSAL\nTRANSFER: TRANSFER', enum_type=BillEntryKind, max_length=16)),
                ('key', fields.CharField(max_length=96)),
                ('difference_class', fields.CharEnumField(description='AMOUNT_DIFF: AMOUNT_DIFF\nSTATUS_DIFF: STATUS_DIFF\nLONG: LONG\nSHORT: SHORT\nDUPLICATE: DUPLICATE\nOVERTAKEN: OVERTAKEN', enum_type=DifferenceClass, max_length=16)),
                ('figures', fields.CharField(max_length=160)),
                ('amount_fen', fields.BigIntField()),
                ('book_fen', fields.BigIntField(null=True)),
                ('book_state', fields.CharField(null=True, max_length=32)),
                ('bill_fen', fields.BigIntField(null=True)),
                ('bill_state', fields.CharField(null=True, max_length=32)),
                ('bill_standing', fields.CharField(null=True, max_length=16)),
                ('bill_moved_fen', fields.BigIntField(null=True)),
                ('reference', fields.CharField(max_length=96)),
                ('owner_id', fields.UUIDField(null=True)),
                ('run_id', fields.UUIDField()),
                ('seen_pass', fields.UUIDField()),
                ('state', fields.CharEnumField(description='WAITING: WAITING\nOPEN: OPEN\nPROPOSED: PROPOSED\nRESOLVED: RESOLVED\nSELF_RESOLVED: SELF_RESOLVED\nOVERTAKEN: OVERTAKEN', enum_type=DifferenceState, max_length=16)),
                ('suspended', fields.BooleanField()),
                ('round', fields.IntField()),
                ('version', fields.IntField()),
                ('outcome', fields.CharEnumField(null=True, description='REFUND: REFUND\nTRANSIT: TRANSIT\nWRITE_OFF: WRITE_OFF', enum_type=DifferenceOutcome, max_length=16)),
                ('reason', fields.CharField(max_length=256)),
                ('proposed_by', fields.UUIDField(null=True)),
                ('proposed_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('approved_by', fields.UUIDField(null=True)),
                ('approved_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('found_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('opened_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'reconciliation_difference', 'app': 'models', 'unique_together': (('source', 'business_day', 'kind', 'key', 'difference_class', 'figures'),), 'indexes': [Index(fields=['source', 'kind', 'key']), Index(fields=['state', 'id'])], 'pk_attr': 'id', 'table_description': 'What a bill and our books say differently of one key.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ReconciliationRun',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('source', fields.CharField(max_length=64)),
                ('business_day', fields.DateField()),
                ('digest', fields.CharField(max_length=64)),
                ('state', fields.CharEnumField(description='RUNNING: RUNNING\nDONE: DONE\nREFUSED: REFUSED\nSTOPPED: STOPPED', enum_type=ReconciliationState, max_length=16)),
                ('reason', fields.CharField(max_length=256)),
                ('passes', fields.IntField()),
                ('pass_id', fields.UUIDField()),
                ('lease_owner', fields.CharField(null=True, max_length=64)),
                ('lease_until', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('bill_line_count', fields.IntField()),
                ('book_line_count', fields.IntField()),
                ('matched_count', fields.IntField()),
                ('difference_count', fields.IntField()),
                ('bill_fen', fields.BigIntField()),
                ('book_fen', fields.BigIntField()),
                ('counts', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('begun_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('finished_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'reconciliation_run', 'app': 'models', 'unique_together': (('source', 'business_day', 'digest'),), 'pk_attr': 'id', 'table_description': 'One bill of one business day (Asia/Shanghai), known by the digest of its file.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ReconciliationStep',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('difference_id', fields.UUIDField()),
                ('version', fields.IntField()),
                ('step', fields.CharEnumField(description='FOUND: FOUND\nGRACE_OVER: GRACE_OVER\nFOUND_AGAIN: FOUND_AGAIN\nPROPOSED: PROPOSED\nAPPROVED: APPROVED\nSELF_RESOLVED: SELF_RESOLVED\nOVERTAKEN: OVERTAKEN', enum_type=DifferenceStep, max_length=16)),
                ('from_state', fields.CharEnumField(null=True, description='WAITING: WAITING\nOPEN: OPEN\nPROPOSED: PROPOSED\nRESOLVED: RESOLVED\nSELF_RESOLVED: SELF_RESOLVED\nOVERTAKEN: OVERTAKEN', enum_type=DifferenceState, max_length=16)),
                ('to_state', fields.CharEnumField(description='WAITING: WAITING\nOPEN: OPEN\nPROPOSED: PROPOSED\nRESOLVED: RESOLVED\nSELF_RESOLVED: SELF_RESOLVED\nOVERTAKEN: OVERTAKEN', enum_type=DifferenceState, max_length=16)),
                ('amount_fen', fields.BigIntField()),
                ('outcome', fields.CharEnumField(null=True, description='REFUND: REFUND\nTRANSIT: TRANSIT\nWRITE_OFF: WRITE_OFF', enum_type=DifferenceOutcome, max_length=16)),
                ('actor', fields.CharField(max_length=64)),
                ('reason', fields.CharField(max_length=256)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'reconciliation_step', 'app': 'models', 'unique_together': (('difference_id', 'version'),), 'pk_attr': 'id', 'table_description': "One line of a difference's story: what happened, from which state to which, who did it and why. Never changed."},
            bases=['Model'],
        ),
        # One run of a source at a time, whichever process begins it.
        PartialIndex("reconciliation_run", "reconciliation_runs_alone", "source", "state = 'RUNNING'", unique=True),
        Check("reconciliation_run", "run_under_lease", "(state = 'RUNNING') = (lease_until IS NOT NULL)"),
        Check("reconciliation_difference", "difference_takes_two", "approved_by IS NULL OR approved_by <> proposed_by"),
        Check("reconciliation_difference", "difference_proposed_by_somebody", "state NOT IN ('PROPOSED', 'RESOLVED') OR (proposed_by IS NOT NULL AND outcome IS NOT NULL)"),
        Check("reconciliation_difference", "difference_approved_by_somebody", "state <> 'RESOLVED' OR approved_by IS NOT NULL"),
        PartialIndex("reconciliation_difference", "difference_live", "source, business_day", "state IN ('WAITING', 'OPEN', 'PROPOSED')"),
        AppendOnly("reconciliation_step"),
        AppendOnlyRows("reconciliation_step", "id", "difference_id, version"),
        # What was settled in a day is read along these.
        PartialIndex("payment_attempt", "payment_attempt_settled", "channel, sub_mchid, settled_at, id", "state = 'PAID'"),
        PartialIndex("wallet_top_up", "wallet_top_up_settled", "channel, sub_mchid, settled_at, id", "state = 'PAID'"),
        PartialIndex("refund", "refund_settled", "settled_at, id", "state = 'SUCCESS'"),
        PartialIndex("recharge_attempt", "recharge_attempt_settled", "issuer, settled_at, id", "state IN ('SUCCEEDED', 'REVERSED')"),
        PartialIndex("error_entry", "error_entry_by_time", "kind, occurred_at, id", ""),
    ]
