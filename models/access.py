"""Who may come in: clients, the sessions that they keep for somebody, and everything that is good once.

Secrets that are looked up (refresh tokens, codes) are kept as digests; those that are needed again are sealed.
"""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from kernel.states import ClientKind, DeviceCodeState, SessionEnd
from models.fields import UtcDatetimeField


class OAuthClient(Model):
    """A program that asks for tokens.

    A partner's client has an account (`account_id`) that its tokens speak for. Only a client of the sandbox tenant has
    a secret. `quota_hour` and `quota_used` count the tokens of the hour that has begun. `cost_max` and
    `cost_refill_per_s` are its own quota of what requests cost; null where it has the usual one.
    """

    id = fields.UUIDField(primary_key=True)
    client_id = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=64)
    kind = fields.CharEnumField(ClientKind, max_length=16)
    account_id = fields.UUIDField(null=True)
    scopes: fields.JSONField[list[str]] = fields.JSONField()
    redirect_uris: fields.JSONField[list[str]] = fields.JSONField()
    sandbox = fields.BooleanField()
    secret_hash = fields.CharField(max_length=64, null=True)
    previous_secret_hash = fields.CharField(max_length=64, null=True)
    previous_secret_until = UtcDatetimeField(null=True)
    tokens_per_hour_max = fields.IntField(null=True)
    quota_hour = UtcDatetimeField(null=True)
    quota_used = fields.IntField()
    cost_max = fields.IntField(null=True)
    cost_refill_per_s = fields.IntField(null=True)
    created_at = UtcDatetimeField()
    disabled_at = UtcDatetimeField(null=True)

    class Meta:
        table = "oauth_client"


class ClientKey(Model):
    """A public key that a client signs its assertions with. `until` is set when another one takes its place."""

    id = fields.UUIDField(primary_key=True)
    client_id = fields.CharField(max_length=64)
    kid = fields.CharField(max_length=64)
    jwk: fields.JSONField[dict[str, Any]] = fields.JSONField()
    created_at = UtcDatetimeField()
    until = UtcDatetimeField(null=True)

    class Meta:
        table = "oauth_client_key"
        unique_together = (("client_id", "kid"),)


class OAuthSession(Model):
    """A device on which somebody is signed in. Its refresh tokens are one family, and end with it."""

    id = fields.UUIDField(primary_key=True)
    owner_id = fields.UUIDField()
    client_id = fields.CharField(max_length=64)
    device_name = fields.CharField(max_length=64)
    vehicle_id = fields.CharField(max_length=32, null=True)
    scopes: fields.JSONField[list[str]] = fields.JSONField()
    created_at = UtcDatetimeField()
    last_seen_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    ended_at = UtcDatetimeField(null=True)
    end_reason = fields.CharEnumField(SessionEnd, max_length=24, null=True)

    class Meta:
        table = "oauth_session"
        indexes = [Index(fields=["owner_id", "id"]), Index(fields=["expires_at"])]


class RefreshToken(Model):
    """One token of the family of a session. It is used once, and its use makes the next one."""

    id = fields.UUIDField(primary_key=True)
    session_id = fields.UUIDField()
    token_hash = fields.CharField(max_length=64, unique=True)
    issued_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    used_at = UtcDatetimeField(null=True)
    replaced_by = fields.UUIDField(null=True)

    class Meta:
        table = "refresh_token"
        indexes = [Index(fields=["session_id"]), Index(fields=["expires_at"])]


class DeviceCode(Model):
    """A device that waits until somebody approves it (RFC 8628). CLAIMED means that its token was given out."""

    id = fields.UUIDField(primary_key=True)
    code_hash = fields.CharField(max_length=64, unique=True)
    user_code = fields.CharField(max_length=8, unique=True)
    client_id = fields.CharField(max_length=64)
    scopes: fields.JSONField[list[str]] = fields.JSONField()
    device_name = fields.CharField(max_length=64)
    vehicle_id = fields.CharField(max_length=32)
    state = fields.CharEnumField(DeviceCodeState, max_length=16)
    owner_id = fields.UUIDField(null=True)
    interval_s = fields.IntField()
    polled_at = UtcDatetimeField(null=True)
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()

    class Meta:
        table = "device_code"
        indexes = [Index(fields=["expires_at"])]


class AuthorizationCode(Model):
    """What the browser of a member of staff carries to their client, good once (RFC 6749, section 4.1)."""

    id = fields.UUIDField(primary_key=True)
    code_hash = fields.CharField(max_length=64, unique=True)
    staff_id = fields.UUIDField()
    client_id = fields.CharField(max_length=64)
    redirect_uri = fields.CharField(max_length=512)
    scopes: fields.JSONField[list[str]] = fields.JSONField()
    challenge = fields.CharField(max_length=128)
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    used_at = UtcDatetimeField(null=True)
    session_id = fields.UUIDField(null=True)

    class Meta:
        table = "authorization_code"
        indexes = [Index(fields=["expires_at"])]


class AssertionSeen(Model):
    """An assertion that was accepted, whose key makes a second use fail. Kept until it has expired."""

    id = fields.UUIDField(primary_key=True)
    client_id = fields.CharField(max_length=64)
    jti_hash = fields.CharField(max_length=64)
    expires_at = UtcDatetimeField()

    class Meta:
        table = "assertion_seen"
        unique_together = (("client_id", "jti_hash"),)
        indexes = [Index(fields=["expires_at"])]


class TokenRevocation(Model):
    """A session or a single access token that is over. Kept until every token that it is about has expired."""

    id = fields.UUIDField(primary_key=True)
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()

    class Meta:
        table = "token_revocation"
        indexes = [Index(fields=["created_at"]), Index(fields=["expires_at"])]


class SigningKeyRow(Model):
    """A key that signs access tokens from `active_from` on, and is published until `expires_at`, where that is set."""

    id = fields.UUIDField(primary_key=True)
    kid = fields.CharField(max_length=64, unique=True)
    private_sealed = fields.BinaryField()
    created_at = UtcDatetimeField()
    active_from = UtcDatetimeField()
    expires_at = UtcDatetimeField(null=True)

    class Meta:
        table = "signing_key"


class StaffCredential(Model):
    """How a member of staff proves who they are. `totp_step` is the last time step whose code was accepted."""

    id = fields.UUIDField(primary_key=True)
    staff_id = fields.UUIDField(unique=True)
    password_hash = fields.CharField(max_length=256)
    totp_sealed = fields.BinaryField()
    totp_step = fields.BigIntField()
    changed_at = UtcDatetimeField()

    class Meta:
        table = "staff_credential"


class AccessAttempt(Model):
    """A try at something that can be guessed, written down before it is judged, and removed where it was right."""

    id = fields.UUIDField(primary_key=True)
    subject = fields.CharField(max_length=96)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "access_attempt"
        indexes = [Index(fields=["subject", "occurred_at"]), Index(fields=["occurred_at"])]
