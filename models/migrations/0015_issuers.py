"""Several issuers: attempts that one did not accept, cases about one of several attempts, how issuers stand."""

from models import migrating
from tortoise import fields
from tortoise.migrations import operations as ops

from kernel.states import ErrorKind, RechargeState
from models.fields import UtcDatetimeField
from models.operations import Check, PartialIndex, Redescribe, Sql

# Until now an order had one attempt only, so a case can be about no other.
ONLY_ATTEMPT = (
    "UPDATE manual_case SET attempt_id = (SELECT a.id FROM recharge_attempt a WHERE a.order_id = manual_case.order_id "
    "ORDER BY a.number DESC LIMIT 1)"
)
DROP_INDEX = "DROP INDEX case_one_reversal"


class Migration(migrating.Migration):
    dependencies = [('models', '0014_voice')]

    initial = False

    operations = [
        ops.CreateModel(
            name='CardCheck',
            fields=[
                ('number_digest', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('checked_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'card_check', 'app': 'models', 'pk_attr': 'number_digest', 'table_description': 'When issuers were last asked about a card, whoever has bound it: they answer once in a while only.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='IssuerStanding',
            fields=[
                ('name', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ('deposit_fen', fields.BigIntField(null=True)),
                ('deposit_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('unavailable_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('reason', fields.CharField(max_length=128)),
            ],
            options={'table': 'issuer_standing', 'app': 'models', 'pk_attr': 'name', 'table_description': 'What is known of one issuer: its deposit with a time, and when it last failed to take what was sent.'},
            bases=['Model'],
        ),
        ops.AddField(model_name='FuelCard', name='checked_at', field=UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
        ops.AddField(model_name='RechargeAttempt', name='sends', field=fields.IntField(default=1, db_default=1)),
        ops.AddField(model_name='ManualCase', name='attempt_id', field=fields.UUIDField(null=True)),
        Redescribe(
            model_name='RechargeAttempt',
            name='state',
            field=fields.CharEnumField(description='SUBMITTED: SUBMITTED\nSUCCEEDED: SUCCEEDED\nREFUSED: REFUSED\nREVERSED: REVERSED\nNOT_ACCEPTED: NOT_ACCEPTED\nSURPLUS: SURPLUS', enum_type=RechargeState, max_length=16),
        ),
        Redescribe(
            model_name='ErrorEntry',
            name='kind',
            field=fields.CharEnumField(description='LATE_PAYMENT: LATE_PAYMENT\nSURPLUS_PAYMENT: SURPLUS_PAYMENT\nRECHARGE_REFUSED: RECHARGE_REFUSED\nRECHARGED_AFTER_FAILURE: RECHARGED_AFTER_FAILURE\nSURPLUS_RECHARGE: SURPLUS_RECHARGE\nREFUND_ABNORMAL: REFUND_ABNORMAL\nRECHARGE_REVERSED: RECHARGE_REVERSED\nLATE_TOP_UP: LATE_TOP_UP', enum_type=ErrorKind, max_length=32),
        ),
        Sql("every case names its attempt", postgres=[ONLY_ATTEMPT, DROP_INDEX], sqlite=[ONLY_ATTEMPT, DROP_INDEX]),
        Check("recharge_attempt", "recharge_surplus_has_cost", "state <> 'SURPLUS' OR cost_fen IS NOT NULL"),
        Check("recharge_attempt", "recharge_was_sent", "sends >= 1"),
        PartialIndex("manual_case", "case_one_reversal", "attempt_id", "kind = 'REVERSAL' AND state <> 'RESOLVED'", unique=True),
        PartialIndex("recharge_attempt", "recharge_once_per_issuer", "order_id, issuer", "", unique=True),
    ]
