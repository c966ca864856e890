from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from domain.ledger import postings
from domain.ledger.operations import PostedAlready, PostingOutsideTransaction, post
from domain.ledger.queries import balance, wallet_balances
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.money import Money
from models.database import transactional
from models.ledger import LedgerAccount, LedgerEntry

pytestmark = pytest.mark.usefixtures("database")
CLEARING = postings.channel_clearing("wechat_pay", "1900000209")


@transactional
async def pay(order_id: UUID, amount_fen: int = 100) -> None:
    posting = postings.paid(order_id=order_id, attempt=1, clearing=CLEARING, amount_fen=amount_fen)
    await post(posting, now=utc_now())


async def test_a_key_posts_once_even_at_the_same_moment() -> None:
    order_id = new_id()
    outcomes = await asyncio.gather(*(pay(order_id) for _ in range(10)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(outcome is None or isinstance(outcome, PostedAlready) for outcome in outcomes)
    assert await balance(CLEARING) == Money(100)
    assert await LedgerEntry.all().count() == 2


async def test_concurrent_postings_lose_nothing() -> None:
    await asyncio.gather(*(pay(new_id(), amount) for amount in range(1, 51)))
    assert await balance(CLEARING) == Money(1275)
    assert await balance(postings.TRANSIT) == Money(-1275)
    accounts = {account.code: account.version for account in await LedgerAccount.all()}
    assert accounts == {CLEARING: 50, postings.TRANSIT: 50}


async def test_opposite_postings_do_not_deadlock() -> None:
    orders = [new_id() for _ in range(20)]
    await asyncio.gather(*(pay(order_id) for order_id in orders))

    @transactional
    async def fail_and_refund(order_id: UUID) -> None:
        failed = postings.failed(order_id=order_id, attempt=1, amount_fen=100)
        refunded = postings.refunded(order_id=order_id, attempt=1, clearing=CLEARING, amount_fen=100)
        await post(failed, refunded, now=utc_now())

    await asyncio.gather(*(fail_and_refund(order_id) for order_id in orders), *(pay(new_id()) for _ in range(20)))
    assert await balance(CLEARING) == Money(2_000)
    assert await balance(postings.REFUNDS_PAYABLE) == Money(0)


async def test_a_posting_belongs_into_a_transaction() -> None:
    posting = postings.paid(order_id=new_id(), attempt=1, clearing=CLEARING, amount_fen=1)
    with pytest.raises(PostingOutsideTransaction):
        await post(posting, now=utc_now())
    assert await LedgerEntry.all().count() == 0


async def test_a_wallet_without_postings_is_empty() -> None:
    first, second = new_id(), new_id()
    assert await wallet_balances([first, second, first]) == [Money(0)] * 3
