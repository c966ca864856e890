"""Whom withdrawals may go to: bank accounts that one person registers and another one approves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.access.second_factor import Signature
from domain.actions.recording import acting
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.funds import moving, rules
from domain.funds.lifecycle import VOIDABLE, payee_after
from domain.funds.story import ApprovalStale, checked_reason, record_new, tell
from domain.identity.staff import Staff
from domain.orders.cases import SecondPersonNeeded
from kernel.errors import YoukaError
from kernel.fund_states import FundStepKind, FundSubject, PayeeKind, PayeeState
from kernel.ids import new_id
from kernel.sealing import Sealer
from models.database import transactional
from models.funds import FundPayee, FundTransfer

PAYEE = "Payee"
LIVE_RULES = ("fund_payee_live", "fund_payee.account_digest")


class PayeeNotFound(YoukaError):
    code = "PAYEE_NOT_FOUND"
    messages = {"zh-CN": "收款人不存在", "en": "There is no such payee"}


class PayeeNotUsable(YoukaError):
    """It is not approved, or not any more."""

    code = "PAYEE_NOT_USABLE"
    messages = {"zh-CN": "收款账户未生效或已停用", "en": "The payee is not approved, or not any more"}


class PayeeKnown(YoukaError):
    """The account is registered already, for this purpose or another."""

    code = "PAYEE_KNOWN"
    messages = {"zh-CN": "该收款账户已登记", "en": "The account is registered already"}


def owner_of(payee_id: UUID) -> str:
    """Return whose seal the number is under."""
    return f"payee:{payee_id}"


async def propose(
    *,
    staff: Staff,
    kind: PayeeKind,
    party: str,
    name: str,
    bank_code: str,
    account_number: str,
    reason: str,
    sealer: Sealer,
    now: datetime,
) -> FundPayee:
    """Register an account that somebody else has to approve. Raises PayeeInvalid, ReasonMissing or PayeeKnown."""
    rules.check_payee(party=party, name=name, bank_code=bank_code, account_number=account_number)
    payee_id = new_id()
    row = FundPayee(
        id=payee_id,
        kind=kind,
        party=party,
        name=name,
        bank_code=bank_code,
        account_sealed=sealer.seal(account_number, owner=owner_of(payee_id)),
        account_digest=sealer.digest(f"payee:{bank_code}:{account_number}"),
        account_masked=rules.masked(account_number),
        state=PayeeState.PROPOSED,
        version=1,
        reason=checked_reason(reason),
        proposed_by=staff.id,
        proposed_at=now,
    )
    try:
        return await _propose(row, staff, now)
    except IntegrityError as error:
        if any(rule in str(error) for rule in LIVE_RULES):
            raise PayeeKnown from error
        raise


@transactional
async def _propose(row: FundPayee, staff: Staff, now: datetime) -> FundPayee:
    await row.save(force_create=True)
    await _tell(row, FundStepKind.PROPOSE, None, reason=row.reason, now=now, staff=staff)
    await raise_alert(kind=AlertKind.PAYEE, subject_id=row.id, now=now)
    await record_new(staff, "proposePayee", row, kind=PAYEE, reason=row.reason, now=now)
    return row


@transactional
async def approve(
    *, signature: Signature, payee_id: UUID | None, version: int, reason: str, now: datetime
) -> FundPayee:
    """Let withdrawals go to an account that somebody else has registered.

    Raises PayeeNotFound, ApprovalStale, SecondPersonNeeded, StepNotPossible, ReasonMissing or SecondFactorRefused.
    """
    return await _decide(
        FundStepKind.APPROVE, signature, payee_id, version, reason, now, approved_by=signature.staff.id, approved_at=now
    )


@transactional
async def reject(*, signature: Signature, payee_id: UUID | None, version: int, reason: str, now: datetime) -> FundPayee:
    """Refuse an account that somebody else has registered. Raises as `approve` does."""
    return await _decide(FundStepKind.REJECT, signature, payee_id, version, reason, now, ended_at=now)


async def _decide(
    trigger: FundStepKind,
    signature: Signature,
    payee_id: UUID | None,
    version: int,
    reason: str,
    now: datetime,
    **changes: object,
) -> FundPayee:
    reason = checked_reason(reason)
    row = await _locked(payee_id, version)
    if row.proposed_by == signature.staff.id:
        raise SecondPersonNeeded
    before = row.state
    action = "approvePayee" if trigger is FundStepKind.APPROVE else "rejectPayee"
    async with acting(signature.staff, action, row, kind=PAYEE, reason=reason, now=now):
        row.update_from_dict({"state": payee_after(before, trigger), "version": row.version + 1, **changes})
        await row.save()
        await _tell(row, trigger, before, reason=reason, now=now, signature=signature)
    return row


@transactional
async def revoke(*, staff: Staff, payee_id: UUID | None, version: int, reason: str, now: datetime) -> FundPayee:
    """Let nothing more go to an account, which any one person of finance may; what is not sent yet is void with it.

    Raises PayeeNotFound, ApprovalStale, StepNotPossible or ReasonMissing.
    """
    reason = checked_reason(reason)
    row = await _locked(payee_id, version)
    before = row.state
    after = payee_after(before, FundStepKind.REVOKE)
    async with acting(staff, "revokePayee", row, kind=PAYEE, reason=reason, now=now):
        row.update_from_dict({"state": after, "version": row.version + 1, "ended_at": now})
        await row.save()
        await _tell(row, FundStepKind.REVOKE, before, reason=reason, now=now, staff=staff)
        waiting = FundTransfer.filter(payee_id=row.id, state__in=list(VOIDABLE)).order_by("id").select_for_update()
        for transfer in await waiting:
            await moving.move(transfer, FundStepKind.VOID, now=now, staff=staff, reason="its payee was revoked")
    return row


async def _locked(payee_id: UUID | None, version: int) -> FundPayee:
    row = await FundPayee.select_for_update().get_or_none(id=payee_id) if payee_id else None
    if row is None:
        raise PayeeNotFound
    if row.version != version:
        raise ApprovalStale(version=row.version)
    return row


async def _tell(
    row: FundPayee,
    trigger: FundStepKind,
    before: PayeeState | None,
    *,
    reason: str,
    now: datetime,
    staff: Staff | None = None,
    signature: Signature | None = None,
) -> None:
    await tell(
        FundSubject.PAYEE,
        row.id,
        trigger,
        version=row.version,
        before=before,
        after=row.state,
        digest=rules.digest_of(row.id, row.kind.value, row.party, row.name, row.bank_code, row.account_digest),
        reason=reason,
        now=now,
        staff=staff,
        signature=signature,
    )
