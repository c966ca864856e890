"""Second proofs, payment passwords and limits of users, the audit of sign-ins, and cards that were unbound."""

from typing import Any
from uuid import UUID, uuid4

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from kernel.access_states import SignInKind, StepUpAction, StepUpState
from kernel.states import CodePurpose
from models import migrating
from models.fields import UtcDatetimeField
from models.operations import AppendOnlyFor, Check, PartialIndex, Redescribe


def moment(null: bool = False) -> Any:
    return UtcDatetimeField(null=null, auto_now=False, auto_now_add=False)  # type: ignore[call-overload]


def key() -> fields.UUIDField[UUID]:
    return fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)


class Migration(migrating.Migration):
    dependencies = [('models', '0024_quotas')]

    initial = False

    operations = [
        ops.CreateModel(
            name='StepUpChallenge',
            fields=[
                ('id', key()),
                ('user_id', fields.UUIDField()),
                ('session_id', fields.UUIDField(null=True)),
                ('action', fields.CharEnumField(description='SET_PAYMENT_PASSWORD: SET_PAYMENT_PASSWORD\nCHANGE_PAYMENT_PASSWORD: CHANGE_PAYMENT_PASSWORD\nRESET_PAYMENT_PASSWORD: RESET_PAYMENT_PASSWORD\nRAISE_SPENDING_LIMITS: RAISE_SPENDING_LIMITS\nCREATE_MANDATE: CREATE_MANDATE\nUNBIND_CARD: UNBIND_CARD\nCHANGE_PHONE: CHANGE_PHONE', enum_type=StepUpAction, max_length=32)),
                ('content_digest', fields.CharField(max_length=64)),
                ('face_token', fields.CharField(unique=True, max_length=128)),
                ('state', fields.CharEnumField(description='OPEN: OPEN\nCONFIRMED: CONFIRMED\nUSED: USED', enum_type=StepUpState, max_length=16)),
                ('attempts', fields.IntField()),
                ('grant_hash', fields.CharField(null=True, unique=True, max_length=64)),
                ('created_at', moment()),
                ('expires_at', moment()),
                ('grant_expires_at', moment(null=True)),
                ('used_at', moment(null=True)),
            ],
            options={'table': 'step_up_challenge', 'app': 'models', 'indexes': [Index(fields=['user_id', 'created_at']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A second proof for one action with one content, which gives one grant that is used once.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='PaymentPassword',
            fields=[
                ('user_id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('password_hash', fields.CharField(max_length=256)),
                ('failures', fields.IntField()),
                ('locked_until', moment(null=True)),
                ('changed_at', moment()),
            ],
            options={'table': 'payment_password', 'app': 'models', 'pk_attr': 'user_id', 'table_description': '支付密码: the scrypt digest of a keyed digest of six digits, and the wrong tries since the last right one.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SpendingLimits',
            fields=[
                ('user_id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('per_recharge_fen', fields.BigIntField(null=True)),
                ('per_day_fen', fields.BigIntField(null=True)),
                ('changed_at', moment()),
            ],
            options={'table': 'spending_limits', 'app': 'models', 'pk_attr': 'user_id', 'table_description': 'The limits that a user has set themselves, in fen. Without one the limits of the service hold alone.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SignInRecord',
            fields=[
                ('id', key()),
                ('occurred_at', moment()),
                ('kind', fields.CharEnumField(description='SIGNED_IN: SIGNED_IN\nCHALLENGED: CHALLENGED\nREFUSED: REFUSED\nFAILED: FAILED\nLOCKED: LOCKED\nSIGNED_OUT: SIGNED_OUT\nTOKEN_REUSED: TOKEN_REUSED', enum_type=SignInKind, max_length=16)),
                ('reason', fields.CharField(max_length=32)),
                ('signals', fields.JSONField()),
                ('owner_id', fields.UUIDField(null=True)),
                ('session_id', fields.UUIDField(null=True)),
                ('client_id', fields.CharField(max_length=64)),
                ('grant_type', fields.CharField(max_length=64)),
                ('device_name', fields.CharField(max_length=64)),
                ('device_digest', fields.CharField(max_length=64)),
                ('address_masked', fields.CharField(max_length=48)),
                ('address_digest', fields.CharField(max_length=64)),
                ('latitude_centi', fields.IntField(null=True)),
                ('longitude_centi', fields.IntField(null=True)),
                ('city', fields.CharField(max_length=64)),
            ],
            options={'table': 'sign_in_record', 'app': 'models', 'indexes': [Index(fields=['owner_id', 'id']), Index(fields=['occurred_at'])], 'pk_attr': 'id', 'table_description': 'One line of the audit: who came or tried to come in, or went, by which door and from where.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SignInChallenge',
            fields=[
                ('id', key()),
                ('secret_hash', fields.CharField(unique=True, max_length=64)),
                ('owner_id', fields.UUIDField()),
                ('client_id', fields.CharField(max_length=64)),
                ('held', fields.JSONField()),
                ('created_at', moment()),
                ('expires_at', moment()),
                ('used_at', moment(null=True)),
            ],
            options={'table': 'sign_in_challenge', 'app': 'models', 'indexes': [Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A sign-in whose proof was right and which waits for a code by SMS. `held` is what it goes on with.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SignInLock',
            fields=[
                ('id', key()),
                ('subject', fields.CharField(unique=True, max_length=96)),
                ('display', fields.CharField(max_length=64)),
                ('owner_id', fields.UUIDField(null=True)),
                ('failures', fields.IntField()),
                ('window_began_at', moment()),
                ('locked_until', moment(null=True)),
            ],
            options={'table': 'sign_in_lock', 'app': 'models', 'indexes': [Index(fields=['window_began_at'])], 'pk_attr': 'id', 'table_description': 'Failures of one subject (a user, a client, an address) in a window, and until when they keep it out.'},
            bases=['Model'],
        ),
        ops.AddField(model_name='FuelCard', name='unbound_at', field=moment(null=True)),
        Redescribe(
            model_name='SmsCode',
            name='purpose',
            field=fields.CharEnumField(description='BIND_PHONE: BIND_PHONE\nSTEP_UP: STEP_UP\nSIGN_IN: SIGN_IN', enum_type=CodePurpose, max_length=16),
        ),
        Check("step_up_challenge", "step_up_grant_by_state", "(state = 'OPEN') = (grant_hash IS NULL) AND (state = 'OPEN') = (grant_expires_at IS NULL)"),
        Check("step_up_challenge", "step_up_used_by_state", "(state = 'USED') = (used_at IS NOT NULL)"),
        Check("payment_password", "payment_password_counts", "failures >= 0"),
        Check("spending_limits", "spending_limits_positive", "(per_recharge_fen IS NULL OR per_recharge_fen > 0) AND (per_day_fen IS NULL OR per_day_fen > 0)"),
        AppendOnlyFor("sign_in_record", column="occurred_at", days=180),
        PartialIndex("mandate_card", "mandate_card_by_card", "card_id", ""),
    ]
