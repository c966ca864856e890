"""What whoever delivers does with webhooks: claim them, keep them, and write down what became of each attempt.

Every outcome names the claim that it belongs to. A process that has lost its lease can therefore change nothing; what
it has sent meanwhile is sent again by the next one, under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.webhooks import rules
from domain.webhooks.operations import note
from domain.webhooks.policy import Policy
from domain.webhooks.ports import Outcome
from domain.webhooks.rules import Trigger
from domain.work import statements
from kernel.states import SuspensionReason
from models.database import transactional
from models.webhooks import Webhook

FREE = "state = 'ACTIVE' AND next_attempt_at <= $3 AND (lease_until IS NULL OR lease_until < $3)"
CLAIM_POSTGRES = f"""
WITH picked AS MATERIALIZED (
    SELECT id FROM webhook WHERE {FREE} ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE webhook SET lease_owner = $1, lease_until = $2 FROM picked WHERE webhook.id = picked.id RETURNING webhook.id
"""  # noqa: S608 -- put together from literals of this file.
CLAIM_SQLITE = f"""
UPDATE webhook SET lease_owner = $1, lease_until = $2
WHERE id IN (SELECT id FROM webhook WHERE {FREE} ORDER BY next_attempt_at LIMIT $4) RETURNING id
"""  # noqa: S608 -- the same.
DUE = f"SELECT id FROM webhook WHERE {FREE.replace('$3', '$1')} LIMIT $2"  # noqa: S608 -- the same.
# A lease only grows: a renewal that was stuck on its way must not shorten what a later one has given.
RENEW_POSTGRES = """
UPDATE webhook SET lease_until = GREATEST(lease_until, $1)
WHERE id = ANY($2::uuid[]) AND lease_owner = ANY($3::text[]) RETURNING id
"""
RENEW_SQLITE = """
UPDATE webhook SET lease_until = MAX(lease_until, $1)
WHERE id IN (SELECT value FROM json_each($2)) AND lease_owner IN (SELECT value FROM json_each($3)) RETURNING id
"""
PURGEABLE = "SELECT id FROM webhook_delivery WHERE occurred_at < $1 ORDER BY occurred_at LIMIT $2"
PURGE = f"DELETE FROM webhook_delivery WHERE id IN ({PURGEABLE}) RETURNING id"  # noqa: S608 -- the same.


class WebhookLeaseLost(Exception):
    """Somebody else delivers this webhook by now, or its owner has changed it."""


async def due(*, now: datetime, limit: int) -> int:
    """Return how many webhooks, counted up to the limit, could be claimed now. Looking takes no lock."""
    return len(await statements.rows(DUE, DUE, now, limit))


@transactional
async def claim(*, owner: str, limit: int, lease: timedelta, now: datetime) -> list[Webhook]:
    """Lease up to `limit` webhooks that are due, what has waited longest first."""
    token = f"{owner}:{uuid4().hex[:12]}"
    found = await statements.rows(CLAIM_POSTGRES, CLAIM_SQLITE, token, now + lease, now, limit)
    return await Webhook.filter(lease_owner=token).order_by("next_attempt_at") if found else []


@transactional
async def renew(*, webhooks: Sequence[Webhook], lease: timedelta, now: datetime) -> set[UUID]:
    """Keep what is still ours, and return the ids of that."""
    owners = {webhook.lease_owner for webhook in webhooks if webhook.lease_owner}
    kept = await statements.rows(
        RENEW_POSTGRES, RENEW_SQLITE, now + lease, [webhook.id for webhook in webhooks], list(owners)
    )
    return {row["id"] if isinstance(row["id"], UUID) else UUID(row["id"]) for row in kept}


async def is_held(webhook: Webhook) -> bool:
    """Whether the claim still stands: neither another process nor the owner has taken the webhook away."""
    return await Webhook.exists(id=webhook.id, lease_owner=webhook.lease_owner)


@transactional
async def release(webhook: Webhook, *, due_at: datetime) -> None:
    """Give the webhook back; due now, it comes behind all that wait by now. Raises WebhookLeaseLost."""
    await _settle(webhook, next_attempt_at=due_at)


@transactional
async def delivered(webhook: Webhook, *, message_id: str, cursor: str, outcome: Outcome, now: datetime) -> None:
    """Move the cursor behind an event that the receiver has taken, and keep the lease. Raises WebhookLeaseLost."""
    held = await _held(webhook)
    await note(webhook, message_id=message_id, cursor=cursor, attempt=held.attempt + 1, outcome=outcome, now=now)
    await _change(webhook, cursor=cursor, attempt=0, failing_since=None)


@transactional
async def failed(
    webhook: Webhook,
    *,
    message_id: str | None,
    cursor: str | None,
    outcome: Outcome,
    policy: Policy,
    jitter: float,
    now: datetime,
) -> SuspensionReason | None:
    """Write down an attempt that failed, and give the webhook back until the next one. The cursor stays.

    Returns the reason where the webhook is suspended by it: the receiver is gone (410), or the event's day is over.
    Raises WebhookLeaseLost.
    """
    held = await _held(webhook)
    attempt, failing_since = held.attempt + 1, held.failing_since or now
    await note(webhook, message_id=message_id, cursor=cursor, attempt=attempt, outcome=outcome, now=now)
    counted: dict[str, Any] = {"attempt": attempt, "failing_since": failing_since}
    if outcome.status == rules.GONE_STATUS:
        await _suspend(held, SuspensionReason.GONE, **counted)
        return SuspensionReason.GONE
    next_at = rules.next_attempt_at(
        policy.retries,
        attempt=attempt,
        failing_since=failing_since,
        retry_after_s=outcome.retry_after_s,
        jitter=jitter,
        now=now,
    )
    if next_at is None:
        await _suspend(held, SuspensionReason.FAILING, **counted)
        return SuspensionReason.FAILING
    await _settle(webhook, **counted, next_attempt_at=next_at)
    return None


@transactional
async def suspend(webhook: Webhook, *, reason: SuspensionReason) -> None:
    """Stop delivering until the owner resumes; the cursor stays. Raises WebhookLeaseLost."""
    await _suspend(await _held(webhook), reason)


async def purge_log(*, before: datetime, limit: int) -> int:
    """Delete up to `limit` attempts of before the moment, the oldest first, and return how many they were."""
    return len(await statements.rows(PURGE, PURGE, before, limit))


async def _suspend(webhook: Webhook, reason: SuspensionReason, **values: Any) -> None:
    state = rules.next_state(webhook.state, Trigger.SUSPEND)
    assert state is not None, "only what is active is leased"
    await _settle(webhook, state=state, suspension_reason=reason, **values)


async def _held(webhook: Webhook) -> Webhook:
    held = await Webhook.select_for_update().filter(id=webhook.id, lease_owner=webhook.lease_owner).first()
    if held is None:
        raise WebhookLeaseLost
    return held


async def _settle(webhook: Webhook, **values: Any) -> None:
    await _change(webhook, **values, lease_owner=None, lease_until=None)


async def _change(webhook: Webhook, **values: Any) -> None:
    if not await Webhook.filter(id=webhook.id, lease_owner=webhook.lease_owner).update(**values):
        raise WebhookLeaseLost
