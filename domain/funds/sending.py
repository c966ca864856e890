"""Telling the bank: claimed first, sent under one reference, and settled by an explicit answer alone.

A transfer is SENT before the bank hears of it, so whoever dies in between leaves something to ask about, and what is
asked about under a reference is carried out once, however often it is sent.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.funds import moving
from domain.funds.lifecycle import is_ready
from domain.funds.payees import owner_of
from domain.payments.banks import Bank, BankTransfer, BankTransferFacts, BankTransferState
from kernel.fund_states import FundStepKind, PayeeState, TransferKind, TransferState
from kernel.sealing import Sealer
from models.database import transactional
from models.funds import FundPayee, FundStep, FundTransfer

OWN_ACCOUNT = ""
REASON_LENGTH_MAX = 256


class BankContradiction(Exception):
    """The bank says something else of a transfer than what was sent; nothing is settled by that."""


async def push(*, transfer_id: UUID, bank: Bank, sealer: Sealer, now: datetime) -> bool:
    """Bring a transfer on at the bank, and say whether it is over.

    Raises BankUnavailable where nothing is known of it, and BankContradiction.
    """
    row, is_new = await _claim(transfer_id, now)
    if row is None:
        return True
    facts = None if is_new else await bank.query(row.reference)
    if facts is None or facts.state is BankTransferState.NOT_FOUND:
        facts = await bank.send(await _order(row, sealer))
    return await settle(transfer_id=row.id, facts=facts, now=now)


@transactional
async def _claim(transfer_id: UUID, now: datetime) -> tuple[FundTransfer | None, bool]:
    """Return the transfer where the bank is to be told or asked, and whether it is told for the first time.

    What is not what was approved any more is void.
    """
    row = await moving.locked(transfer_id)
    if row.state is TransferState.SENT:
        return row, False
    if not is_ready(row.state, needs_director=row.needs_director):
        return None, False
    payee = await moving.payee_of(row)
    if not await _is_as_approved(row, payee):
        await moving.move(row, FundStepKind.VOID, now=now, reason="it is not what was approved any more")
        return None, False
    await moving.move(row, FundStepKind.SEND, now=now, sent_at=now)
    return row, True


async def _is_as_approved(row: FundTransfer, payee: FundPayee | None) -> bool:
    if payee and (payee.state is not PayeeState.ACTIVE or payee.version != row.payee_version):
        return False
    needed = [] if row.kind is TransferKind.TO_RESERVE else [(FundStepKind.CHECK, row.checked_by)]
    if row.needs_director:
        needed.append((FundStepKind.DIRECT, row.directed_by))
    digest = moving.digest_of_transfer(row, payee)
    for step, staff_id in needed:
        signed = FundStep.filter(subject_id=row.id, step=step, staff_id=staff_id, second_factor_step__isnull=False)
        last = await signed.order_by("-version").first()
        if last is None or last.digest != digest:
            return False
    return row.digest == digest


async def _order(row: FundTransfer, sealer: Sealer) -> BankTransfer:
    payee = await moving.payee_of(row)
    number = sealer.open(bytes(payee.account_sealed), owner=owner_of(payee.id)) if payee else OWN_ACCOUNT
    return BankTransfer(
        reference=row.reference,
        source=_own(row.source_account),
        target="payee" if payee else _own(row.target_account),
        payee_name=payee.name if payee else OWN_ACCOUNT,
        payee_bank_code=payee.bank_code if payee else OWN_ACCOUNT,
        payee_account=number,
        amount_fen=row.amount_fen,
    )


def _own(account: str) -> str:
    """Return what the bank calls one of our accounts."""
    return account.partition(":")[2]


@transactional
async def settle(*, transfer_id: UUID, facts: BankTransferFacts, now: datetime) -> bool:
    """Book what the bank says for certain, once; say whether the transfer is over. Raises BankContradiction."""
    row = await moving.locked(transfer_id)
    if facts.reference != row.reference:
        raise BankContradiction(f"{row.reference}: the bank speaks of another transfer")
    if facts.state is BankTransferState.DONE and facts.amount_fen != row.amount_fen:
        raise BankContradiction(f"{row.reference}: the bank has moved {facts.amount_fen} fen")
    told = {BankTransferState.DONE: TransferState.CONFIRMED, BankTransferState.REFUSED: TransferState.FAILED}
    after = told.get(facts.state)
    if row.state is not TransferState.SENT:
        if after not in (None, row.state):
            raise BankContradiction(f"{row.reference}: it is {row.state}, and the bank says {facts.state}")
        return True
    if after is TransferState.CONFIRMED:
        await moving.move(row, FundStepKind.CONFIRM, now=now, settled_at=now, bank_reference=facts.bank_reference)
    elif after is TransferState.FAILED:
        failure = facts.reason[:REASON_LENGTH_MAX]
        await moving.move(row, FundStepKind.FAIL, now=now, reason=failure, settled_at=now, failure=failure)
    return after is not None
