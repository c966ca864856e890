"""What people do with work that no retry could settle: try it again, or dismiss it for good."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.actions.recording import Operator, Subject, record
from domain.events import signals
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import InterventionAction, StaffRole
from models.database import after_commit, transactional
from models.jobs import Job, JobIntervention

ACTOR_LENGTH_MAX = 64
REASON_LENGTH_MAX = 256
# Without the payload, which may be what nobody could read.
READABLE = (
    *("id", "kind", "key", "due_at", "attempts", "failures", "claims", "last_error", "created_at", "done_at"),
    "parked_at",
)
RECORDED_AS = {InterventionAction.RETRY: "retryWork", InterventionAction.DISMISS: "dismissWork"}


class JobNotFound(YoukaError):
    code = "JOB_NOT_FOUND"
    messages = {"zh-CN": "任务 {job_id} 不存在", "en": "There is no job {job_id}"}


class JobNotParked(YoukaError):
    code = "JOB_NOT_PARKED"
    messages = {
        "zh-CN": "任务 {job_id} 不在人工队列中",
        "en": "The job {job_id} does not wait in the manual queue",
    }


class ActorMissing(YoukaError):
    code = "ACTOR_MISSING"
    messages = {
        "zh-CN": "请注明操作人(不超过 {maximum} 个字符)",
        "en": "Say who does this, in at most {maximum} characters",
    }


class ReasonMissing(YoukaError):
    code = "REASON_MISSING"
    messages = {
        "zh-CN": "请说明原因(不超过 {maximum} 个字符)",
        "en": "Say why, in at most {maximum} characters",
    }


@transactional
async def retry(
    *,
    job_id: UUID | None,
    actor: str,
    roles: frozenset[StaffRole] = frozenset(),
    reason: str,
    now: datetime,
    due_at: datetime | None = None,
) -> Job:
    """Take the work out of the manual queue and make it due, or due later, with its failures and crashes forgotten.

    `roles` are those of a member of staff; without any, `actor` is somebody with a shell. Raises JobNotFound,
    JobNotParked, ActorMissing or ReasonMissing.
    """
    changes: dict[str, Any] = {"parked_at": None, "failures": 0, "claims": 0, "due_at": due_at or now}
    job = await _act(job_id, InterventionAction.RETRY, changes, actor, roles, reason, now)
    after_commit(signals.notify)
    return job


@transactional
async def dismiss(
    *, job_id: UUID | None, actor: str, roles: frozenset[StaffRole] = frozenset(), reason: str, now: datetime
) -> Job:
    """Settle the work as it is, because it has been settled elsewhere or must not happen: it never runs again.

    Raises JobNotFound, JobNotParked, ActorMissing or ReasonMissing.
    """
    return await _act(job_id, InterventionAction.DISMISS, {"done_at": now}, actor, roles, reason, now)


async def _act(
    job_id: UUID | None,
    action: InterventionAction,
    changes: dict[str, Any],
    actor: str,
    roles: frozenset[StaffRole],
    reason: str,
    now: datetime,
) -> Job:
    """Lock the parked work, change it and write down who did what; of two people at once, the second finds it gone."""
    actor, reason = actor.strip(), reason.strip()
    if not _fits(actor, ACTOR_LENGTH_MAX):
        raise ActorMissing(maximum=ACTOR_LENGTH_MAX)
    if not _fits(reason, REASON_LENGTH_MAX):
        raise ReasonMissing(maximum=REASON_LENGTH_MAX)
    job = await Job.filter(id=job_id).select_for_update().only(*READABLE).first() if job_id else None
    if job is None:
        raise JobNotFound(job_id=job_id)
    if job.parked_at is None or job.done_at is not None:
        raise JobNotParked(job_id=job_id)
    await JobIntervention.create(id=new_id(), job_id=job.id, actor=actor, action=action, reason=reason, occurred_at=now)
    before = {name: getattr(job, name) for name in READABLE}
    await Job.filter(id=job.id).update(**changes)
    job.update_from_dict(changes)
    await record(
        actor=actor if roles else Operator(actor).actor,
        roles=roles,
        action=RECORDED_AS[action],
        subject=Subject("ParkedWork", job.id),
        reason=reason,
        before=before,
        after={name: getattr(job, name) for name in READABLE},
        now=now,
    )
    return job


def _fits(text: str, length_max: int) -> bool:
    # PostgreSQL has no room for the null character in a text.
    return 0 < len(text) <= length_max and "\0" not in text
