"""What a webhook is made of: its signature, its ids, its retries and its states (Standard Webhooks 1.0.0); no I/O.

Source of headers, signature and secrets: https://github.com/standard-webhooks/standard-webhooks, spec, version 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from kernel.states import WebhookState

SECRET_PREFIX = "whsec_"  # noqa: S105 -- it says what follows, and is no secret.
SECRET_SIZE_BYTES = 32
SECRET_SIZE_MIN_BYTES, SECRET_SIZE_MAX_BYTES = 24, 64
MESSAGE_ID_HASH_LENGTH = 32
RETRY_DELAYS_S = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0)
# Each delay is drawn from here up to so much more, so that the receivers of one failure are not called at once again.
JITTER_SHARE_MAX = 0.2
GONE_STATUS = 410


class SecretMalformed(ValueError):
    """The text is not a secret as the specification writes it; the message never holds it."""


def secret_text(key: bytes) -> str:
    """Return the secret as partners store it: `whsec_` and base64. Raises SecretMalformed."""
    if not SECRET_SIZE_MIN_BYTES <= len(key) <= SECRET_SIZE_MAX_BYTES:
        raise SecretMalformed(f"a secret has {SECRET_SIZE_MIN_BYTES} to {SECRET_SIZE_MAX_BYTES} bytes")
    return SECRET_PREFIX + base64.b64encode(key).decode()


def secret_key(text: str) -> bytes:
    """Return the bytes of a secret. Raises SecretMalformed."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise SecretMalformed("a secret is base64") from None
    if not text.startswith(SECRET_PREFIX) or not SECRET_SIZE_MIN_BYTES <= len(key) <= SECRET_SIZE_MAX_BYTES:
        raise SecretMalformed(f"a secret is {SECRET_PREFIX} and {SECRET_SIZE_MIN_BYTES} bytes or more in base64")
    return key


def signature(secret: str, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return `v1,` and the HMAC-SHA256 of id, timestamp and body in base64. Raises SecretMalformed."""
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret_key(secret), signed, hashlib.sha256)).decode()


def signed_headers(secrets: Sequence[str], *, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the three headers of one attempt, with a signature for each secret that is valid now.

    The timestamp is that of the attempt, in whole seconds of Unix time.
    """
    timestamp_s = int(now.timestamp())
    signatures = [signature(each, message_id=message_id, timestamp_s=timestamp_s, body=body) for each in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }


def message_id(webhook_id: UUID, cursor: str) -> str:
    """Return the id of an event for one webhook: the same at every attempt, so the receiver can drop doubles."""
    return "msg_" + hashlib.sha256(f"{webhook_id}\x1f{cursor}".encode()).hexdigest()[:MESSAGE_ID_HASH_LENGTH]


def retry_delay_s(attempt: int, *, jitter: float) -> float:
    """Return the seconds to wait after the so-manieth failed attempt of an event, counted from 1; jitter is 0 to 1."""
    assert attempt >= 1
    assert 0 <= jitter <= 1
    delay_s = RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S)) - 1]
    return delay_s * (1 + JITTER_SHARE_MAX * jitter)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long an event is tried, counted from its first failure, and how long a receiver may ask us to wait."""

    give_up_after: timedelta
    retry_after_max: timedelta


def next_attempt_at(
    policy: RetryPolicy,
    *,
    attempt: int,
    failing_since: datetime,
    retry_after_s: float | None,
    jitter: float,
    now: datetime,
) -> datetime | None:
    """Return when a failed event is tried again; None where its time is over.

    The last attempt comes when the time ends, and not at the last delay before it. `Retry-After` makes the wait
    longer, within its bound, and never shorter.
    """
    ends_at = failing_since + policy.give_up_after
    if now >= ends_at:
        return None
    asked_s = min(retry_after_s or 0.0, policy.retry_after_max.total_seconds())
    return min(now + timedelta(seconds=max(retry_delay_s(attempt, jitter=jitter), asked_s)), ends_at)


class Trigger(StrEnum):
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    SUSPEND = "SUSPEND"


# What is not here is refused. An active webhook may be resumed, from another cursor.
TRANSITIONS: Mapping[tuple[WebhookState, Trigger], WebhookState] = {
    (WebhookState.ACTIVE, Trigger.PAUSE): WebhookState.PAUSED,
    (WebhookState.PAUSED, Trigger.PAUSE): WebhookState.PAUSED,
    (WebhookState.SUSPENDED, Trigger.PAUSE): WebhookState.PAUSED,
    (WebhookState.ACTIVE, Trigger.RESUME): WebhookState.ACTIVE,
    (WebhookState.PAUSED, Trigger.RESUME): WebhookState.ACTIVE,
    (WebhookState.SUSPENDED, Trigger.RESUME): WebhookState.ACTIVE,
    (WebhookState.ACTIVE, Trigger.SUSPEND): WebhookState.SUSPENDED,
}


def next_state(state: WebhookState, trigger: Trigger) -> WebhookState | None:
    """Return where the trigger leads, None where it leads nowhere."""
    return TRANSITIONS.get((state, trigger))
