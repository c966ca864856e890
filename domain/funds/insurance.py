"""What is insured, and what is claimed for it: one person files, one notes what is granted, and another books it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.access.second_factor import Signature
from domain.actions.recording import acting
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.funds import postings, rules
from domain.funds.lifecycle import claim_after
from domain.funds.rules import BANK_REFERENCE, is_name
from domain.funds.story import ApprovalStale, checked_reason, record_new, tell
from domain.identity.staff import Staff
from domain.ledger.operations import PostedAlready, post
from domain.orders.cases import SecondPersonNeeded
from kernel.clock import business_day
from kernel.errors import YoukaError
from kernel.fund_states import ClaimState, FundStepKind, FundSubject, IncidentKind
from kernel.ids import new_id
from kernel.money import Money
from models.database import transactional
from models.funds import InsuranceClaim, InsurancePolicy
from models.reviews import ErrorEntry, ManualCase

AMOUNT_MAX_FEN = 10**12
CLAIM = "InsuranceClaim"
GRANTED = (ClaimState.ACCEPTED, ClaimState.PAID)
NUMBER_RULES = ("insurance_policy_number_key", "insurance_policy.number")
LIVE_RULES = ("insurance_claim_live", "insurance_claim.policy_id, insurance_claim.incident_id")
REFERENCE_RULES = ("insurance_claim_bank_reference_key", "insurance_claim.bank_reference")


class PolicyInvalid(YoukaError):
    code = "POLICY_INVALID"
    messages = {
        "zh-CN": "保单信息有误，请核对保险公司、保单号、金额和期限",
        "en": "Insurer, number, amounts or period cannot be those of a policy",
    }


class PolicyKnown(YoukaError):
    code = "POLICY_KNOWN"
    messages = {"zh-CN": "该保单号已登记", "en": "A policy of this number is registered already"}


class PolicyNotFound(YoukaError):
    code = "POLICY_NOT_FOUND"
    messages = {"zh-CN": "保单不存在", "en": "There is no such policy"}


class IncidentNotFound(YoukaError):
    code = "INCIDENT_NOT_FOUND"
    messages = {"zh-CN": "事故记录不存在", "en": "There is no such incident"}


class IncidentNotCovered(YoukaError):
    """It happened outside the policy's period."""

    code = "INCIDENT_NOT_COVERED"
    messages = {"zh-CN": "事故不在保险期间内", "en": "It did not happen in the period of the policy"}


class ClaimKnown(YoukaError):
    """The incident is claimed already under the policy."""

    code = "CLAIM_KNOWN"
    messages = {"zh-CN": "该事故已在此保单下报案", "en": "The incident is claimed under this policy already"}


class ClaimNotFound(YoukaError):
    code = "CLAIM_NOT_FOUND"
    messages = {"zh-CN": "理赔记录不存在", "en": "There is no such claim"}


class ClaimAmountInvalid(YoukaError):
    code = "CLAIM_AMOUNT_INVALID"
    messages = {
        "zh-CN": "理赔金额须大于零，且不超过{maximum.text}",
        "en": "The amount must be more than zero and {maximum.text} at most",
    }


class BankReferenceInvalid(YoukaError):
    """It is not one of the bank's, or was booked already."""

    code = "BANK_REFERENCE_INVALID"
    messages = {"zh-CN": "银行流水号有误或已入账", "en": "The bank's reference is malformed, or was booked already"}


async def register_policy(
    *,
    staff: Staff,
    insurer: str,
    number: str,
    cover: Decimal,
    deductible: Decimal,
    premium: Decimal,
    starts_on: date,
    ends_on: date,
    reason: str,
    now: datetime,
) -> InsurancePolicy:
    """Note what is insured; amounts are yuan. Raises PolicyInvalid, PolicyKnown or ReasonMissing."""
    try:
        cover_fen, deductible_fen, premium_fen = (Money.from_yuan(each).fen for each in (cover, deductible, premium))
    except ValueError as error:
        raise PolicyInvalid from error
    amounts_fit = 0 <= deductible_fen < cover_fen <= AMOUNT_MAX_FEN and 0 <= premium_fen <= AMOUNT_MAX_FEN
    if not (amounts_fit and starts_on <= ends_on and is_name(insurer) and is_name(number)):
        raise PolicyInvalid
    row = InsurancePolicy(
        id=new_id(),
        insurer=insurer,
        number=number,
        cover_fen=cover_fen,
        deductible_fen=deductible_fen,
        premium_fen=premium_fen,
        starts_on=starts_on,
        ends_on=ends_on,
        registered_by=staff.id,
        created_at=now,
    )
    try:
        return await _register(row, staff, checked_reason(reason), now)
    except IntegrityError as error:
        if any(rule in str(error) for rule in NUMBER_RULES):
            raise PolicyKnown from error
        raise


