"""Subscriptions of partners that are delivered as webhooks, and the log of deliveries."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from kernel.states import SuspensionReason, WebhookState
from models.fields import UtcDatetimeField


class Webhook(Model):
    """One subscription of one owner, and how far it has been delivered.

    `cursor` is that of the last event that the receiver has taken. The owner is whoever registered it, as their token
    said. Secrets are sealed. `lease_owner` names the process that delivers and this one claim of its; whatever the
    owner changes takes the lease away, while `lease_until` keeps the next claim waiting.
    """

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    client_id = fields.CharField(max_length=64)
    scopes: fields.JSONField[list[str]] = fields.JSONField()
    url = fields.CharField(max_length=2_048)
    document = fields.TextField()
    variables: fields.JSONField[dict[str, Any]] = fields.JSONField()
    operation_name = fields.CharField(max_length=128, null=True)
    event_type = fields.CharField(max_length=128)
    locale = fields.CharField(max_length=8)
    cursor = fields.CharField(max_length=512, null=True)
    state = fields.CharEnumField(WebhookState, max_length=16)
    suspension_reason = fields.CharEnumField(SuspensionReason, max_length=16, null=True)
    attempt = fields.IntField()
    failing_since = UtcDatetimeField(null=True)
    next_attempt_at = UtcDatetimeField()
    lease_owner = fields.CharField(max_length=64, null=True)
    lease_until = UtcDatetimeField(null=True)
    secret_sealed = fields.BinaryField()
    previous_secret_sealed = fields.BinaryField(null=True)
    previous_secret_until = UtcDatetimeField(null=True)
    created_at = UtcDatetimeField()

    class Meta:
        table = "webhook"
        indexes = [Index(fields=["user_id", "id"])]


class WebhookDelivery(Model):
    """One attempt. The rows are deleted by age, and stay until then when their webhook is deleted."""

    id = fields.UUIDField(primary_key=True)
    webhook_id = fields.UUIDField()
    user_id = fields.UUIDField()
    message_id = fields.CharField(max_length=64, null=True)
    cursor = fields.CharField(max_length=512, null=True)
    attempt = fields.IntField()
    status = fields.IntField(null=True)
    latency_ms = fields.IntField()
    error = fields.CharField(max_length=32, null=True)
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "webhook_delivery"
        indexes = [Index(fields=["webhook_id", "id"]), Index(fields=["occurred_at"])]
