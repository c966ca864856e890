"""Conversations by voice."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model

from models.fields import UtcDatetimeField


class VoiceSession(Model):
    """What a conversation of one user remembers, under the name that the client gave it.

    `version` grows with every change, so that of two turns at once one is heard. Of a confirm token only the hash is
    in the state.
    """

    id = fields.UUIDField(primary_key=True)
    user_id = fields.UUIDField()
    session = fields.CharField(max_length=64)
    state: fields.JSONField[dict[str, Any]] = fields.JSONField()
    version = fields.IntField()
    expires_at = UtcDatetimeField(db_index=True)

    class Meta:
        table = "voice_session"
        unique_together = (("user_id", "session"),)