@transactional
async def _register(row: InsurancePolicy, staff: Staff, reason: str, now: datetime) -> InsurancePolicy:
    await row.save(force_create=True)
    await tell(
        FundSubject.POLICY,
        row.id,
        FundStepKind.REGISTER,
        version=1,
        before=None,
        after="REGISTERED",
        digest=rules.digest_of(row.id, row.insurer, row.number, row.cover_fen, row.deductible_fen, row.premium_fen),
        reason=reason,
        now=now,
        staff=staff,
    )
    await record_new(staff, "registerInsurancePolicy", row, kind="InsurancePolicy", reason=reason, now=now)
    return row


async def file_claim(
    *,
    staff: Staff,
    policy_id: UUID | None,
    incident: tuple[IncidentKind, UUID] | None,
    yuan: Decimal,
    reason: str,
    now: datetime,
) -> InsuranceClaim:
    """Claim for an entry of the error ledger or a case, at most what it has cost beyond the deductible.

    Raises PolicyNotFound, IncidentNotFound, IncidentNotCovered, ClaimAmountInvalid, ClaimKnown or ReasonMissing.
    """
    try:
        return await _file(staff, policy_id, incident, yuan, checked_reason(reason), now)
    except IntegrityError as error:
        if any(rule in str(error) for rule in LIVE_RULES):
            raise ClaimKnown from error
        raise


@transactional
async def _file(
    staff: Staff, policy_id: UUID | None, incident: tuple[IncidentKind, UUID] | None, yuan: Decimal, reason: str,
    now: datetime,
) -> InsuranceClaim:  # fmt: skip
    policy = await _policy(policy_id)
    if incident is None:
        raise IncidentNotFound
    happened_at, cost_fen = await _incident(*incident)
    if not policy.starts_on <= business_day(happened_at) <= policy.ends_on:
        raise IncidentNotCovered
    row = InsuranceClaim(
        id=new_id(),
        policy_id=policy.id,
        incident_kind=incident[0],
        incident_id=incident[1],
        state=ClaimState.FILED,
        version=1,
        amount_fen=_amount(yuan, min(policy.cover_fen, cost_fen - policy.deductible_fen)),
        reason=reason,
        filed_by=staff.id,
        filed_at=now,
    )
    await row.save(force_create=True)
    await _tell(row, FundStepKind.FILE, None, reason=reason, now=now, staff=staff)
    await record_new(staff, "fileInsuranceClaim", row, kind=CLAIM, reason=reason, now=now)
    return row


@transactional
async def accept_claim(
    *, staff: Staff, claim_id: UUID | None, version: int, yuan: Decimal, reason: str, now: datetime
) -> InsuranceClaim:
    """Note what the insurer grants, or correct it; whoever books the payment has to read it anew then.

    Raises ClaimNotFound, ApprovalStale, StepNotPossible, ClaimAmountInvalid or ReasonMissing.
    """
    reason = checked_reason(reason)
    seen = await _claim(claim_id)
    # The policy's lock lets grants of its claims happen one after another, so that together they fit into its cover.
    policy = await InsurancePolicy.select_for_update().get(id=seen.policy_id)
    row = await _locked(claim_id, version)
    others = InsuranceClaim.filter(policy_id=policy.id, state__in=GRANTED).exclude(id=row.id)
    granted_fen = sum([each.accepted_fen or 0 for each in await others])
    accepted_fen = _amount(yuan, min(row.amount_fen, policy.cover_fen - granted_fen))
    async with acting(staff, "acceptInsuranceClaim", row, kind=CLAIM, reason=reason, now=now):
        await _step(
            row,
            FundStepKind.ACCEPT,
            reason=reason,
            now=now,
            staff=staff,
            accepted_fen=accepted_fen,
            accepted_by=staff.id,
            accepted_at=now,
        )
        await raise_alert(kind=AlertKind.CLAIM, subject_id=row.id, now=now)
    return row


async def pay_claim(
    *,
    signature: Signature,
    claim_id: UUID | None,
    version: int,
    bank_reference: str,
    reason: str,
    now: datetime,
) -> InsuranceClaim:
    """Book that what was granted has arrived, as somebody who has neither filed nor granted it.

    Raises ClaimNotFound, ApprovalStale, StepNotPossible, SecondPersonNeeded, BankReferenceInvalid, ReasonMissing or
    SecondFactorRefused.
    """
    if not BANK_REFERENCE.fullmatch(bank_reference):
        raise BankReferenceInvalid
    try:
        return await _pay(signature, claim_id, version, bank_reference, checked_reason(reason), now)
    except PostedAlready as error:
        raise BankReferenceInvalid from error
    except IntegrityError as error:
        if any(rule in str(error) for rule in REFERENCE_RULES):
            raise BankReferenceInvalid from error
        raise


