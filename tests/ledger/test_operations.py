"""Posting: once, together with its event, in few statements, and alone in its shard."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from tortoise.exceptions import IntegrityError, TransactionManagementError

from domain.events.queries import head, unpublished
from domain.events.streams import ledger_stream
from domain.ledger import audit, postings
from domain.ledger.operations import AccountOverdrawn, PostedAlready, PostingOutsideTransaction, post
from domain.ledger.postings import Posting, Whose
from domain.ledger.queries import balance, wallet_balances, wallet_held
from domain.ledger.shards import HOUSE_SHARD, LEDGER_SHARDS, shard_of
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.money import Money
from models.database import connected, dialect, transactional
from models.events import Event
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from tests.ledger.booking import CLEARING, book, pay, somebodys, top_up, user_in

NOON = datetime(2026, 4, 21, 16, 30, tzinfo=UTC)
STATEMENTS_PER_POST = {"sqlite": 5, "postgres": 2}


@contextmanager
def statements_counted() -> Iterator[list[str]]:
    """Give what the driver's log says of each statement; commits and the like are not among them."""
    seen: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    logger, kept = logging.getLogger("tortoise.db_client"), Kept()
    before = logger.level
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    try:
        yield seen
    finally:
        logger.removeHandler(kept)
        logger.setLevel(before)


async def broken() -> list[audit.Finding]:
    return await audit.findings()


@pytest.mark.usefixtures("database")
class TestPost:
    async def test_a_posting_is_whole(self) -> None:
        whose = somebodys()
        await book(pay(whose, 500), now=NOON)
        transaction = await LedgerTransaction.get()
        shard = shard_of(whose.user_id)
        assert (transaction.key, transaction.order_id) == (f"{whose.order_id}:paid:1", whose.order_id)
        assert (transaction.user_id, transaction.shard, transaction.position) == (whose.user_id, shard, 1)
        entries = await LedgerEntry.all().order_by("line_number").prefetch_related("account")
        assert [(entry.line_number, entry.account.code, entry.amount_fen) for entry in entries] == [
            (1, CLEARING, 500),
            (2, postings.TRANSIT, -500),
        ]
        for entry in entries:
            assert (entry.transaction_id, entry.line_count, entry.account_version) == (transaction.id, 2, 1)
            assert (entry.user_id, entry.shard, entry.occurred_at) == (whose.user_id, shard, NOON)
            assert (entry.account.shard, entry.account.balance_fen) == (shard, entry.amount_fen)

    async def test_each_posting_is_told_in_the_shards_stream_and_to_nobody_outside(self) -> None:
        whose = somebodys()
        await book(pay(whose, 500), postings.failed(whose, attempt=1, amount_fen=500), now=NOON)
        first, second = await Event.filter(stream=ledger_stream(shard_of(whose.user_id))).order_by("position")
        assert (first.position, first.type, first.occurred_at) == (1, "ledger.posted", NOON)
        assert first.payload == {
            "key": f"{whose.order_id}:paid:1",
            "user_id": str(whose.user_id),
            "order_id": str(whose.order_id),
            "business_day": "2026-04-22",
            "lines": [
                {"account": CLEARING, "amount_fen": 500},
                {"account": postings.TRANSIT, "amount_fen": -500},
            ],
        }
        assert (second.position, second.payload["key"]) == (2, f"{whose.order_id}:failed:1")
        assert await unpublished(limit=10) == []

    async def test_ids_may_come_from_the_database(self) -> None:
        await book(pay(somebodys()))
        row = await LedgerTransaction.get()
        assert row.order_id is not None
        assert row.user_id is not None
        await book(pay(Whose(row.order_id, row.user_id), attempt=2))
        assert {row.order_id} == set(await LedgerTransaction.all().values_list("order_id", flat=True))

    async def test_few_statements(self) -> None:
        whose = somebodys()
        await book(pay(whose), top_up(whose.user_id, 100))

        @transactional
        async def counted(*together: Posting) -> int:
            with statements_counted() as seen:
                await post(*together, now=utc_now())
            return len(seen)

        succeeded = postings.succeeded(whose, issuer="demo", price_fen=100, cost_fen=98)
        assert await counted(succeeded) == STATEMENTS_PER_POST[dialect()]
        assert await counted(pay(whose, attempt=2), top_up(whose.user_id, 1)) == STATEMENTS_PER_POST[dialect()]

    async def test_a_key_posts_once_even_at_the_same_moment(self) -> None:
        posting = pay(somebodys())
        outcomes = await asyncio.gather(*(book(posting) for _ in range(10)), return_exceptions=True)
        assert sum(outcome is None for outcome in outcomes) == 1
        assert all(outcome is None or isinstance(outcome, PostedAlready) for outcome in outcomes)
        assert await balance(CLEARING) == Money(100)
        assert await LedgerEntry.all().count() == 2
        assert await broken() == []

    async def test_a_key_posts_once_in_one_call_too(self) -> None:
        posting = pay(somebodys())
        with pytest.raises(PostedAlready, match=posting.key):
            await book(posting, posting)
        assert await LedgerTransaction.all().count() == await Event.all().count() == 0

    async def test_postings_together_count_the_versions_of_an_account_one_by_one(self) -> None:
        whose = somebodys()
        await book(pay(whose, 300), pay(whose, 200, attempt=2), postings.failed(whose, attempt=2, amount_fen=200))
        account = await LedgerAccount.get(code=postings.TRANSIT)
        assert (account.balance_fen, account.version) == (-300, 3)
        entries = await LedgerEntry.filter(account_id=account.id).order_by("account_version")
        assert [entry.amount_fen for entry in entries] == [-300, -200, 200]
        assert [entry.account_version for entry in entries] == [1, 2, 3]
        assert await broken() == []

    async def test_postings_of_several_users_go_to_their_shards(self) -> None:
        users = [user_in(shard) for shard in (9, 2, 9)]
        sweep = postings.settled(reference="r", clearing=CLEARING, amount_fen=30, fee_fen=1)
        await book(*(pay(somebodys(user_id), 10) for user_id in users), sweep)
        shards = Counter(row.shard for row in await LedgerTransaction.all())
        assert shards == {9: 2, 2: 1, HOUSE_SHARD: 1}
        assert await head(ledger_stream(9)) == 2
        assert await balance(CLEARING) == Money(0)
        assert {account.shard for account in await LedgerAccount.filter(code=CLEARING)} == {0, 2, 9}
        assert await broken() == []

    async def test_a_posting_belongs_into_a_transaction(self) -> None:
        with pytest.raises(PostingOutsideTransaction):
            await post(pay(somebodys()), now=utc_now())
        assert await LedgerEntry.all().count() == await Event.all().count() == 0

    async def test_no_more_is_held_than_is_in_the_wallet(self) -> None:
        whose = somebodys()
        await book(top_up(whose.user_id, 100), postings.held(whose, attempt=1, amount_fen=60))
        with pytest.raises(AccountOverdrawn):
            await book(postings.held(whose, attempt=2, amount_fen=41))
        with pytest.raises(AccountOverdrawn):
            await book(postings.held(somebodys(), attempt=1, amount_fen=1))
        assert await wallet_balances([whose.user_id]) == [Money(40)]
        assert await wallet_held([whose.user_id]) == [Money(60)]
        assert await LedgerTransaction.all().count() == 2
        assert await broken() == []

    async def test_whoever_overlooks_an_overdraft_commits_nothing(self) -> None:
        whose = somebodys()
        await book(pay(whose))

        @transactional
        async def overlooking() -> None:
            with pytest.raises(AccountOverdrawn):
                await post(postings.failed(whose, attempt=1, amount_fen=101), now=utc_now())
            await post(pay(whose, attempt=2), now=utc_now())

        with pytest.raises((IntegrityError, TransactionManagementError)):
            await overlooking()
        assert await LedgerTransaction.all().count() == await Event.all().count() == 1
        assert await broken() == []

    async def test_whoever_overlooks_a_double_posts_nothing_of_it(self) -> None:
        whose = somebodys()
        await book(pay(whose))

        @transactional
        async def overlooking() -> None:
            with pytest.raises(PostedAlready):
                await post(pay(whose), now=utc_now())

        await overlooking()
        assert await LedgerTransaction.all().count() == await Event.all().count() == 1
        assert await head(ledger_stream(shard_of(whose.user_id))) == 1
        assert await broken() == []


