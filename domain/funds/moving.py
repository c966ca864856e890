"""One step of one transfer: its state, its money and its story in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access.second_factor import Signature
from domain.funds import postings
from domain.funds.lifecycle import Effect, is_ready, step_of
from domain.funds.rules import digest_of
from domain.funds.story import ApprovalStale, tell
from domain.identity.staff import Staff
from domain.ledger.operations import AccountOverdrawn, post
from domain.ledger.queries import balance
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.fund_states import FundStepKind, FundSubject, TransferState
from kernel.money import Money
from models.funds import FundPayee, FundTransfer


class TransferNotFound(YoukaError):
    code = "TRANSFER_NOT_FOUND"
    messages = {"zh-CN": "划拨单不存在", "en": "There is no such transfer"}


class EscrowInsufficient(YoukaError):
    """The account does not hold so much beside what is set aside already."""

    code = "ESCROW_INSUFFICIENT"
    messages = {
        "zh-CN": "账户可用余额不足，可用{available.text}",
        "en": "The account does not hold enough: {available.text} is free",
    }


def digest_of_transfer(row: FundTransfer, payee: FundPayee | None) -> str:
    """Return what names everything that an approval of the transfer is about."""
    to = (payee.id, payee.version, payee.account_digest, payee.bank_code, payee.name) if payee else ()
    return digest_of(
        row.id, row.reference, row.kind.value, row.source_account, row.target_account, row.amount_fen,
        row.needs_director, *to,
    )  # fmt: skip


async def payee_of(row: FundTransfer) -> FundPayee | None:
    return await FundPayee.get(id=row.payee_id) if row.payee_id else None


async def locked(transfer_id: UUID | None) -> FundTransfer:
    """Lock a transfer behind its payee, in the order in which a payee that is revoked takes both.

    Raises TransferNotFound, or ApprovalStale where its payee became another one meanwhile.
    """
    seen = await FundTransfer.get_or_none(id=transfer_id) if transfer_id else None
    if seen is None:
        raise TransferNotFound
    if seen.payee_id:
        await FundPayee.select_for_update().get(id=seen.payee_id)
    row = await FundTransfer.select_for_update().get(id=seen.id)
    if row.payee_id != seen.payee_id:
        raise ApprovalStale(version=row.version)
    return row


async def begin(row: FundTransfer, trigger: FundStepKind, *, now: datetime, staff: Staff | None = None) -> None:
    """Write a new transfer down and set its money aside. Raises EscrowInsufficient."""
    step = step_of(None, trigger)
    assert row.state is step.after
    row.digest = digest_of_transfer(row, await payee_of(row))
    await row.save(force_create=True)
    await _tell(row, trigger, None, now=now, staff=staff, signature=None, reason=row.reason)
    await _hold(row, now)
    await _send_where_ready(row, now)


async def move(
    row: FundTransfer,
    trigger: FundStepKind,
    *,
    now: datetime,
    staff: Staff | None = None,
    signature: Signature | None = None,
    reason: str = "",
    **changes: Any,
) -> None:
    """Make one step of a locked transfer. Raises StepNotPossible, SecondFactorRefused or EscrowInsufficient."""
    step = step_of(row.state, trigger)
    before, amount_before_fen, source_before = row.state, row.amount_fen, row.source_account
    row.update_from_dict({"state": step.after, "version": row.version + 1, **changes})
    if step.effect is Effect.HOLD_ANEW:
        row.round += 1
        row.digest = digest_of_transfer(row, await payee_of(row))
    await row.save()
    await _tell(row, trigger, before, now=now, staff=staff, signature=signature, reason=reason)
    match step.effect:
        case Effect.HOLD_ANEW:
            number = row.round - 1
            await post(
                postings.released(
                    transfer_id=row.id, number=number, source=source_before, amount_fen=amount_before_fen
                ),
                now=now,
            )
            await _hold(row, now)
        case Effect.RELEASE:
            await post(
                postings.released(
                    transfer_id=row.id, number=row.round, source=row.source_account, amount_fen=row.amount_fen
                ),
                now=now,
            )
        case Effect.SETTLE:
            await post(
                postings.sent(
                    reference=row.reference,
                    kind=row.kind,
                    source=row.source_account,
                    target=row.target_account,
                    amount_fen=row.amount_fen,
                ),
                now=now,
            )
        case _:
            await _send_where_ready(row, now)


async def _hold(row: FundTransfer, now: datetime) -> None:
    available = await balance(row.source_account)
    if available < Money(row.amount_fen):
        raise EscrowInsufficient(available=available)
    hold = postings.held(transfer_id=row.id, number=row.round, source=row.source_account, amount_fen=row.amount_fen)
    try:
        await post(hold, now=now)
    except AccountOverdrawn as error:
        raise EscrowInsufficient(available=Money(0)) from error


async def _tell(
    row: FundTransfer,
    trigger: FundStepKind,
    before: TransferState | None,
    *,
    now: datetime,
    staff: Staff | None,
    signature: Signature | None,
    reason: str,
) -> None:
    await tell(
        FundSubject.TRANSFER,
        row.id,
        trigger,
        version=row.version,
        before=before,
        after=row.state,
        digest=row.digest,
        reason=reason,
        now=now,
        staff=staff,
        signature=signature,
    )


async def _send_where_ready(row: FundTransfer, now: datetime) -> None:
    if is_ready(row.state, needs_director=row.needs_director):
        key = f"{row.id}:{row.version}"
        await schedule(kind=Kind.SEND_TRANSFER, key=key, payload={"transfer_id": str(row.id)}, due_at=now, now=now)
