"""Funds: transfers out of escrow and whom they may go to, sweeps, settlements, insurance, and the accounts of them."""

from uuid import uuid4

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from kernel.fund_states import ClaimState, FundStepKind, FundSubject, IncidentKind, PayeeKind, PayeeState, TransferKind, TransferState
from models import migrating
from models.fields import UtcDatetimeField
from models.operations import AppendOnly, AppendOnlyRows, Check, DropCheck, PartialIndex

# The chart of accounts, and which of them have no overdraft.
COLONS = "length(code) - length(replace(code, ':', ''))"
IN_CHART = {
    "condition": "code ~ '^(escrow:(operating|reserve)(_held)?|recharge_transit|refunds_payable|fee_expense|commission_income|loss|company_drawings"
    "|customer_(prepaid|held):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|channel_clearing:[^:]+:[^:]+"
    "|(issuer_prepaid|merchant_payable|suspense):[^:]+)$'",
    "sqlite": "code IN ('escrow:operating', 'escrow:reserve', 'escrow:operating_held', 'escrow:reserve_held', 'recharge_transit', "
    "'refunds_payable', 'fee_expense', 'commission_income', 'loss', 'company_drawings') "
    "OR (substr(code, 1, 17) = 'customer_prepaid:' AND length(code) = 53) "
    "OR (substr(code, 1, 14) = 'customer_held:' AND length(code) = 50) "
    f"OR (instr(code, '::') = 0 AND substr(code, -1) <> ':' AND ((substr(code, 1, 17) = 'channel_clearing:' AND {COLONS} = 2) "
    f"OR (substr(code, 1, instr(code, ':')) IN ('issuer_prepaid:', 'merchant_payable:', 'suspense:') AND {COLONS} = 1)))",
}
OF_USER = "(SUBSTR(code, 1, 17) = 'customer_prepaid:' OR SUBSTR(code, 1, 14) = 'customer_held:')"
NO_OVERDRAFT = {
    "condition": "CASE WHEN balance_fen > 0 THEN code !~ '^(recharge_transit|refunds_payable|customer_)' ELSE balance_fen = 0 OR code !~ '^escrow:' END",
    "sqlite": f"NOT (balance_fen > 0 AND (code IN ('recharge_transit', 'refunds_payable') OR {OF_USER})) "
    "AND NOT (balance_fen < 0 AND substr(code, 1, 7) = 'escrow:')",
}
APPROVED = "('CHECKED', 'DIRECTOR_APPROVED', 'SENT', 'CONFIRMED', 'FAILED')"
SENT = "('SENT', 'CONFIRMED', 'FAILED')"


