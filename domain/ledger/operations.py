"""Writing postings. Call only inside the transaction that changes what the posting tells of."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise import Tortoise
from tortoise.exceptions import IntegrityError

from domain.ledger.postings import Posting
from kernel.ids import new_id
from kernel.tasks import inside_transaction
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction

# One statement locks the balance, moves it and counts the version, so there is no read that could be out of date.
MOVE_BALANCE = (
    "UPDATE ledger_account SET balance_fen = balance_fen + {0}, version = version + 1 WHERE code = {1} "
    "RETURNING id, version"
)


class PostedAlready(Exception):
    """The key was posted before; whoever expected to be first must not go on."""


class PostingOutsideTransaction(RuntimeError):
    """A posting must be committed with the change that it tells of, and not without it."""


async def post(*postings: Posting, now: datetime) -> None:
    """Write balanced postings and move their balances. Raises PostedAlready.

    Balances are locked in the order of their codes, so that two transactions cannot wait for each other; a transaction
    that posts more than once therefore gives its postings in one call, or in the order of their accounts.
    """
    if not inside_transaction.get():
        raise PostingOutsideTransaction(*(posting.key for posting in postings))
    lines = []
    for posting in postings:
        transaction_id = await _open(posting, now)
        lines += [(line, transaction_id) for line in posting.lines]
    entries = []
    for line, transaction_id in sorted(lines, key=lambda pair: pair[0].account):
        account_id, version = await _move_balance(line.account, line.amount_fen, now)
        entries.append(
            LedgerEntry(
                id=new_id(),
                transaction_id=transaction_id,
                account_id=account_id,
                amount_fen=line.amount_fen,
                account_version=version,
            )
        )
    await LedgerEntry.bulk_create(entries)


async def _open(posting: Posting, now: datetime) -> UUID:
    if await LedgerTransaction.exists(key=posting.key):
        raise PostedAlready(posting.key)
    try:
        row = await LedgerTransaction.create(id=new_id(), key=posting.key, order_id=posting.order_id, occurred_at=now)
    except IntegrityError as error:
        raise PostedAlready(posting.key) from error
    return row.id


async def _move_balance(code: str, amount_fen: int, now: datetime) -> tuple[UUID | str, int]:
    connection = Tortoise.get_connection("default")
    marks = ("$1", "$2") if connection.capabilities.dialect == "postgres" else ("?", "?")
    statement = MOVE_BALANCE.format(*marks)
    rows = await connection.execute_query_dict(statement, [amount_fen, code])
    if not rows:
        account = LedgerAccount(id=new_id(), code=code, balance_fen=0, version=0, created_at=now)
        await LedgerAccount.bulk_create([account], ignore_conflicts=True)
        rows = await connection.execute_query_dict(statement, [amount_fen, code])
    return rows[0]["id"], int(rows[0]["version"])
