"""A thousand copies of one callback, in waves and beside queries, are each answered and change one thing once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from domain.events.streams import arrivals_stream
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import recharging
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import OrderState
from models.events import Event
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import ThirdPartyNotice
from tests.gateways.stand_ins import Delivery, Listener
from tests.orders.conftest import steps
from tests.races.conftest import OpenHouse, delivered

COPIES = 1_000
WAVE = 100
QUERIES_PER_WAVE = 2
# The sender signs each try anew, over the same body with the same id.
SIGNED_ANEW = 4


async def let_in(house: OpenHouse, tries: list[Delivery], beside: Callable[[], Awaitable[object]]) -> Counter[int]:
    """Let the copies in, wave by wave, while the worker applies and something else happens; return the answers."""
    answers: Counter[int] = Counter()
    for begin in range(0, COPIES, WAVE):
        posts = [house.post(tries[number % len(tries)]) for number in range(begin, begin + WAVE)]
        others = asyncio.gather(house.apply(), *(beside() for _ in range(QUERIES_PER_WAVE)))
        answers.update(await asyncio.gather(*posts))
        await others
    await house.apply()
    return answers


async def tries_of(house: OpenHouse, listener: Listener, subject: object, event: str) -> list[Delivery]:
    for _ in range(SIGNED_ANEW):
        house.sandbox.repeat_callbacks(subject)
    tries = await delivered(listener, event, SIGNED_ANEW + 1)
    assert len({each.body for each in tries}) == 1
    assert len({tuple(sorted(each.headers.items())) for each in tries}) == SIGNED_ANEW + 1
    return tries


async def assert_one_notice(source: str) -> None:
    notice = await ThirdPartyNotice.get(source=source)
    assert notice.applied_at is not None
    (job,) = await Job.filter(kind="apply_notice", key__startswith=f"{source}:")
    assert (job.done_at is not None, job.parked_at, job.failures) == (True, None, 0)


async def test_of_a_payment(house: OpenHouse, listener: Listener) -> None:
    house.sandbox.faults(issuer="stuck")
    order = await house.paid_order()
    attempt = await house.attempt(order)
    tries = await tries_of(house, listener, attempt.out_trade_no, "TRANSACTION.SUCCESS")

    async def query() -> None:
        await house.confirm(await house.third_parties.channels.main.query(attempt.out_trade_no))

    assert await let_in(house, tries, query) == {204: COPIES}
    await assert_one_notice("wechat_pay")
    assert await steps(order.id) == [1, 2, 4, 10]
    assert await LedgerTransaction.all().count() == 1
    assert await balance(postings.TRANSIT) == Money(-50_000)
    assert await RechargeAttempt.all().count() == 1
    await house.assert_true()


async def test_of_a_recharge(house: OpenHouse, listener: Listener) -> None:
    house.sandbox.faults(issuer="stuck")
    order = await house.paid_order()
    await house.work_until(order.id, lambda waiting: waiting.version >= 4)
    attempt = await RechargeAttempt.get(order_id=order.id)
    house.sandbox.settle_recharge(attempt.id, "SUCCEEDED")
    tries = await tries_of(house, listener, attempt.id, "RECHARGE.SUCCEEDED")

    async def query() -> None:
        facts = await house.third_parties.issuer.query(attempt.id)
        await recharging.settle_recharge(facts=facts, actor="t", now=utc_now())

    assert await let_in(house, tries, query) == {204: COPIES}
    await assert_one_notice("card_issuer")
    assert await steps(order.id) == [1, 2, 4, 10, 11]
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
    assert await Event.filter(stream=arrivals_stream(house.viewer.user_id)).count() == 1
    assert await LedgerTransaction.all().count() == 2
    assert await balance(postings.TRANSIT) == Money(0)
    assert await balance(postings.COMMISSION) == Money(-250)
    await house.assert_true()