@transactional
async def _pay(
    signature: Signature, claim_id: UUID | None, version: int, bank_reference: str, reason: str, now: datetime
) -> InsuranceClaim:
    row = await _locked(claim_id, version)
    if signature.staff.id in (row.filed_by, row.accepted_by):
        raise SecondPersonNeeded
    async with acting(signature.staff, "payInsuranceClaim", row, kind=CLAIM, reason=reason, now=now):
        await _step(
            row,
            FundStepKind.PAY,
            reason=reason,
            now=now,
            signature=signature,
            paid_by=signature.staff.id,
            bank_reference=bank_reference,
            settled_at=now,
        )
        assert row.accepted_fen is not None
        await post(postings.claimed(reference=bank_reference, amount_fen=row.accepted_fen), now=now)
    return row


@transactional
async def reject_claim(
    *, staff: Staff, claim_id: UUID | None, version: int, reason: str, now: datetime
) -> InsuranceClaim:
    """Note that the insurer does not pay. Raises ClaimNotFound, ApprovalStale, StepNotPossible or ReasonMissing."""
    reason, row = checked_reason(reason), await _locked(claim_id, version)
    async with acting(staff, "rejectInsuranceClaim", row, kind=CLAIM, reason=reason, now=now):
        await _step(row, FundStepKind.REJECT, reason=reason, now=now, staff=staff, settled_at=now)
    return row


@transactional
async def withdraw_claim(
    *, staff: Staff, claim_id: UUID | None, version: int, reason: str, now: datetime
) -> InsuranceClaim:
    """Give a claim up. Raises ClaimNotFound, ApprovalStale, StepNotPossible or ReasonMissing."""
    reason, row = checked_reason(reason), await _locked(claim_id, version)
    async with acting(staff, "withdrawInsuranceClaim", row, kind=CLAIM, reason=reason, now=now):
        await _step(row, FundStepKind.WITHDRAW, reason=reason, now=now, staff=staff, settled_at=now)
    return row


async def _policy(policy_id: UUID | None) -> InsurancePolicy:
    row = await InsurancePolicy.get_or_none(id=policy_id) if policy_id else None
    if row is None:
        raise PolicyNotFound
    return row


async def _incident(kind: IncidentKind, incident_id: UUID) -> tuple[datetime, int]:
    """Return when it happened, and what it has cost in fen."""
    if kind is IncidentKind.CASE:
        case = await ManualCase.get_or_none(id=incident_id)
        if case is not None:
            return case.created_at, case.amount_fen
    else:
        entry = await ErrorEntry.get_or_none(id=incident_id)
        if entry is not None:
            return entry.occurred_at, entry.amount_fen
    raise IncidentNotFound


async def _claim(claim_id: UUID | None) -> InsuranceClaim:
    row = await InsuranceClaim.get_or_none(id=claim_id) if claim_id else None
    if row is None:
        raise ClaimNotFound
    return row


async def _locked(claim_id: UUID | None, version: int) -> InsuranceClaim:
    row = await InsuranceClaim.select_for_update().get(id=(await _claim(claim_id)).id)
    if row.version != version:
        raise ApprovalStale(version=row.version)
    return row


def _amount(yuan: Decimal, maximum_fen: int) -> int:
    maximum = Money(max(0, maximum_fen))
    try:
        amount = Money.from_yuan(yuan)
    except ValueError as error:
        raise ClaimAmountInvalid(maximum=maximum) from error
    if not Money(0) < amount <= maximum:
        raise ClaimAmountInvalid(maximum=maximum)
    return amount.fen


async def _step(
    row: InsuranceClaim,
    trigger: FundStepKind,
    *,
    reason: str,
    now: datetime,
    staff: Staff | None = None,
    signature: Signature | None = None,
    **changes: Any,
) -> None:
    before = row.state
    row.update_from_dict({"state": claim_after(before, trigger), "version": row.version + 1, **changes})
    await row.save()
    await _tell(row, trigger, before, reason=reason, now=now, staff=staff, signature=signature)


async def _tell(
    row: InsuranceClaim,
    trigger: FundStepKind,
    before: ClaimState | None,
    *,
    reason: str,
    now: datetime,
    staff: Staff | None = None,
    signature: Signature | None = None,
) -> None:
    await tell(
        FundSubject.CLAIM,
        row.id,
        trigger,
        version=row.version,
        before=before,
        after=row.state,
        digest=rules.digest_of(row.id, row.policy_id, row.incident_id, row.amount_fen, row.accepted_fen),
        reason=reason,
        now=now,
        staff=staff,
        signature=signature,
    )