class Migration(migrating.Migration):
    dependencies = [('models', '0022_usage')]

    initial = False

    operations = [
        ops.CreateModel(
            name='FundPayee',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('kind', fields.CharEnumField(description='ISSUER: ISSUER\nMERCHANT: MERCHANT\nCOMPANY: COMPANY', enum_type=PayeeKind, max_length=16)),
                ('party', fields.CharField(max_length=32)),
                ('name', fields.CharField(max_length=64)),
                ('bank_code', fields.CharField(max_length=12)),
                ('account_sealed', fields.BinaryField()),
                ('account_digest', fields.CharField(max_length=64)),
                ('account_masked', fields.CharField(max_length=32)),
                ('state', fields.CharEnumField(description='PROPOSED: PROPOSED\nACTIVE: ACTIVE\nREJECTED: REJECTED\nREVOKED: REVOKED', enum_type=PayeeState, max_length=16)),
                ('version', fields.IntField()),
                ('reason', fields.CharField(max_length=256)),
                ('proposed_by', fields.UUIDField()),
                ('proposed_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('approved_by', fields.UUIDField(null=True)),
                ('approved_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'fund_payee', 'app': 'models', 'pk_attr': 'id', 'table_description': "A bank account that withdrawals may go to, and the ledger's account that they are booked to."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FundSettlement',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('channel', fields.CharField(max_length=32)),
                ('sub_mchid', fields.CharField(max_length=32)),
                ('business_day', fields.DateField()),
                ('reference', fields.CharField(unique=True, max_length=96)),
                ('bank_reference', fields.CharField(unique=True, max_length=64)),
                ('gross_fen', fields.BigIntField()),
                ('fee_fen', fields.BigIntField()),
                ('arrived_fen', fields.BigIntField()),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'fund_settlement', 'app': 'models', 'unique_together': (('channel', 'sub_mchid', 'business_day'),), 'pk_attr': 'id', 'table_description': 'What a channel paid out for one merchant and one day of trade (Asia/Shanghai). Never changed.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FundStep',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('subject', fields.CharEnumField(description='TRANSFER: TRANSFER\nPAYEE: PAYEE\nPOLICY: POLICY\nCLAIM: CLAIM', enum_type=FundSubject, max_length=16)),
                ('subject_id', fields.UUIDField()),
                ('version', fields.IntField()),
                ('step', fields.CharEnumField(description='PROPOSE: PROPOSE\nORDER: ORDER\nAMEND: AMEND\nCHECK: CHECK\nDIRECT: DIRECT\nREJECT: REJECT\nWITHDRAW: WITHDRAW\nVOID: VOID\nEXPIRE: EXPIRE\nSEND: SEND\nCONFIRM: CONFIRM\nFAIL: FAIL\nAPPROVE: APPROVE\nREVOKE: REVOKE\nREGISTER: REGISTER\nFILE: FILE\nACCEPT: ACCEPT\nPAY: PAY', enum_type=FundStepKind, max_length=16)),
                ('from_state', fields.CharField(null=True, max_length=24)),
                ('to_state', fields.CharField(max_length=24)),
                ('digest', fields.CharField(max_length=64)),
                ('staff_id', fields.UUIDField(null=True)),
                ('second_factor_step', fields.BigIntField(null=True)),
                ('reason', fields.CharField(max_length=256)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'fund_step', 'app': 'models', 'unique_together': (('subject_id', 'version'), ('staff_id', 'second_factor_step')), 'pk_attr': 'id', 'table_description': 'One line of the story of a transfer, payee, policy or claim: who did what, when and why. Never changed.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FundSweep',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('business_day', fields.DateField()),
                ('cause', fields.CharField(max_length=36)),
                ('forecast_fen', fields.BigIntField(null=True)),
                ('operating_fen', fields.BigIntField()),
                ('reserve_fen', fields.BigIntField()),
                ('total_fen', fields.BigIntField()),
                ('target_fen', fields.BigIntField()),
                ('amount_fen', fields.BigIntField()),
                ('transfer_id', fields.UUIDField(null=True)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'fund_sweep', 'app': 'models', 'unique_together': (('business_day', 'cause'),), 'pk_attr': 'id', 'table_description': 'What one sweep found and did. Never changed.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FundTransfer',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('kind', fields.CharEnumField(description='WITHDRAWAL: WITHDRAWAL\nTO_RESERVE: TO_RESERVE\nFROM_RESERVE: FROM_RESERVE', enum_type=TransferKind, max_length=16)),
                ('reference', fields.CharField(unique=True, max_length=32)),
                ('state', fields.CharEnumField(description='PROPOSED: PROPOSED\nCHECKED: CHECKED\nDIRECTOR_APPROVED: DIRECTOR_APPROVED\nSENT: SENT\nCONFIRMED: CONFIRMED\nFAILED: FAILED\nVOID: VOID\nREJECTED: REJECTED\nEXPIRED: EXPIRED', enum_type=TransferState, max_length=24)),
                ('version', fields.IntField()),
                ('round', fields.IntField()),
                ('source_account', fields.CharField(max_length=96)),
                ('target_account', fields.CharField(max_length=96)),
                ('payee_id', fields.UUIDField(null=True)),
                ('payee_version', fields.IntField(null=True)),
                ('amount_fen', fields.BigIntField()),
                ('needs_director', fields.BooleanField()),
                ('digest', fields.CharField(max_length=64)),
                ('reserve_after_fen', fields.BigIntField(null=True)),
                ('total_after_fen', fields.BigIntField(null=True)),
                ('reserve_min_basis_points', fields.IntField(null=True)),
                ('reason', fields.CharField(max_length=256)),
                ('idempotency_key', fields.CharField(null=True, max_length=64)),
                ('input_hash', fields.CharField(null=True, max_length=64)),
                ('proposed_by', fields.UUIDField(null=True)),
                ('proposed_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('checked_by', fields.UUIDField(null=True)),
                ('checked_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('directed_by', fields.UUIDField(null=True)),
                ('directed_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('sent_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('settled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('bank_reference', fields.CharField(null=True, max_length=64)),
                ('failure', fields.CharField(null=True, max_length=256)),
            ],
            options={'table': 'fund_transfer', 'app': 'models', 'unique_together': (('proposed_by', 'idempotency_key'),), 'indexes': [Index(fields=['state', 'id']), Index(fields=['payee_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One transfer by the bank out of an escrow account, from its proposal to its end.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='InsuranceClaim',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('policy_id', fields.UUIDField()),
                ('incident_kind', fields.CharEnumField(description='ERROR_ENTRY: ERROR_ENTRY\nCASE: CASE', enum_type=IncidentKind, max_length=16)),
                ('incident_id', fields.UUIDField()),
                ('state', fields.CharEnumField(description='FILED: FILED\nACCEPTED: ACCEPTED\nPAID: PAID\nREJECTED: REJECTED\nWITHDRAWN: WITHDRAWN', enum_type=ClaimState, max_length=16)),
                ('version', fields.IntField()),
                ('amount_fen', fields.BigIntField()),
                ('accepted_fen', fields.BigIntField(null=True)),
                ('bank_reference', fields.CharField(null=True, unique=True, max_length=64)),
                ('reason', fields.CharField(max_length=256)),
                ('filed_by', fields.UUIDField()),
                ('filed_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('accepted_by', fields.UUIDField(null=True)),
                ('accepted_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('paid_by', fields.UUIDField(null=True)),
                ('settled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'insurance_claim', 'app': 'models', 'indexes': [Index(fields=['state', 'id']), Index(fields=['policy_id', 'id'])], 'pk_attr': 'id', 'table_description': 'What we want of an insurer for one incident. `accepted_fen` is what they grant, and what PAID has booked.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='InsurancePolicy',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('insurer', fields.CharField(max_length=64)),
                ('number', fields.CharField(unique=True, max_length=64)),
                ('cover_fen', fields.BigIntField()),
                ('deductible_fen', fields.BigIntField()),
                ('premium_fen', fields.BigIntField()),
                ('starts_on', fields.DateField()),
                ('ends_on', fields.DateField()),
                ('registered_by', fields.UUIDField()),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'insurance_policy', 'app': 'models', 'pk_attr': 'id', 'table_description': 'What an insurer covers, between two days (both included), above the deductible of each claim. Never changed.'},
            bases=['Model'],
        ),
        DropCheck("ledger_account", "account_in_chart"),
        Check("ledger_account", "account_in_chart", **IN_CHART),
        DropCheck("ledger_account", "account_no_overdraft"),
        Check("ledger_account", "account_no_overdraft", **NO_OVERDRAFT),
        Check("fund_payee", "payee_takes_two", "approved_by IS NULL OR approved_by <> proposed_by"),
        Check("fund_payee", "payee_active_is_approved", "state <> 'ACTIVE' OR approved_by IS NOT NULL"),
        # An account is somebody's once, for as long as it may be paid to.
        PartialIndex("fund_payee", "fund_payee_live", "account_digest", "state IN ('PROPOSED', 'ACTIVE')", unique=True),
        Check("fund_transfer", "transfer_amount_positive", "amount_fen > 0"),
        Check("fund_transfer", "transfer_to_a_payee", "(kind = 'WITHDRAWAL') = (payee_id IS NOT NULL)"),
        Check("fund_transfer", "transfer_proposed_by_somebody", "kind <> 'WITHDRAWAL' OR proposed_by IS NOT NULL"),
        Check("fund_transfer", "transfer_takes_two", "checked_by IS NULL OR proposed_by IS NULL OR checked_by <> proposed_by"),
        Check("fund_transfer", "transfer_director_is_another", "directed_by IS NULL OR (directed_by <> checked_by AND (proposed_by IS NULL OR directed_by <> proposed_by))"),
        Check("fund_transfer", "transfer_checked", f"kind = 'TO_RESERVE' OR state NOT IN {APPROVED} OR checked_by IS NOT NULL"),
        Check("fund_transfer", "transfer_directed", f"NOT needs_director OR state NOT IN {SENT} OR directed_by IS NOT NULL"),
        Check("fund_transfer", "transfer_out_of_the_reserve", "kind <> 'FROM_RESERVE' OR needs_director"),
        Check("fund_transfer", "transfer_keeps_the_reserve", "kind <> 'FROM_RESERVE' OR (reserve_after_fen IS NOT NULL AND total_after_fen IS NOT NULL "
              "AND reserve_min_basis_points IS NOT NULL AND reserve_after_fen * 10000 >= total_after_fen * reserve_min_basis_points)"),
        # One movement out of the reserve is under way at a time, whoever proposes it.
        PartialIndex("fund_transfer", "fund_transfer_from_reserve", "kind", "kind = 'FROM_RESERVE' AND state IN ('PROPOSED', 'CHECKED', 'DIRECTOR_APPROVED', 'SENT')", unique=True),
        Check("insurance_policy", "policy_has_terms", "cover_fen > 0 AND deductible_fen >= 0 AND premium_fen >= 0 AND starts_on <= ends_on"),
        Check("insurance_claim", "claim_amounts", "amount_fen > 0 AND (accepted_fen IS NULL OR (accepted_fen > 0 AND accepted_fen <= amount_fen))"),
        Check("insurance_claim", "claim_paid_takes_two", "state <> 'PAID' OR (paid_by IS NOT NULL AND accepted_by IS NOT NULL AND bank_reference IS NOT NULL AND accepted_fen IS NOT NULL AND paid_by <> accepted_by AND paid_by <> filed_by)"),
        PartialIndex("insurance_claim", "insurance_claim_live", "policy_id, incident_id", "state IN ('FILED', 'ACCEPTED', 'PAID')", unique=True),
        AppendOnly("fund_step"),
        AppendOnlyRows("fund_step", "id", "subject_id, version"),
        AppendOnly("fund_sweep"),
        AppendOnlyRows("fund_sweep", "id", "business_day, cause"),
        AppendOnly("fund_settlement"),
        AppendOnlyRows("fund_settlement", "id", "reference"),
        AppendOnly("insurance_policy"),
        AppendOnlyRows("insurance_policy", "id", "number"),
    ]
