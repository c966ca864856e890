"""The whole life of an order: offers, reviews, face checks, errors and cases; the user beside everything of an order."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import CardBrand, CaseKind, CaseOutcome, CaseState, ErrorKind, FaceCheckState, FailureKind, PaymentState, RechargeState, ReservationState, ReviewReason, ReviewState
from models.fields import UtcDatetimeField
from models.operations import AddRequired, AppendOnly, Check, DropAppendOnly, DropCheck, PartialIndex, Redescribe
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index

USER_OF_ORDER = "(SELECT o.user_id FROM recharge_order o WHERE o.id = {table}.order_id)"


class Migration(migrating.Migration):
    dependencies = [('models', '0003_failures')]

    initial = False

    operations = [
        ops.CreateModel(
            name='ErrorEntry',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('key', fields.CharField(unique=True, max_length=96)),
                ('kind', fields.CharEnumField(description='LATE_PAYMENT: LATE_PAYMENT\nSURPLUS_PAYMENT: SURPLUS_PAYMENT\nRECHARGE_REFUSED: RECHARGE_REFUSED\nRECHARGED_AFTER_FAILURE: RECHARGED_AFTER_FAILURE\nREFUND_ABNORMAL: REFUND_ABNORMAL\nRECHARGE_REVERSED: RECHARGE_REVERSED\nLATE_TOP_UP: LATE_TOP_UP', enum_type=ErrorKind, max_length=32)),
                ('order_id', fields.UUIDField(null=True, db_index=True)),
                ('user_id', fields.UUIDField()),
                ('amount_fen', fields.BigIntField()),
                ('detail', fields.CharField(max_length=256)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'error_entry', 'app': 'models', 'pk_attr': 'id', 'table_description': "One row of the error ledger: what went wrong with an order's money, never changed and never removed."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FaceCheck',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('order', fields.ForeignKeyField('models.RechargeOrder', source_field='order_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('user_id', fields.UUIDField()),
                ('token', fields.CharField(unique=True, max_length=128)),
                ('state', fields.CharEnumField(description='OPEN: OPEN\nPASSED: PASSED\nFAILED: FAILED\nUSED: USED', enum_type=FaceCheckState, max_length=16)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('settled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'face_check', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A face verification that was begun for one order of one user, and whose token works once.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ManualCase',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('key', fields.CharField(unique=True, max_length=96)),
                ('kind', fields.CharEnumField(description='REVERSAL: REVERSAL\nCLAW_BACK: CLAW_BACK', enum_type=CaseKind, max_length=16)),
                ('order', fields.ForeignKeyField('models.RechargeOrder', source_field='order_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('user_id', fields.UUIDField()),
                ('amount_fen', fields.BigIntField()),
                ('state', fields.CharEnumField(description='OPEN: OPEN\nPROPOSED: PROPOSED\nRESOLVED: RESOLVED', enum_type=CaseState, max_length=16)),
                ('outcome', fields.CharEnumField(null=True, description='REVERSE: REVERSE\nFROM_WALLET: FROM_WALLET\nWRITE_OFF: WRITE_OFF\nDISMISS: DISMISS', enum_type=CaseOutcome, max_length=16)),
                ('reason', fields.CharField(max_length=256)),
                ('proposed_by', fields.UUIDField(null=True)),
                ('proposed_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('approved_by', fields.UUIDField(null=True)),
                ('approved_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'manual_case', 'app': 'models', 'indexes': [Index(fields=['state', 'id'])], 'pk_attr': 'id', 'table_description': 'What two people decide: one proposes an outcome, another one approves it.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Offer',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('code', fields.CharField(unique=True, max_length=32)),
                ('title', fields.CharField(max_length=64)),
                ('brand', fields.CharEnumField(null=True, description='SINOPEC: SINOPEC\nPETROCHINA: PETROCHINA', enum_type=CardBrand, max_length=16)),
                ('amount_fen', fields.BigIntField()),
                ('price_fen', fields.BigIntField()),
                ('stock_total', fields.IntField()),
                ('stock_left', fields.IntField()),
                ('per_user_max', fields.IntField()),
                ('starts_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('ends_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('updated_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'offer', 'app': 'models', 'pk_attr': 'id', 'table_description': '`amount_fen` arrives on the card for `price_fen`. `stock_left` is what is neither reserved nor used.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OfferReservation',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('offer', fields.ForeignKeyField('models.Offer', source_field='offer_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('user_id', fields.UUIDField()),
                ('state', fields.CharEnumField(description='RESERVED: RESERVED\nUSED: USED\nRELEASED: RELEASED', enum_type=ReservationState, max_length=16)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('settled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'offer_reservation', 'app': 'models', 'indexes': [Index(fields=['offer_id', 'user_id', 'state'])], 'pk_attr': 'id', 'table_description': "One piece of an offer's stock, held by one order. The id is the order's, so an order holds one at most."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Review',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('order', fields.OneToOneField('models.RechargeOrder', source_field='order_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('user_id', fields.UUIDField()),
                ('reason', fields.CharEnumField(description='LARGE_AMOUNT: LARGE_AMOUNT\nSPLIT_ORDERS: SPLIT_ORDERS', enum_type=ReviewReason, max_length=16)),
                ('state', fields.CharEnumField(description='NONE: NONE\nREQUIRED: REQUIRED\nPENDING: PENDING\nAPPROVED: APPROVED\nREJECTED: REJECTED', enum_type=ReviewState, max_length=16)),
                ('deadline_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('decided_by', fields.UUIDField(null=True)),
                ('decided_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'review', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A paid order that waits for somebody who did not make it. `decided_by` is a member of staff.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='StaffMember',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('name', fields.CharField(unique=True, max_length=64)),
                ('roles', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('customer_id', fields.UUIDField(null=True)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('left_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'staff_member', 'app': 'models', 'pk_attr': 'id', 'table_description': 'Somebody who works here. `customer_id` is the account that they recharge with, if they have one.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='WalletTopUp',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('user', fields.ForeignKeyField('models.User', source_field='user_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('channel', fields.CharField(max_length=32)),
                ('sub_mchid', fields.CharField(max_length=32)),
                ('out_trade_no', fields.CharField(unique=True, max_length=32)),
                ('amount_fen', fields.BigIntField()),
                ('state', fields.CharEnumField(description='OPEN: OPEN\nPAID: PAID\nCLOSED: CLOSED', enum_type=PaymentState, max_length=16)),
                ('prepay_id', fields.CharField(null=True, max_length=64)),
                ('transaction_id', fields.CharField(null=True, unique=True, max_length=64)),
                ('pay_deadline_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('settled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'wallet_top_up', 'app': 'models', 'indexes': [Index(fields=['user_id', 'id'])], 'pk_attr': 'id', 'table_description': 'Money that a user pays into the wallet: one merchant order at a payment channel.'},
            bases=['Model'],
        ),
        DropAppendOnly("order_transition"),
        *(
            AddRequired(model_name=model, name='user_id', field=fields.UUIDField(), value=USER_OF_ORDER.format(table=table))
            for model, table in (
                ('OrderTransition', 'order_transition'),
                ('PaymentAttempt', 'payment_attempt'),
                ('RechargeAttempt', 'recharge_attempt'),
                ('Refund', 'refund'),
            )
        ),
        AppendOnly("order_transition"),
        Redescribe(
            model_name='RechargeOrder',
            name='failure_kind',
            field=fields.CharEnumField(null=True, description='UNPAID: UNPAID\nCANCELLED: CANCELLED\nREJECTED: REJECTED\nISSUER_REFUSED: ISSUER_REFUSED\nREVERSED: REVERSED', enum_type=FailureKind, max_length=16),
        ),
        Redescribe(
            model_name='RechargeAttempt',
            name='state',
            field=fields.CharEnumField(description='SUBMITTED: SUBMITTED\nSUCCEEDED: SUCCEEDED\nREFUSED: REFUSED\nREVERSED: REVERSED', enum_type=RechargeState, max_length=16),
        ),
        ops.AddField(
            model_name='RechargeOrder',
            name='offer',
            field=fields.ForeignKeyField('models.Offer', source_field='offer_id', null=True, db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT),
        ),
        ops.AddField(
            model_name='RechargeOrder',
            name='review_reason',
            field=fields.CharEnumField(null=True, description='LARGE_AMOUNT: LARGE_AMOUNT\nSPLIT_ORDERS: SPLIT_ORDERS', enum_type=ReviewReason, max_length=16),
        ),
        AddRequired(model_name='RechargeOrder', name='price_fen', field=fields.BigIntField(), value="amount_fen"),
        AddRequired(
            model_name='RechargeOrder',
            name='review_state',
            field=fields.CharEnumField(description='NONE: NONE\nREQUIRED: REQUIRED\nPENDING: PENDING\nAPPROVED: APPROVED\nREJECTED: REJECTED', enum_type=ReviewState, max_length=16),
            value="'NONE'",
        ),
        DropCheck("recharge_order", "order_refund_only_after_failure"),
        Check("recharge_order", "order_price_positive", "price_fen > 0"),
        Check("recharge_order", "order_review_known", "review_state IN ('NONE', 'REQUIRED', 'PENDING', 'APPROVED', 'REJECTED')"),
        Check("recharge_order", "order_review_explained", "(review_state = 'NONE') = (review_reason IS NULL)"),
        Check("offer", "offer_amounts_positive", "amount_fen > 0 AND price_fen > 0"),
        Check("offer", "offer_stock_in_range", "stock_left BETWEEN 0 AND stock_total"),
        Check("offer", "offer_ends_after_it_starts", "ends_at > starts_at"),
        Check("offer_reservation", "reservation_state_known", "state IN ('RESERVED', 'USED', 'RELEASED')"),
        Check("review", "review_decided_at_a_time", "(state = 'PENDING') = (decided_at IS NULL)"),
        Check("review", "review_approved_by_somebody", "state <> 'APPROVED' OR decided_by IS NOT NULL"),
        Check("face_check", "face_check_state_known", "state IN ('OPEN', 'PASSED', 'FAILED', 'USED')"),
        Check("error_entry", "error_amount_not_negative", "amount_fen >= 0"),
        Check("manual_case", "case_takes_two", "approved_by IS NULL OR approved_by <> proposed_by"),
        Check("manual_case", "case_resolved_by_somebody", "(state = 'RESOLVED') = (approved_by IS NOT NULL)"),
        Check("manual_case", "case_approval_follows_a_proposal", "approved_by IS NULL OR (proposed_by IS NOT NULL AND outcome IS NOT NULL)"),
        Check("wallet_top_up", "top_up_amount_positive", "amount_fen > 0"),
        Check("wallet_top_up", "top_up_paid_has_transaction", "state <> 'PAID' OR transaction_id IS NOT NULL"),
        AppendOnly("error_entry"),
        PartialIndex("review", "review_waiting", "created_at", "state = 'PENDING'"),
        PartialIndex("face_check", "face_check_by_order", "order_id", ""),
        PartialIndex("manual_case", "case_by_order", "order_id", ""),
        PartialIndex("manual_case", "case_one_reversal", "order_id", "kind = 'REVERSAL' AND state <> 'RESOLVED'", unique=True),
        PartialIndex("recharge_order", "order_by_card", "card_id, created_at", ""),
        PartialIndex("fuel_card", "card_by_number", "number_digest", ""),
    ]
