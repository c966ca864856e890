"""The event table: outbox and history in one."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class EventStream(Model):
    """The head of a stream. Incrementing `position` under its row lock makes position order commit order."""

    name = fields.CharField(max_length=64, primary_key=True)
    position = fields.BigIntField()

    class Meta:
        table = "event_stream"


class Event(Model):
    """A fact that a client may need to hear. `published_at` is empty until the relay has sent it."""

    id = fields.BigIntField(primary_key=True, generated=True)
    stream = fields.CharField(max_length=64)
    position = fields.BigIntField()
    type = fields.CharField(max_length=64)
    payload: fields.JSONField[dict[str, object]] = fields.JSONField()
    occurred_at = UtcDatetimeField()
    published_at = UtcDatetimeField(null=True)

    class Meta:
        table = "event"
        unique_together = (("stream", "position"),)
