"""The audit of sign-ins, which nobody can edit, and what holds a sign-in up: challenges and locks."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from kernel.access_states import SignInKind, SignInSignal
from models.fields import UtcDatetimeField


class SignInRecord(Model):
    """One line of the audit: who came or tried to come in, or went, by which door and from where.

    `owner_id` is null where nobody knows who it was. Of the address there is a mask for people and a keyed digest, of
    the device a keyed digest beside the name that it gives itself. A place is rounded to hundredths of a degree.
    """

    id = fields.UUIDField(primary_key=True)
    occurred_at = UtcDatetimeField()
    kind = fields.CharEnumField(SignInKind, max_length=16)
    reason = fields.CharField(max_length=32)
    signals: fields.JSONField[list[SignInSignal]] = fields.JSONField()
    owner_id = fields.UUIDField(null=True)
    session_id = fields.UUIDField(null=True)
    client_id = fields.CharField(max_length=64)
    grant_type = fields.CharField(max_length=64)
    device_name = fields.CharField(max_length=64)
    device_digest = fields.CharField(max_length=64)
    address_masked = fields.CharField(max_length=48)
    address_digest = fields.CharField(max_length=64)
    latitude_centi = fields.IntField(null=True)
    longitude_centi = fields.IntField(null=True)
    city = fields.CharField(max_length=64)

    class Meta:
        table = "sign_in_record"
        indexes = [Index(fields=["owner_id", "id"]), Index(fields=["occurred_at"])]


class SignInChallenge(Model):
    """A sign-in whose proof was right and which waits for a code by SMS. `held` is what it goes on with."""

    id = fields.UUIDField(primary_key=True)
    secret_hash = fields.CharField(max_length=64, unique=True)
    owner_id = fields.UUIDField()
    client_id = fields.CharField(max_length=64)
    held: fields.JSONField[dict[str, Any]] = fields.JSONField()
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    used_at = UtcDatetimeField(null=True)

    class Meta:
        table = "sign_in_challenge"
        indexes = [Index(fields=["expires_at"])]


class SignInLock(Model):
    """Failures of one subject (a user, a client, an address) in a window, and until when they keep it out."""

    id = fields.UUIDField(primary_key=True)
    subject = fields.CharField(max_length=96, unique=True)
    display = fields.CharField(max_length=64)
    owner_id = fields.UUIDField(null=True)
    failures = fields.IntField()
    window_began_at = UtcDatetimeField()
    locked_until = UtcDatetimeField(null=True)

    class Meta:
        table = "sign_in_lock"
        indexes = [Index(fields=["window_began_at"])]
