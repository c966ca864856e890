"""What owners do with their webhooks. Whatever changes one takes it away from the process that delivers it.

That process finds out at its next renewal and stops; the next claim waits until its lease would have ended, so no two
processes ever deliver one webhook at a time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from domain.identity.queries import lock_user
from domain.identity.staff import is_staff
from domain.identity.viewer import Viewer
from domain.webhooks import rules
from domain.webhooks.policy import Policy
from domain.webhooks.ports import Admission, Asked, Outcome, WebhookSender
from domain.webhooks.queries import WebhookNotFound, owned
from domain.webhooks.rules import Trigger
from kernel.errors import Locale, YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import WebhookState
from models.database import transactional
from models.identity import StaffMember
from models.webhooks import Webhook, WebhookDelivery

TEST_TYPE = "webhook.test"


class TooManyWebhooks(YoukaError):
    code = "TOO_MANY_WEBHOOKS"
    messages = {"zh-CN": "最多注册{maximum}个webhook", "en": "You can register {maximum} webhooks at most"}


@dataclass(frozen=True, slots=True)
class WithSecret:
    """A webhook and the secret that was made for it just now; nobody can read it again."""

    webhook: Webhook
    secret: str


def secrets_of(webhook: Webhook, *, sealer: Sealer, now: datetime) -> list[str]:
    """Return the secrets to sign with: the current one, and the one before it while it is still valid."""
    sealed = [webhook.secret_sealed]
    if webhook.previous_secret_sealed and webhook.previous_secret_until and now < webhook.previous_secret_until:
        sealed.append(webhook.previous_secret_sealed)
    return [sealer.open(bytes(each), owner=str(webhook.id)) for each in sealed]


async def register(
    *,
    viewer: Viewer,
    url: str,
    asked: Asked,
    after: str | None,
    locale: Locale,
    admission: Admission,
    sender: WebhookSender,
    sealer: Sealer,
    policy: Policy,
    now: datetime,
) -> WithSecret:
    """Register a subscription for a URL; what happens from now on is delivered, or what is behind `after`.

    Raises WebhookDocumentInvalid, CursorInvalid, WebhookUrlInvalid or TooManyWebhooks.
    """
    admitted = await admission.admit(asked=asked, after=after, viewer=viewer, locale=locale, now=now)
    await sender.check(url)
    identifier, secret = new_id(), rules.secret_text(os.urandom(rules.SECRET_SIZE_BYTES))
    webhook = Webhook(
        id=identifier,
        user_id=viewer.user_id,
        client_id=viewer.client_id,
        scopes=sorted(viewer.scopes),
        url=url,
        document=admitted.document,
        variables=asked.variables,
        operation_name=asked.operation_name,
        event_type=admitted.event_type,
        locale=locale,
        cursor=admitted.cursor,
        state=WebhookState.ACTIVE,
        attempt=0,
        next_attempt_at=now,
        secret_sealed=sealer.seal(secret, owner=str(identifier)),
        created_at=now,
    )
    await _add(webhook, viewer, policy.per_user_max)
    return WithSecret(webhook, secret)


@transactional
async def _add(webhook: Webhook, viewer: Viewer, per_user_max: int) -> None:
    await _lock_owner(viewer)
    if await Webhook.filter(user_id=viewer.user_id).count() >= per_user_max:
        raise TooManyWebhooks(maximum=per_user_max)
    await webhook.save(force_create=True)


async def _lock_owner(viewer: Viewer) -> None:
    """Let what one owner registers happen one after another, so that the limit counts all of it."""
    if is_staff(viewer):
        await StaffMember.select_for_update().filter(id=viewer.user_id).first()
    else:
        await lock_user(viewer=viewer)


async def update(*, viewer: Viewer, webhook_id: UUID | None, url: str, sender: WebhookSender, now: datetime) -> Webhook:
    """Send to another URL from now on, an event that is being retried first. Raises WebhookNotFound or
    WebhookUrlInvalid."""
    await _found(viewer, webhook_id)
    await sender.check(url)
    return await _change(viewer, webhook_id, url=url, **_anew(now))


async def pause(*, viewer: Viewer, webhook_id: UUID | None) -> Webhook:
    """Deliver nothing until it is resumed; its cursor stays. Raises WebhookNotFound."""
    return await _change(viewer, webhook_id, trigger=Trigger.PAUSE)


async def resume(
    *, viewer: Viewer, webhook_id: UUID | None, after: str | None, admission: Admission, now: datetime
) -> Webhook:
    """Deliver again, from the kept cursor or from another one, so that events come once more or are passed by.

    Raises WebhookNotFound, CursorInvalid, or WebhookDocumentInvalid where the owner may not take
    the subscription any more.
    """
    webhook = await _found(viewer, webhook_id)
    asked = Asked(webhook.document, webhook.variables, webhook.operation_name)
    locale: Locale = "en" if webhook.locale == "en" else "zh-CN"
    start = after if after is not None else webhook.cursor
    admitted = await admission.admit(asked=asked, after=start, viewer=viewer, locale=locale, now=now)
    moved = {} if after is None else {"cursor": admitted.cursor}
    return await _change(viewer, webhook_id, trigger=Trigger.RESUME, **moved, **_anew(now))


async def rotate_secret(
    *, viewer: Viewer, webhook_id: UUID | None, sealer: Sealer, policy: Policy, now: datetime
) -> WithSecret:
    """Make a new secret; the one before it signs as well for a while, and the one before that no more.

    Raises WebhookNotFound.
    """
    webhook = await _found(viewer, webhook_id)
    secret = rules.secret_text(os.urandom(rules.SECRET_SIZE_BYTES))
    changed = await _replace_secret(
        viewer, webhook.id, sealer.seal(secret, owner=str(webhook.id)), now + policy.secret_overlap
    )
    return WithSecret(changed, secret)


@transactional
async def _replace_secret(viewer: Viewer, webhook_id: UUID, sealed: bytes, previous_until: datetime) -> Webhook:
    webhook = await _locked(viewer, webhook_id)
    return await _write(
        webhook,
        secret_sealed=sealed,
        previous_secret_sealed=webhook.secret_sealed,
        previous_secret_until=previous_until,
    )


@transactional
async def delete(*, viewer: Viewer, webhook_id: UUID | None) -> UUID:
    """Forget the webhook, its secrets included; its log stays until it is old. Raises
    WebhookNotFound."""
    webhook = await _locked(viewer, webhook_id)
    await webhook.delete()
    return webhook.id


async def send_test(
    *, viewer: Viewer, webhook_id: UUID | None, sender: WebhookSender, sealer: Sealer, now: datetime
) -> Outcome:
    """Send one signed message that is no event, in any state of the webhook. Raises WebhookNotFound."""
    webhook = await _found(viewer, webhook_id)
    body = orjson.dumps({"type": TEST_TYPE, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": {}})
    message_id = rules.message_id(webhook.id, str(new_id()))
    headers = rules.signed_headers(
        secrets_of(webhook, sealer=sealer, now=now), message_id=message_id, body=body, now=now
    )
    outcome = await sender.send(webhook.url, headers=headers, body=body)
    await note(webhook, message_id=message_id, cursor=None, attempt=1, outcome=outcome, now=now)
    return outcome


async def note(
    webhook: Webhook, *, message_id: str | None, cursor: str | None, attempt: int, outcome: Outcome, now: datetime
) -> None:
    """Write one attempt into the log."""
    await WebhookDelivery.create(
        id=new_id(),
        webhook_id=webhook.id,
        user_id=webhook.user_id,
        message_id=message_id,
        cursor=cursor,
        attempt=attempt,
        status=outcome.status,
        latency_ms=outcome.latency_ms,
        error=outcome.error.value if outcome.error else None,
        occurred_at=now,
    )


def _anew(now: datetime) -> dict[str, Any]:
    """Count the attempts of the next event from the start."""
    return {"attempt": 0, "failing_since": None, "next_attempt_at": now}


async def _found(viewer: Viewer, webhook_id: UUID | None) -> Webhook:
    webhook = await owned(viewer=viewer, webhook_id=webhook_id)
    if webhook is None:
        raise WebhookNotFound
    return webhook


async def _locked(viewer: Viewer, webhook_id: UUID | None) -> Webhook:
    found = Webhook.select_for_update().filter(id=webhook_id, user_id=viewer.user_id) if webhook_id else None
    webhook = await found.first() if found else None
    if webhook is None:
        raise WebhookNotFound
    return webhook


@transactional
async def _change(viewer: Viewer, webhook_id: UUID | None, *, trigger: Trigger | None = None, **values: Any) -> Webhook:
    webhook = await _locked(viewer, webhook_id)
    if trigger:
        state = rules.next_state(webhook.state, trigger)
        assert state is not None, f"owners may {trigger} in every state"
        values |= {"state": state, "suspension_reason": None}
    return await _write(webhook, **values)


async def _write(webhook: Webhook, **values: Any) -> Webhook:
    webhook.update_from_dict({**values, "lease_owner": None})
    await webhook.save(update_fields=[*values, "lease_owner"])
    return webhook
