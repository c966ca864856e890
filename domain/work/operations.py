"""Work that must happen: rows with a due time, attempts and a lease.

A lease belongs to one claim of one worker. Whoever has lost it can neither renew it nor write an outcome, and a
transaction that begins with `hold` keeps others from claiming the work until it has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from tortoise.exceptions import FieldError

from domain.events import signals
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.work import statements
from domain.work.rules import Reader, backoff_s, payload_problem, some_text
from kernel.ids import new_id
from models.database import after_commit, transactional
from models.jobs import Job

ERROR_LENGTH_MAX = 256


class Kind(StrEnum):
    APPLY_NOTICE = "apply_notice"
    EXPIRE_ORDER = "expire_order"
    QUERY_PAYMENT = "query_payment"
    SUBMIT_RECHARGE = "submit_recharge"
    QUERY_RECHARGE = "query_recharge"
    FOLLOW_RECHARGE = "follow_recharge"
    WATCH_ISSUERS = "watch_issuers"
    REFUND = "refund"
    EXPIRE_REVIEW = "expire_review"
    CAPTURE_WALLET = "capture_wallet"
    QUERY_TOP_UP = "query_top_up"
    SETTLE_DEDUCTION = "settle_deduction"
    WATCH_MANDATE = "watch_mandate"
    END_CONTRACT = "end_contract"
    ANNOUNCE_PRICES = "announce_prices"
    PURGE_DONE_JOBS = "purge_done_jobs"
    PREPARE_PARTITIONS = "prepare_partitions"
    PURGE_EVENTS = "purge_events"
    PURGE_WEBHOOK_LOG = "purge_webhook_log"
    SCAN_EVENTS_TO_MESSAGE = "scan_events_to_message"
    SEND_MESSAGE = "send_message"
    SYNC_PRICES = "sync_prices"
    PURGE_MESSAGES = "purge_messages"
    SCHEDULE_RECONCILIATIONS = "schedule_reconciliations"
    RECONCILE = "reconcile"
    PURGE_VOICE_SESSIONS = "purge_voice_sessions"
    PROBE_CHANNELS = "probe_channels"
    PURGE_ACCESS = "purge_access"
    PURGE_SIGN_INS = "purge_sign_ins"
    ROTATE_SIGNING_KEYS = "rotate_signing_keys"
    CLOSE_FINANCE_DAYS = "close_finance_days"
    SEND_TRANSFER = "send_transfer"
    EXPIRE_TRANSFER = "expire_transfer"
    SWEEP = "sweep"
    SCHEDULE_SETTLEMENTS = "schedule_settlements"
    SETTLE = "settle"


# What the payload of each kind holds, at least. Work that lacks it cannot be done, now or ever.
PAYLOADS: Mapping[str, Mapping[str, Reader]] = {
    Kind.APPLY_NOTICE: {"notice_id": UUID},
    Kind.EXPIRE_ORDER: {"order_id": UUID},
    Kind.QUERY_PAYMENT: {"out_trade_no": some_text},
    Kind.SUBMIT_RECHARGE: {"order_id": UUID},
    Kind.QUERY_RECHARGE: {"attempt_id": UUID},
    Kind.FOLLOW_RECHARGE: {"attempt_id": UUID},
    Kind.WATCH_ISSUERS: {},
    Kind.REFUND: {"refund_id": UUID},
    Kind.EXPIRE_REVIEW: {"order_id": UUID},
    Kind.CAPTURE_WALLET: {"out_trade_no": some_text},
    Kind.QUERY_TOP_UP: {"out_trade_no": some_text},
    Kind.SETTLE_DEDUCTION: {"out_trade_no": some_text},
    Kind.WATCH_MANDATE: {"mandate_id": UUID},
    Kind.END_CONTRACT: {"mandate_id": UUID},
    Kind.ANNOUNCE_PRICES: {"effective_from": datetime.fromisoformat},
    Kind.PURGE_DONE_JOBS: {},
    Kind.PREPARE_PARTITIONS: {},
    Kind.PURGE_EVENTS: {},
    Kind.PURGE_WEBHOOK_LOG: {},
    Kind.SCAN_EVENTS_TO_MESSAGE: {},
    Kind.SEND_MESSAGE: {"message_id": UUID},
    Kind.SYNC_PRICES: {},
    Kind.PURGE_MESSAGES: {},
    Kind.SCHEDULE_RECONCILIATIONS: {},
    Kind.RECONCILE: {"source": some_text, "day": date.fromisoformat},
    Kind.PURGE_VOICE_SESSIONS: {},
    Kind.PROBE_CHANNELS: {},
    Kind.PURGE_ACCESS: {},
    Kind.PURGE_SIGN_INS: {},
    Kind.ROTATE_SIGNING_KEYS: {},
    Kind.CLOSE_FINANCE_DAYS: {},
    Kind.SEND_TRANSFER: {"transfer_id": UUID},
    Kind.EXPIRE_TRANSFER: {"transfer_id": UUID},
    Kind.SWEEP: {},
    Kind.SCHEDULE_SETTLEMENTS: {},
    Kind.SETTLE: {"source": some_text, "day": date.fromisoformat},
}


class LeaseLost(Exception):
    """Somebody else may have this work by now; whoever had it must leave everything as it is."""


class PayloadMalformed(ValueError):
    """Work was written down that nobody could do; the transaction that needs it must not go on."""


async def schedule(*, kind: Kind, key: str, payload: Mapping[str, str], due_at: datetime, now: datetime) -> None:
    """Write the work down once, in the transaction that needs it; the same kind and key again changes nothing.

    Raises PayloadMalformed.
    """
    check_payload(kind, payload)
    job = Job(id=new_id(), kind=kind.value, key=key, payload=dict(payload), due_at=due_at, attempts=0, created_at=now)
    await Job.bulk_create([job], ignore_conflicts=True)
    after_commit(signals.notify)


def check_payload(kind: Kind, payload: Mapping[str, str]) -> None:
    """Raises PayloadMalformed where the work could never be done."""
    problem = payload_problem(dict(payload), PAYLOADS[kind])
    if problem:
        raise PayloadMalformed(f"{kind}: {problem}")


@transactional
async def ensure_recurring(*, kind: Kind, key: str, now: datetime) -> None:
    """Write down work without an end, due at once. Where it is there already, parked or dismissed too, it stays so."""
    await schedule(kind=kind, key=key, payload={}, due_at=now, now=now)


@transactional
async def claim(
    *, owner: str, limit: int, lease: timedelta, now: datetime, running: Mapping[str, int] | None = None
) -> list[Job]:
    """Lease due work to the owner; `running` is how many of each kind it runs already.

    Work whose lease ran out is due again, so a killed worker's is taken over. Kinds take turns (see `statements`).
    What cannot even be read is parked instead of being returned.
    """
    rows = await statements.rows(
        statements.CLAIM_POSTGRES,
        statements.CLAIM_SQLITE,
        _new_lease(owner),
        now + lease,
        now,
        limit,
        json.dumps(dict(running or {})),
    )
    jobs = [await _read(row, now) for row in rows]
    return sorted((job for job in jobs if job), key=lambda job: job.due_at)


@transactional
async def claim_suspect(*, owner: str, lease: timedelta, now: datetime) -> Job | None:
    """Lease one piece of work that may have killed its workers. The run is counted by `begin_alone`."""
    rows = await statements.rows(
        statements.SUSPECT_POSTGRES, statements.SUSPECT_SQLITE, _new_lease(owner), now + lease, now
    )
    return await _read(rows[0], now) if rows else None


def _new_lease(owner: str) -> str:
    return f"{owner}:{uuid4().hex[:12]}"


async def _read(row: dict[str, Any], now: datetime) -> Job | None:
    try:
        return Job._init_from_db(**row)
    except FieldError:
        unread = {name: value for name, value in row.items() if name != "payload"}
        await park(Job._init_from_db(**unread, payload={}), reason="the payload is not JSON", runs=0, now=now)
        return None


@transactional
async def begin_alone(job: Job) -> None:
    """Count the run of a suspect, just before it. Raises LeaseLost."""
    await _change(job, claims=job.claims + 1)


@transactional
async def renew(*, jobs: Sequence[Job], lease: timedelta, now: datetime) -> set[UUID]:
    """Keep work that still runs, and return the ids of what was kept; somebody else may have the rest by now."""
    owners = {job.lease_owner for job in jobs if job.lease_owner}
    rows = await statements.rows(
        statements.RENEW_POSTGRES, statements.RENEW_SQLITE, now + lease, [job.id for job in jobs], list(owners)
    )
    return {row["id"] if isinstance(row["id"], UUID) else UUID(row["id"]) for row in rows}


async def hold(job: Job) -> None:
    """Call first in a transaction of the work: until it ends nobody else can claim the work. Raises LeaseLost."""
    if not await statements.rows(statements.HOLD_POSTGRES, statements.HOLD_SQLITE, job.id, job.lease_owner):
        raise LeaseLost(job.kind)


@transactional
async def release(job: Job, *, claims: int) -> None:
    """Give the work back unfinished, due as it was, with the count of claims that it had before. Raises LeaseLost."""
    await _change(job, lease_owner=None, lease_until=None, claims=claims)
    after_commit(signals.notify)


@transactional
async def finish(job: Job, *, now: datetime) -> None:
    """Raises LeaseLost, as do the other outcomes: what somebody else has by now is not ours to settle."""
    await _settle(job, done_at=now, last_error=None)


@transactional
async def again(job: Job, *, due_at: datetime) -> None:
    """Put the work back for later; waiting for somebody else is not a failure, but it is counted. Raises LeaseLost."""
    await _settle(job, due_at=due_at, attempts=job.attempts + 1, failures=0, last_error=None)


@transactional
async def fail(job: Job, *, error: str, attempts_max: int, now: datetime) -> bool:
    """Put failed work back with backoff, or park it for a person. Returns whether it is parked now. Raises LeaseLost.

    Only failures in a row count: work that has waited for somebody else all day may fail as often as new work.
    """
    failures = job.failures + 1
    parked = failures >= attempts_max
    await _settle(
        job,
        attempts=job.attempts + 1,
        failures=failures,
        due_at=now + timedelta(seconds=backoff_s(failures)),
        parked_at=now if parked else None,
        last_error=error[:ERROR_LENGTH_MAX],
    )
    if parked:
        await raise_alert(kind=AlertKind.WORK, subject_id=job.id, now=now)
    return parked


@transactional
async def park(job: Job, *, reason: str, now: datetime, runs: int = 1) -> None:
    """Leave the work to a person, because no retry can settle it; `runs` are what this adds. Raises LeaseLost."""
    await _settle(job, attempts=job.attempts + runs, parked_at=now, last_error=reason[:ERROR_LENGTH_MAX])
    await raise_alert(kind=AlertKind.WORK, subject_id=job.id, now=now)


async def _settle(job: Job, **outcome: Any) -> None:
    await _change(job, **outcome, lease_owner=None, lease_until=None, claims=0)


async def _change(job: Job, **values: Any) -> None:
    if not await Job.filter(id=job.id, lease_owner=job.lease_owner).update(**values):
        raise LeaseLost(job.kind)


@transactional
async def purge_done(*, before: datetime, limit: int) -> int:
    """Delete up to `limit` jobs that were done before the moment, the oldest first, and return how many they were.

    Work that a person has acted on stays. A key of a deleted job could be scheduled again, and that is harmless: its
    key only spares runs that would change nothing. What makes an effect happen once is its own row: an order's state
    and version, a posting's key, a channel's order number, a notice's id. The record of the decision goes through the
    kinds one by one.
    """
    return len(await statements.rows(statements.PURGE_POSTGRES, statements.PURGE_SQLITE, before, limit))
