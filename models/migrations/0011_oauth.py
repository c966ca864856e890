"""The authorization server: clients, sessions and their refresh tokens, codes that are good once, signing keys."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.states import ClientKind, DeviceCodeState, SessionEnd
from models.fields import UtcDatetimeField
from models.operations import Check, PartialIndex
from orjson import loads
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrating.Migration):
    dependencies = [('models', '0010_switches')]

    initial = False

    operations = [
        ops.CreateModel(
            name='AccessAttempt',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('subject', fields.CharField(max_length=96)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'access_attempt', 'app': 'models', 'indexes': [Index(fields=['subject', 'occurred_at']), Index(fields=['occurred_at'])], 'pk_attr': 'id', 'table_description': 'A try at something that can be guessed, written down before it is judged, and removed where it was right.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='AssertionSeen',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('client_id', fields.CharField(max_length=64)),
                ('jti_hash', fields.CharField(max_length=64)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'assertion_seen', 'app': 'models', 'unique_together': (('client_id', 'jti_hash'),), 'indexes': [Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'An assertion that was accepted, whose key makes a second use fail. Kept until it has expired.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='AuthorizationCode',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('code_hash', fields.CharField(unique=True, max_length=64)),
                ('staff_id', fields.UUIDField()),
                ('client_id', fields.CharField(max_length=64)),
                ('redirect_uri', fields.CharField(max_length=512)),
                ('scopes', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('challenge', fields.CharField(max_length=128)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('used_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('session_id', fields.UUIDField(null=True)),
            ],
            options={'table': 'authorization_code', 'app': 'models', 'indexes': [Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'What the browser of a member of staff carries to their client, good once (RFC 6749, section 4.1).'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ClientKey',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('client_id', fields.CharField(max_length=64)),
                ('kid', fields.CharField(max_length=64)),
                ('jwk', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('until', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'oauth_client_key', 'app': 'models', 'unique_together': (('client_id', 'kid'),), 'pk_attr': 'id', 'table_description': 'A public key that a client signs its assertions with. `until` is set when another one takes its place.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='DeviceCode',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('code_hash', fields.CharField(unique=True, max_length=64)),
                ('user_code', fields.CharField(unique=True, max_length=8)),
                ('client_id', fields.CharField(max_length=64)),
                ('scopes', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('device_name', fields.CharField(max_length=64)),
                ('vehicle_id', fields.CharField(max_length=32)),
                ('state', fields.CharEnumField(description='PENDING: PENDING\nAPPROVED: APPROVED\nDENIED: DENIED\nCLAIMED: CLAIMED', enum_type=DeviceCodeState, max_length=16)),
                ('owner_id', fields.UUIDField(null=True)),
                ('interval_s', fields.IntField()),
                ('polled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'device_code', 'app': 'models', 'indexes': [Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A device that waits until somebody approves it (RFC 8628). CLAIMED means that its token was given out.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OAuthClient',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('client_id', fields.CharField(unique=True, max_length=64)),
                ('name', fields.CharField(max_length=64)),
                ('kind', fields.CharEnumField(description='MINI_PROGRAM: MINI_PROGRAM\nCAR: CAR\nPARTNER: PARTNER\nSTAFF: STAFF', enum_type=ClientKind, max_length=16)),
                ('account_id', fields.UUIDField(null=True)),
                ('scopes', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('redirect_uris', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('sandbox', fields.BooleanField()),
                ('secret_hash', fields.CharField(null=True, max_length=64)),
                ('previous_secret_hash', fields.CharField(null=True, max_length=64)),
                ('previous_secret_until', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('tokens_per_hour_max', fields.IntField(null=True)),
                ('quota_hour', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('quota_used', fields.IntField()),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('disabled_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'oauth_client', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A program that asks for tokens.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OAuthSession',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('owner_id', fields.UUIDField()),
                ('client_id', fields.CharField(max_length=64)),
                ('device_name', fields.CharField(max_length=64)),
                ('vehicle_id', fields.CharField(null=True, max_length=32)),
                ('scopes', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('last_seen_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('end_reason', fields.CharEnumField(null=True, description='SIGNED_OUT: SIGNED_OUT\nENDED_BY_OWNER: ENDED_BY_OWNER\nREFRESH_TOKEN_REUSED: REFRESH_TOKEN_REUSED\nCODE_REUSED: CODE_REUSED\nTOO_MANY: TOO_MANY\nOWNER_GONE: OWNER_GONE\nCLIENT_DISABLED: CLIENT_DISABLED', enum_type=SessionEnd, max_length=24)),
            ],
            options={'table': 'oauth_session', 'app': 'models', 'indexes': [Index(fields=['owner_id', 'id']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A device on which somebody is signed in. Its refresh tokens are one family, and end with it.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='RefreshToken',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('session_id', fields.UUIDField()),
                ('token_hash', fields.CharField(unique=True, max_length=64)),
                ('issued_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('used_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('replaced_by', fields.UUIDField(null=True)),
            ],
            options={'table': 'refresh_token', 'app': 'models', 'indexes': [Index(fields=['session_id']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'One token of the family of a session. It is used once, and its use makes the next one.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SigningKeyRow',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('kid', fields.CharField(unique=True, max_length=64)),
                ('private_sealed', fields.BinaryField()),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('active_from', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'signing_key', 'app': 'models', 'pk_attr': 'id', 'table_description': 'A key that signs access tokens from `active_from` on, and is published until `expires_at`, where that is set.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='StaffCredential',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('staff_id', fields.UUIDField(unique=True)),
                ('password_hash', fields.CharField(max_length=256)),
                ('totp_sealed', fields.BinaryField()),
                ('totp_step', fields.BigIntField()),
                ('changed_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'staff_credential', 'app': 'models', 'pk_attr': 'id', 'table_description': 'How a member of staff proves who they are. `totp_step` is the last time step whose code was accepted.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='TokenRevocation',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'token_revocation', 'app': 'models', 'indexes': [Index(fields=['created_at']), Index(fields=['expires_at'])], 'pk_attr': 'id', 'table_description': 'A session or a single access token that is over. Kept until every token that it is about has expired.'},
            bases=['Model'],
        ),
        Check("oauth_client", "oauth_client_kind_known", "kind IN ('MINI_PROGRAM', 'CAR', 'PARTNER', 'STAFF')"),
        Check("oauth_client", "oauth_client_secret_is_for_the_sandbox", "secret_hash IS NULL OR sandbox", sqlite="secret_hash IS NULL OR sandbox = 1"),
        Check("oauth_client", "oauth_client_partner_has_an_account", "(kind = 'PARTNER') = (account_id IS NOT NULL)"),
        Check("oauth_client", "oauth_client_counts", "quota_used >= 0"),
        Check("oauth_session", "oauth_session_ended_for_a_reason", "(ended_at IS NULL) = (end_reason IS NULL)"),
        Check("refresh_token", "refresh_token_replaced_when_used", "replaced_by IS NULL OR used_at IS NOT NULL"),
        Check("device_code", "device_code_state_known", "state IN ('PENDING', 'APPROVED', 'DENIED', 'CLAIMED')"),
        Check("device_code", "device_code_decided_by_somebody", "(state = 'PENDING') = (owner_id IS NULL)"),
        PartialIndex("oauth_session", "oauth_session_live", "owner_id", "ended_at IS NULL"),
    ]
