"""Idempotency keys: the same key with the same input gives the first result, with another input a conflict."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from uuid import UUID

from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from kernel.ids import new_id
from models.orders import IdempotencyKey

VALID_KEY = re.compile(r"[\x21-\x7e]{8,64}")


class IdempotencyKeyInvalid(YoukaError):
    code = "IDEMPOTENCY_KEY_INVALID"
    messages = {
        "zh-CN": "幂等键须为8至64个可见ASCII字符",
        "en": "The idempotency key must have 8 to 64 visible ASCII characters",
    }


class IdempotencyConflict(YoukaError):
    code = "IDEMPOTENCY_CONFLICT"
    messages = {
        "zh-CN": "该幂等键已用于不同的请求",
        "en": "This idempotency key was used with another input",
    }


def check_key(key: str) -> None:
    """Raises IdempotencyKeyInvalid."""
    if not VALID_KEY.fullmatch(key):
        raise IdempotencyKeyInvalid


def hash_of(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


async def made_before(*, viewer: Viewer, operation: str, key: str, input_hash: str) -> UUID | None:
    """Return what the key made, None where it is new. Raises IdempotencyConflict."""
    found = await IdempotencyKey.get_or_none(user_id=viewer.user_id, operation=operation, key=key)
    if found is None:
        return None
    if found.input_hash != input_hash:
        raise IdempotencyConflict
    return found.result_id


async def remember(
    *, viewer: Viewer, operation: str, key: str, input_hash: str, result_id: UUID, now: datetime
) -> None:
    """Write the key down in the transaction that makes its result; a second writer gets an IntegrityError."""
    await IdempotencyKey.create(
        id=new_id(),
        user_id=viewer.user_id,
        operation=operation,
        key=key,
        input_hash=input_hash,
        result_id=result_id,
        created_at=now,
    )
