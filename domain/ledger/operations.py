"""Writing postings. Call only inside the transaction that changes what the posting tells of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from domain.events.operations import append_internal
from domain.events.streams import EventType, ledger_stream
from domain.ledger import statements
from domain.ledger.postings import Posting, users_of
from domain.ledger.shards import shard_of
from domain.ledger.statements import Batch
from kernel.clock import business_day
from kernel.tasks import inside_transaction
from models.changes import of_users
from models.database import dialect

# What the database calls the rules that a posting may meet.
KEY_RULES = ("ledger_transaction_key_key", "ledger_transaction.key")
OVERDRAFT_RULE = "account_no_overdraft"


class PostedAlready(Exception):
    """The key was posted before; whoever expected to be first must not go on."""


class AccountOverdrawn(IntegrityError):
    """The posting takes more out of an account than is in it."""


class PostingOutsideTransaction(RuntimeError):
    """A posting must be committed with the change that it tells of, and not without it."""


async def post(*postings: Posting, now: datetime) -> None:
    """Write balanced postings, move their balances, and append an event of each to the shard's stream.

    The head of that stream is the shard's mutex: it is taken before any balance and kept until the commit, so that
    transactions of one shard post one after another, whatever accounts they move, and cannot wait for each other in a
    circle. A transaction posts for one user, or for none; where one call has postings of several, it takes their
    shards in order. Raises PostedAlready or AccountOverdrawn; the transaction cannot be committed then.
    """
    if not inside_transaction.get():
        raise PostingOutsideTransaction(*(posting.key for posting in postings))
    by_shard: dict[int, list[Posting]] = {}
    for posting in postings:
        by_shard.setdefault(shard_of(posting.user_id), []).append(posting)
    for shard, together in sorted(by_shard.items()):
        try:
            with of_users(*users_of(together)):
                await _post(Batch.of(shard, together), now)
        except IntegrityError as error:
            keys = [posting.key for posting in together]
            if any(rule in str(error) for rule in KEY_RULES):
                raise PostedAlready(*keys) from error
            if OVERDRAFT_RULE in str(error):
                raise AccountOverdrawn(*keys) from error
            raise


async def _post(batch: Batch, now: datetime) -> None:
    stream = ledger_stream(batch.shard)
    if dialect() == "postgres":
        position = await _append(batch.postings, stream, now)
        await statements.write_postgres(batch, position=position, now=now)
    else:
        # A transaction of SQLite is alone from its beginning. The key comes first, because there a statement that
        # fails leaves what went before it to whoever catches the error.
        await statements.open_sqlite(batch, stream=stream, now=now)
        await _append(batch.postings, stream, now)
        await statements.enter_sqlite(batch, now=now)


async def _append(postings: Sequence[Posting], stream: str, now: datetime) -> int:
    payloads = [_payload(posting, now) for posting in postings]
    return await append_internal(stream=stream, type=EventType.LEDGER_POSTED, payloads=payloads, now=now)


def _payload(posting: Posting, now: datetime) -> dict[str, Any]:
    return {
        "key": posting.key,
        "user_id": str(posting.user_id) if posting.user_id else None,
        "order_id": str(posting.order_id) if posting.order_id else None,
        "business_day": business_day(now).isoformat(),
        "lines": [{"account": line.account, "amount_fen": line.amount_fen} for line in posting.lines],
    }
