"""Transfers out of escrow, and the people whom each of them takes. Nobody approves what they have proposed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.access.second_factor import Signature
from domain.actions.recording import acting
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.funds import moving, rules
from domain.funds.lifecycle import VOIDABLE, StepNotPossible, is_ready, needs_director
from domain.funds.payees import PayeeNotFound, PayeeNotUsable
from domain.funds.policy import Policy
from domain.funds.postings import ACCOUNTS, account_of
from domain.funds.queries import escrow
from domain.funds.story import ApprovalStale, checked_reason, record_new
from domain.identity.idempotency import IdempotencyConflict, check_key
from domain.identity.staff import Staff
from domain.ledger.postings import ESCROW_OPERATING
from domain.orders.cases import SecondPersonNeeded
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.fund_states import FundStepKind, PayeeState, TransferKind, TransferState
from kernel.ids import new_id, short_text
from kernel.money import Money
from models.database import transactional
from models.funds import FundPayee, FundTransfer

# The type of the schema, as the record of what staff do names it.
TRANSFER = "Transfer"
WAITING = frozenset({TransferState.PROPOSED, TransferState.CHECKED})


class ReserveTooLow(YoukaError):
    """The reserve would be less than its share of escrow."""

    code = "RESERVE_TOO_LOW"
    messages = {
        "zh-CN": "备付准备金不得低于规定比例，最多可调出{available.text}",
        "en": "The reserve must keep its share of escrow: {available.text} may leave it",
    }


class MovementUnderWay(YoukaError):
    """One movement out of the reserve is decided at a time."""

    code = "MOVEMENT_UNDER_WAY"
    messages = {"zh-CN": "已有一笔准备金调出尚未完成", "en": "Another movement out of the reserve is not over yet"}


async def propose_withdrawal(
    *,
    staff: Staff,
    payee_id: UUID | None,
    yuan: Decimal,
    reason: str,
    key: str,
    policy: Policy,
    now: datetime,
) -> FundTransfer:
    """Propose to pay a registered payee out of the operating account; the money is set aside at once.

    The same key with the same wish returns the first transfer. Raises IdempotencyKeyInvalid, IdempotencyConflict,
    ReasonMissing, TransferAmountInvalid, PayeeNotFound, PayeeNotUsable or EscrowInsufficient.
    """
    check_key(key)
    reason = checked_reason(reason)
    amount_fen = rules.amount_of(yuan, maximum_fen=policy.amount_max_fen)
    wish = rules.digest_of("withdrawal", payee_id, amount_fen)
    return await _once(staff, key, wish, lambda: _withdraw(staff, payee_id, amount_fen, reason, key, wish, policy, now))


@transactional
async def _withdraw(
    staff: Staff, payee_id: UUID | None, amount_fen: int, reason: str, key: str, wish: str, policy: Policy,
    now: datetime,
) -> FundTransfer:  # fmt: skip
    payee = await _usable(payee_id)
    row = drafted(TransferKind.WITHDRAWAL, amount_fen, reason, policy, now)
    row.update_from_dict(
        {
            "target_account": account_of(payee.kind, payee.party),
            "payee_id": payee.id,
            "payee_version": payee.version,
            "proposed_by": staff.id,
            "idempotency_key": key,
            "input_hash": wish,
        }
    )
    await moving.begin(row, FundStepKind.PROPOSE, now=now, staff=staff)
    await _await_people(row, now)
    await record_new(staff, "proposeWithdrawal", row, kind=TRANSFER, reason=reason, now=now)
    return row


async def propose_release(
    *, staff: Staff, yuan: Decimal, reason: str, key: str, policy: Policy, now: datetime
) -> FundTransfer:
    """Propose to move money out of the reserve, which takes a second person and the director.

    Raises as `propose_withdrawal` does, and ReserveTooLow or MovementUnderWay.
    """
    check_key(key)
    reason = checked_reason(reason)
    amount_fen = rules.amount_of(yuan, maximum_fen=policy.amount_max_fen)
    wish = rules.digest_of("release", amount_fen)
    asked = {"proposed_by": staff.id, "idempotency_key": key, "input_hash": wish}

    async def propose() -> FundTransfer:
        row = drafted(TransferKind.FROM_RESERVE, amount_fen, reason, policy, now).update_from_dict(asked)
        return await release(row, staff, policy, now)

    return await _once(staff, key, wish, propose)


@transactional
async def release(row: FundTransfer, staff: Staff | None, policy: Policy, now: datetime) -> FundTransfer:
    """Propose a drafted movement out of the reserve; without staff it is the rule of the sweep that does."""
    if await FundTransfer.exists(kind=TransferKind.FROM_RESERVE, state__in=[*VOIDABLE, TransferState.SENT]):
        raise MovementUnderWay
    found, basis_points = await escrow(), policy.reserve_min_basis_points
    if row.amount_fen > found.releasable_fen(basis_points):
        raise ReserveTooLow(available=Money(found.releasable_fen(basis_points)))
    row.update_from_dict(
        {
            "reserve_after_fen": found.in_reserve_fen - row.amount_fen,
            "total_after_fen": found.total_fen,
            "reserve_min_basis_points": basis_points,
        }
    )
    await moving.begin(row, FundStepKind.PROPOSE, now=now, staff=staff)
    await _await_people(row, now)
    if staff:
        await record_new(staff, "proposeReserveRelease", row, kind=TRANSFER, reason=row.reason, now=now)
    return row


@transactional
async def amend_withdrawal(
    *,
    staff: Staff,
    transfer_id: UUID | None,
    version: int,
    payee_id: UUID | None,
    yuan: Decimal,
    reason: str,
    policy: Policy,
    now: datetime,
) -> FundTransfer:
    """Change whom or how much a withdrawal pays, by whoever has proposed it; every approval of it is void with that.

    Raises TransferNotFound, ApprovalStale, StepNotPossible, SecondPersonNeeded, ReasonMissing, TransferAmountInvalid,
    PayeeNotFound, PayeeNotUsable or EscrowInsufficient.
    """
    reason = checked_reason(reason)
    amount_fen = rules.amount_of(yuan, maximum_fen=policy.amount_max_fen)
    # Both payees are locked in the order of their ids, so that two who swap them do not wait in a circle.
    seen = await FundTransfer.get_or_none(id=transfer_id) if transfer_id else None
    for each in sorted({key for key in (payee_id, seen.payee_id if seen else None) if key}):
        await FundPayee.select_for_update().get_or_none(id=each)
    payee = await _usable(payee_id)
    row = await moving.locked(transfer_id)
    _require_version(row, version)
    if row.proposed_by != staff.id:
        raise SecondPersonNeeded
    if row.kind is not TransferKind.WITHDRAWAL:
        raise StepNotPossible
    async with acting(staff, "amendWithdrawal", row, kind=TRANSFER, reason=reason, now=now):
        await moving.move(
            row,
            FundStepKind.AMEND,
            now=now,
            staff=staff,
            reason=reason,
            amount_fen=amount_fen,
            target_account=account_of(payee.kind, payee.party),
            payee_id=payee.id,
            payee_version=payee.version,
            needs_director=needs_director(row.kind, amount_fen, above_fen=policy.director_above_fen),
            expires_at=now + policy.transfer_lifetime,
            checked_by=None,
            checked_at=None,
            directed_by=None,
            directed_at=None,
        )
        await _await_people(row, now)
    return row


@transactional
async def check(
    *, signature: Signature, transfer_id: UUID | None, version: int, reason: str, now: datetime
) -> FundTransfer:
    """Agree as the second person to a transfer as it was read at `version`.

    Raises TransferNotFound, ApprovalStale, StepNotPossible, SecondPersonNeeded, ReasonMissing, PayeeNotUsable or
    SecondFactorRefused; then nothing has changed.
    """
    reason = checked_reason(reason)
    row = await _to_approve(signature.staff, transfer_id, version)
    async with acting(signature.staff, "checkTransfer", row, kind=TRANSFER, reason=reason, now=now):
        await moving.move(
            row,
            FundStepKind.CHECK,
            now=now,
            signature=signature,
            reason=reason,
            checked_by=signature.staff.id,
            checked_at=now,
        )
        if row.needs_director:
            await raise_alert(kind=AlertKind.TRANSFER, subject_id=row.id, now=now)
    return row


@transactional
async def direct(
    *, signature: Signature, transfer_id: UUID | None, version: int, reason: str, now: datetime
) -> FundTransfer:
    """Agree as the finance director, who is neither the maker nor the checker. Raises as `check` does."""
    reason = checked_reason(reason)
    row = await _to_approve(signature.staff, transfer_id, version)
    if not row.needs_director:
        raise StepNotPossible
    async with acting(signature.staff, "approveTransferAsDirector", row, kind=TRANSFER, reason=reason, now=now):
        await moving.move(
            row,
            FundStepKind.DIRECT,
            now=now,
            signature=signature,
            reason=reason,
            directed_by=signature.staff.id,
            directed_at=now,
        )
    return row


@transactional
async def reject(
    *, signature: Signature, transfer_id: UUID | None, version: int, reason: str, now: datetime
) -> FundTransfer:
    """Refuse what somebody else has proposed; its money is free again. Raises as `check` does."""
    reason = checked_reason(reason)
    row = await moving.locked(transfer_id)
    _require_version(row, version)
    if row.proposed_by == signature.staff.id:
        raise SecondPersonNeeded
    if is_ready(row.state, needs_director=row.needs_director):
        raise StepNotPossible
    async with acting(signature.staff, "rejectTransfer", row, kind=TRANSFER, reason=reason, now=now):
        await moving.move(row, FundStepKind.REJECT, now=now, signature=signature, reason=reason)
    return row


@transactional
async def withdraw(*, staff: Staff, transfer_id: UUID | None, version: int, reason: str, now: datetime) -> FundTransfer:
    """Take back what one has proposed oneself, before the bank is told.

    Raises TransferNotFound, ApprovalStale, StepNotPossible, SecondPersonNeeded or ReasonMissing.
    """
    reason = checked_reason(reason)
    row = await moving.locked(transfer_id)
    _require_version(row, version)
    if row.proposed_by != staff.id:
        raise SecondPersonNeeded
    async with acting(staff, "withdrawTransfer", row, kind=TRANSFER, reason=reason, now=now):
        await moving.move(row, FundStepKind.WITHDRAW, now=now, staff=staff, reason=reason)
    return row


@transactional
async def expire(*, transfer_id: UUID, now: datetime) -> bool:
    """Give up what has waited too long for people; say whether it was."""
    row = await moving.locked(transfer_id)
    waits = row.state in WAITING and not is_ready(row.state, needs_director=row.needs_director)
    if not waits or row.expires_at > now:
        return False
    await moving.move(row, FundStepKind.EXPIRE, now=now, reason="nobody has approved it in time")
    return True


async def _once(staff: Staff, key: str, wish: str, make: Callable[[], Awaitable[FundTransfer]]) -> FundTransfer:
    """Return what the key has made, or make it; of two at once one makes it and both return it."""
    for last in (False, True):
        known = await FundTransfer.get_or_none(proposed_by=staff.id, idempotency_key=key)
        if known is not None:
            if known.input_hash != wish:
                raise IdempotencyConflict
            return known
        try:
            return await make()
        except IntegrityError:
            if last:
                raise
    raise AssertionError("the second try returns or raises")


def drafted(kind: TransferKind, amount_fen: int, reason: str, policy: Policy, now: datetime) -> FundTransfer:
    """Return a transfer that is not written down yet, between our own accounts where its kind says so."""
    transfer_id = new_id()
    source, target = ACCOUNTS.get(kind, (ESCROW_OPERATING, ""))
    return FundTransfer(
        id=transfer_id,
        kind=kind,
        reference=f"F{short_text(transfer_id)}",
        state=TransferState.PROPOSED,
        version=1,
        round=1,
        source_account=source,
        target_account=target,
        amount_fen=amount_fen,
        needs_director=needs_director(kind, amount_fen, above_fen=policy.director_above_fen),
        digest="",
        reason=reason,
        proposed_at=now,
        expires_at=now + policy.transfer_lifetime,
    )


async def _await_people(row: FundTransfer, now: datetime) -> None:
    await schedule(
        kind=Kind.EXPIRE_TRANSFER,
        key=f"{row.id}:{row.version}",
        payload={"transfer_id": str(row.id)},
        due_at=row.expires_at,
        now=now,
    )
    await raise_alert(kind=AlertKind.TRANSFER, subject_id=row.id, now=now)


async def _usable(payee_id: UUID | None) -> FundPayee:
    payee = await FundPayee.select_for_update().get_or_none(id=payee_id) if payee_id else None
    if payee is None:
        raise PayeeNotFound
    if payee.state is not PayeeState.ACTIVE:
        raise PayeeNotUsable
    return payee


async def _to_approve(staff: Staff, transfer_id: UUID | None, version: int) -> FundTransfer:
    """Lock what somebody wants to approve, where they may and it is what they have read."""
    row = await moving.locked(transfer_id)
    _require_version(row, version)
    if staff.id in (row.proposed_by, row.checked_by):
        raise SecondPersonNeeded
    payee = await moving.payee_of(row)
    if payee and (payee.state is not PayeeState.ACTIVE or payee.version != row.payee_version):
        raise PayeeNotUsable
    if moving.digest_of_transfer(row, payee) != row.digest:
        raise ApprovalStale(version=row.version)
    return row


def _require_version(row: FundTransfer, version: int) -> None:
    if row.version != version:
        raise ApprovalStale(version=row.version)
