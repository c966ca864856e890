"""Writing down what happens to transfers, payees, policies and claims, and by whom it was signed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.models import Model

from domain.access import second_factor
from domain.access.second_factor import Signature
from domain.actions.recording import Subject, columns_of, record
from domain.identity.staff import Staff
from domain.orders.reviewing import ReasonMissing
from kernel.errors import YoukaError
from kernel.fund_states import FundStepKind, FundSubject
from kernel.ids import new_id
from models.funds import FundStep

REASON_LENGTH_MAX = 256


class ApprovalStale(YoukaError):
    """What was read is not what is there: it has changed since, and with it whatever was approved of it."""

    code = "APPROVAL_STALE"
    messages = {
        "zh-CN": "内容已变化（当前版本{version}），请重新查看后再试",
        "en": "It has changed since you have read it (it is at version {version} now), please look at it again",
    }


def checked_reason(reason: str) -> str:
    """Return a reason as it is kept. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing
    return reason[:REASON_LENGTH_MAX]


async def tell(
    subject: FundSubject,
    subject_id: UUID,
    step: FundStepKind,
    *,
    version: int,
    before: str | None,
    after: str,
    digest: str,
    reason: str,
    now: datetime,
    staff: Staff | None = None,
    signature: Signature | None = None,
) -> None:
    """Write one line, in the transaction of the change. A signature is spent with it. Raises SecondFactorRefused."""
    if signature is not None:
        await second_factor.spend(signature)
    who = signature.staff if signature else staff
    await FundStep.create(
        id=new_id(),
        subject=subject,
        subject_id=subject_id,
        version=version,
        step=step,
        from_state=before,
        to_state=after,
        digest=digest,
        staff_id=who.id if who else None,
        second_factor_step=signature.step if signature else None,
        reason=reason,
        occurred_at=now,
    )


async def record_new(staff: Staff, action: str, row: Model, *, kind: str, reason: str, now: datetime) -> None:
    """Write down that somebody has made a row, last in the transaction."""
    await record(
        actor=staff.actor,
        roles=staff.roles,
        action=action,
        subject=Subject(kind, row.pk),
        reason=reason,
        after=columns_of(row),
        now=now,
    )
