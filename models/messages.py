"""Messages to users outside the service: what they agreed to, what was sent, and the phones and codes beside that."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from kernel.states import CodePurpose, ConsentEnd, MessageState, MessageTemplate, Product
from models.fields import UtcDatetimeField


class MessageConsent(Model):
    """One accepted request for one message of a template: a row is one credit, and is ended by being used.

    `zone_id` and `product` say which price a consent to price changes is about. `grant_key` is the client's own, so
    that a repeated request grants nothing twice.
    """

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    template = fields.CharEnumField(MessageTemplate, max_length=16)
    zone_id = fields.UUIDField(null=True)
    product = fields.CharEnumField(Product, max_length=4, null=True)
    grant_key = fields.CharField(max_length=96)
    granted_at = UtcDatetimeField()
    ended_at = UtcDatetimeField(null=True)
    end_reason = fields.CharEnumField(ConsentEnd, max_length=16, null=True)

    class Meta:
        table = "message_consent"
        unique_together = (("user_id", "template", "grant_key"),)


class OutgoingMessage(Model):
    """One message about one event, written down before it is sent. Each consent is behind one message at most."""

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    consent_id = fields.UUIDField(unique=True)
    template = fields.CharEnumField(MessageTemplate, max_length=16)
    event_key = fields.CharField(max_length=96)
    content: fields.JSONField[dict[str, str]] = fields.JSONField()
    state = fields.CharEnumField(MessageState, max_length=16)
    error_code = fields.IntField(null=True)
    created_at = UtcDatetimeField()
    settled_at = UtcDatetimeField(null=True)

    class Meta:
        table = "outgoing_message"
        unique_together = (("user_id", "template", "event_key"),)


class MessageScan(Model):
    """The one row that says up to which event everything was looked at for messages."""

    id = fields.SmallIntField(primary_key=True)
    event_id = fields.BigIntField()

    class Meta:
        table = "message_scan"


class UserPhone(Model):
    """The phone of a user: sealed, with a keyed digest to find it again, and a mask for people.

    `phone_tail` is the mask's end, by which staff find an account.
    """

    user_id: fields.UUIDField[UUID] = fields.UUIDField(primary_key=True)
    phone_sealed = fields.BinaryField()
    phone_digest = fields.CharField(max_length=64, db_index=True)
    phone_masked = fields.CharField(max_length=24)
    phone_tail = fields.CharField(max_length=4)
    bound_at = UtcDatetimeField()

    class Meta:
        table = "user_phone"


class SmsCode(Model):
    """A code that was sent to a phone, for one person and purpose. Of phone, address and code only digests are kept."""

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    purpose = fields.CharEnumField(CodePurpose, max_length=16)
    subject = fields.CharField(max_length=64)
    phone_digest = fields.CharField(max_length=64)
    address_digest = fields.CharField(max_length=64)
    code_digest = fields.CharField(max_length=64)
    attempts = fields.IntField()
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    ended_at = UtcDatetimeField(null=True)

    class Meta:
        table = "sms_code"
        indexes = [
            Index(fields=["user_id", "created_at"]),
            Index(fields=["phone_digest", "created_at"]),
            Index(fields=["address_digest", "created_at"]),
        ]
