"""What people do with work that no retry could settle: try it again, or dismiss it for good."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.events import signals
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import InterventionAction
from models.database import after_commit, transactional
from models.jobs import Job, JobIntervention

ACTOR_LENGTH_MAX = 64
REASON_LENGTH_MAX = 256


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
async def retry(*, job_id: UUID, actor: str, reason: str, now: datetime) -> None:
    """Take the work out of the manual queue and make it due, with its failures and crashes forgotten.

    Raises JobNotFound, JobNotParked, ActorMissing or ReasonMissing.
    """
    await _act(job_id, InterventionAction.RETRY, actor, reason, now)
    await Job.filter(id=job_id).update(parked_at=None, failures=0, claims=0, due_at=now)
    after_commit(signals.notify)


@transactional
async def dismiss(*, job_id: UUID, actor: str, reason: str, now: datetime) -> None:
    """Settle the work as it is, because it has been settled elsewhere or must not happen: it never runs again.

    Raises JobNotFound, JobNotParked, ActorMissing or ReasonMissing.
    """
    await _act(job_id, InterventionAction.DISMISS, actor, reason, now)
    await Job.filter(id=job_id).update(done_at=now)


async def _act(job_id: UUID, action: InterventionAction, actor: str, reason: str, now: datetime) -> None:
    """Lock the parked work and write down who did what; of two people at once, the second finds it gone."""
    actor, reason = actor.strip(), reason.strip()
    if not _fits(actor, ACTOR_LENGTH_MAX):
        raise ActorMissing(maximum=ACTOR_LENGTH_MAX)
    if not _fits(reason, REASON_LENGTH_MAX):
        raise ReasonMissing(maximum=REASON_LENGTH_MAX)
    # Without the payload, which may be what nobody could read.
    job = await Job.filter(id=job_id).select_for_update().only("id", "parked_at", "done_at").first()
    if job is None:
        raise JobNotFound(job_id=job_id)
    if job.parked_at is None or job.done_at is not None:
        raise JobNotParked(job_id=job_id)
    await JobIntervention.create(id=new_id(), job_id=job_id, actor=actor, action=action, reason=reason, occurred_at=now)


def _fits(text: str, length_max: int) -> bool:
    # PostgreSQL has no room for the null character in a text.
    return 0 < len(text) <= length_max and "\0" not in text
