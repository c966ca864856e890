"""What staff go through page by page: parked work, the error ledger, and what stands in suspense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.identity.staff import Staff
from domain.ledger.postings import suspense
from domain.orders import alerts
from domain.orders.alerts import Waiting
from domain.work import queries as work
from domain.work.queries import KindStatus, ParkedJob
from kernel.errors import YoukaError
from kernel.states import ErrorKind
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from models.reviews import ErrorEntry

SUSPENSE_PREFIX = suspense("")


class AccountInvalid(YoukaError):
    """Only accounts of suspense are shown line by line."""

    code = "ACCOUNT_INVALID"
    messages = {"zh-CN": "该科目不是挂账科目", "en": "The account is not one of suspense"}


@dataclass(frozen=True, slots=True)
class ParkedPlace:
    """Where a page of parked work ends."""

    parked_at: datetime
    id: UUID


@dataclass(slots=True)
class SuspenseLine:
    """One line of a suspense account: positive fen debit it."""

    id: UUID
    account: str
    amount_fen: int
    posting_key: str
    order_id: UUID | None
    occurred_at: datetime


async def queue(*, staff: Staff) -> Sequence[Waiting]:
    """Return how much waits of what the roles can act on."""
    return await alerts.counted(staff=staff)


async def parked(*, staff: Staff, kind: str | None, first: int, after: ParkedPlace | None) -> list[ParkedJob]:
    """Return up to `first` pieces of parked work, what has waited longest first."""
    del staff  # Asking for a member of staff is the check; every one of them sees what waits.
    return await work.parked(limit=first, after=after, kind=kind)


async def work_status(*, staff: Staff, now: datetime) -> list[KindStatus]:
    """Return how the work of each kind stands: what waits, runs, is late or is left to people."""
    del staff
    return await work.status(now=now)


async def errors(
    *,
    staff: Staff,
    kind: ErrorKind | None,
    order_id: UUID | None,
    since: datetime | None,
    until: datetime | None,
    first: int,
    after: UUID | None,
) -> list[ErrorEntry]:
    """Return up to `first` entries of the error ledger, newest first. Times are `[since, until)`."""
    del staff
    rows = ErrorEntry.all()
    if kind is not None:
        rows = rows.filter(kind=kind)
    if order_id is not None:
        rows = rows.filter(order_id=order_id)
    if since is not None:
        rows = rows.filter(occurred_at__gte=since)
    if until is not None:
        rows = rows.filter(occurred_at__lt=until)
    if after is not None:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def any_error(*, staff: Staff, error_id: UUID) -> ErrorEntry | None:
    """Return one entry of the error ledger."""
    del staff
    return await ErrorEntry.get_or_none(id=error_id)


async def any_suspense_line(*, staff: Staff, line_id: UUID) -> SuspenseLine | None:
    """Return one line of a suspense account; lines of other accounts are none."""
    del staff
    entry = await LedgerEntry.get_or_none(id=line_id)
    account = await LedgerAccount.get(id=entry.account_id) if entry else None
    if entry is None or account is None or not account.code.startswith(SUSPENSE_PREFIX):
        return None
    return _line(entry, account.code, await LedgerTransaction.get(id=entry.transaction_id))


async def suspense_lines(*, staff: Staff, account: str, first: int, after: UUID | None) -> list[SuspenseLine]:
    """Return up to `first` lines of one suspense account over all shards, newest first. Raises AccountInvalid."""
    del staff
    if not account.startswith(SUSPENSE_PREFIX) or "\0" in account:
        raise AccountInvalid
    accounts = await LedgerAccount.filter(code=account)
    rows = LedgerEntry.filter(account_id__in=[each.id for each in accounts])
    if after is not None:
        rows = rows.filter(id__lt=after)
    entries = await rows.order_by("-id").limit(first) if accounts else []
    transactions = await LedgerTransaction.filter(id__in={entry.transaction_id for entry in entries})
    by_id = {each.id: each for each in transactions}
    return [_line(entry, account, by_id[entry.transaction_id]) for entry in entries]


def _line(entry: LedgerEntry, account: str, transaction: LedgerTransaction) -> SuspenseLine:
    return SuspenseLine(
        id=entry.id,
        account=account,
        amount_fen=entry.amount_fen,
        posting_key=transaction.key,
        order_id=transaction.order_id,
        occurred_at=entry.occurred_at,
    )
