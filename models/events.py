"""The event table: outbox and history in one; where its streams stand, and how far devices have read."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField
from models.identity import User


class EventStream(Model):
    """The head of a stream. Incrementing `position` under its row lock makes position order commit order.

    Events up to and with `purged` are deleted; 0 where all are there.
    """

    name = fields.CharField(max_length=64, primary_key=True)
    position = fields.BigIntField()
    purged = fields.BigIntField(default=0, db_default=0)

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


class EventEpoch(Model):
    """The one row that names the history: another name means that positions were handed out a second time."""

    id = fields.SmallIntField(primary_key=True)
    name = fields.CharField(max_length=16)
    started_at = UtcDatetimeField()

    class Meta:
        table = "event_epoch"


class NoticeAck(Model):
    """How far a device of a user has read the user's arrivals. `position` only grows."""

    id = fields.UUIDField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    device = fields.CharField(max_length=64)
    position = fields.BigIntField()
    acked_at = UtcDatetimeField()

    user_id: UUID

    class Meta:
        table = "notice_ack"
        unique_together = (("user", "device"),)