@pytest.mark.usefixtures("database")
class TestTogether:
    async def test_concurrent_postings_lose_nothing(self) -> None:
        await asyncio.gather(*(book(pay(somebodys(), amount)) for amount in range(1, 51)))
        assert await balance(CLEARING) == Money(1275)
        assert await balance(postings.TRANSIT) == Money(-1275)
        accounts = await LedgerAccount.filter(code=postings.TRANSIT)
        assert sum(account.version for account in accounts) == 50
        assert await broken() == []

    async def test_opposite_orders_of_accounts_do_not_deadlock(self) -> None:
        """Each transaction posts twice; half of them take the deposit first, the others the clearing."""
        users = [user_in(5) for _ in range(4)]
        orders = [somebodys(users[number % 4]) for number in range(40)]
        await book(*(pay(order) for order in orders))

        @transactional
        async def settle(number: int) -> None:
            order = orders[number]
            done = postings.succeeded(order, issuer="demo", price_fen=100, cost_fen=100)
            for posting in (done, pay(order, attempt=2)) if number % 2 else (pay(order, attempt=2), done):
                await post(posting, now=utc_now())
                await asyncio.sleep(0)

        await asyncio.gather(*(settle(number) for number in range(40)))
        assert await balance(postings.issuer_prepaid("demo")) == Money(-4_000)
        assert await balance(CLEARING) == Money(8_000)
        assert await broken() == []


async def test_many_writers_leave_true_books(postgres_url: str) -> None:
    """16 tasks post 200 times each for 40 users, wallets included."""
    users = [new_id() for _ in range(40)]
    async with connected(postgres_url):
        await book(*(top_up(user_id, 100_000) for user_id in users))

        async def write(task: int) -> None:
            for number in range(100):
                order = somebodys(users[(task * 7 + number) % 40])
                await book(postings.held(order, attempt=1, amount_fen=task + 1))
                source = postings.customer_held(order.user_id)
                await book(postings.paid(order, attempt=1, source=source, amount_fen=task + 1))

        await asyncio.gather(*(write(task) for task in range(16)))
        assert await broken() == []
        assert await LedgerTransaction.all().count() == 40 + 16 * 200
        assert await balance(postings.TRANSIT) == Money(-100 * sum(range(1, 17)))
        assert sum(money.fen for money in await wallet_balances(users)) == 4_000_000 - 100 * sum(range(1, 17))
        heads = [await head(ledger_stream(shard)) for shard in range(LEDGER_SHARDS)]
        assert sum(heads) == 40 + 16 * 200
        versions = [entry.account_version for entry in await LedgerEntry.filter(account__code=postings.TRANSIT)]
        assert len(versions) == 1_600


@pytest.mark.usefixtures("database")
async def test_a_wallet_without_postings_is_empty() -> None:
    first, second = new_id(), new_id()
    assert await wallet_balances([first, second, first]) == [Money(0)] * 3
    assert await wallet_held([first]) == [Money(0)]
    assert await balance("loss") == Money(0)
