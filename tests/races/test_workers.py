"""Two workers and a server on one PostgreSQL: 200 orders that are paid at once are each recharged once."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import paying
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from gateways.assembly import third_parties
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import OrderState
from models.cards import FuelCard
from models.database import connected
from models.events import Event
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import Refund, ThirdPartyNotice
from sandbox.store import Kind, Store
from tests.audits import assert_audits_find_nothing
from tests.factories import LIMITS, create_card, create_order, create_viewer, viewer_of
from tests.house_process import Process, RunningHouse, running
from tests.ledger.audit import assert_books_are_true
from tests.orders.conftest import steps
from tests.races.gates import Gate, gate
from tests.sandbox_fixtures import Sandbox
from tests.services import run
from tests.subscriptions.support import eventually

ORDERS, PEOPLE = 200, 20
PRICE_FEN, COST_FEN = 5_000, 4_975
SETTLED_WITHIN_S = 90
AT_ONCE_MAX = 16


class Two:
    """A running house with two workers, each with a gate to the issuer."""

    def __init__(self, house: RunningHouse, workers: list[Process], gates: list[Gate]) -> None:
        self.house, self.workers, self.gates = house, workers, gates

    def tails(self) -> str:
        return "\n".join(process.tail() for process in (self.house.server, *self.workers))


@pytest.fixture
def two(tmp_path: Path, sandbox: Sandbox, postgres_url: str, redis_url: str) -> Iterator[Two]:
    environment = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        # The cards of the tests' factories are sealed with this key.
        "YOUKA_DATA_KEY": base64.b64encode(bytes(32)).decode(),
        # An order that nobody was told of would be found by a query, and the test would not end on time.
        "YOUKA_PAYMENT_QUERY_DELAY_S": "600",
        "YOUKA_RECHARGE_QUERY_DELAY_S": "600",
        # A machine that is busy with other tests must not make a late answer look like none.
        "YOUKA_THIRD_PARTY_TIMEOUT_S": "30",
    }
    with ExitStack() as stack:
        gates = [stack.enter_context(gate(sandbox.url)) for _ in range(2)]
        house = stack.enter_context(running(tmp_path, sandbox, worker=False, **environment))
        workers = [
            Process("jobs", {**house.environment, "YOUKA_ISSUER_URL": each.url}, tmp_path / f"worker-{number}.log")
            for number, each in enumerate(gates)
        ]
        yield Two(house, workers, gates)
        for worker in workers:
            if not worker.ended:
                worker.kill()


async def started_orders(parties: ThirdParties, policy: Policy) -> list[paying.StartedPayment]:
    """Return orders of several people, each as far as the user's own wallet would open."""
    cards: list[FuelCard] = []
    for number in range(PEOPLE):
        cards.append(await create_card(await create_viewer(), f"1000111{number:012d}"))
    gate = asyncio.Semaphore(AT_ONCE_MAX)

    async def start(card: FuelCard) -> paying.StartedPayment:
        viewer = viewer_of(card.user_id)  # type: ignore[arg-type]
        async with gate:
            order = await create_order(viewer, card, yuan="50.00", limits=policy.limits)
            return await paying.start_payment(
                viewer=viewer,
                order_id=order.id,
                idempotency_key=uuid4().hex,
                channels=parties.channels,
                face=parties.face,
                policy=policy,
                now=utc_now(),
            )

    return list(await asyncio.gather(*(start(cards[number % PEOPLE]) for number in range(ORDERS))))


async def pay_all_at_once(sandbox: Sandbox, started: list[paying.StartedPayment]) -> None:
    def pay(each: paying.StartedPayment) -> None:
        assert each.parameters is not None
        sandbox.pay(each.parameters.package)

    await asyncio.gather(*(asyncio.to_thread(pay, each) for each in started))


async def recharge_all(two: Two, sandbox: Sandbox) -> None:
    settings = sandbox.settings(port=two.house.port, database_url=two.house.environment["DATABASE_URL"])
    policy = replace(Policy.of(settings), limits=replace(LIMITS, unpaid_orders_max=ORDERS))
    async with connected(settings.database), third_parties(settings) as parties:
        started = await started_orders(parties, policy)
        for worker in two.workers:
            worker.start()
        await pay_all_at_once(sandbox, started)

        async def settled() -> bool:
            assert not any(worker.ended for worker in two.workers), two.tails()
            succeeded = await RechargeOrder.filter(state=OrderState.SUCCEEDED).count()
            # What told of the last one may still have to be noted as applied.
            return succeeded == ORDERS and not await ThirdPartyNotice.filter(applied_at__isnull=True).exists()

        try:
            await eventually(settled, timeout_s=SETTLED_WITHIN_S)
        except TimeoutError:
            states = Counter(await RechargeOrder.all().values_list("state", flat=True))
            raise AssertionError(f"{states}\n{two.tails()}") from None
        await assert_each_was_recharged_once(two, sandbox)


async def assert_each_was_recharged_once(two: Two, sandbox: Sandbox) -> None:
    attempts = {str(each.id): each for each in await RechargeAttempt.all()}
    assert len(attempts) == len({each.order_id for each in attempts.values()}) == ORDERS
    submitted = [each.submitted for each in two.gates]
    assert all(submitted), "one worker did everything"
    assert Counter([*submitted[0], *submitted[1]]) == dict.fromkeys(attempts, 1)
    theirs = Store(sandbox.data_dir / "sandbox" / "sandbox.db")
    try:
        found = [theirs.get(Kind.RECHARGE, attempt_id) for attempt_id in attempts]
    finally:
        theirs.close()
    assert Counter((each["state"], each["amount_fen"]) for each in found if each) == {("SUCCEEDED", PRICE_FEN): ORDERS}
    for order in await RechargeOrder.all():
        assert await steps(order.id) == [1, 2, 4, 10, 11]
    # L1 and L2 of each, told by one callback each.
    assert await LedgerTransaction.all().count() == await ThirdPartyNotice.all().count() == 2 * ORDERS
    assert await Event.filter(stream__startswith="arrivals:").count() == ORDERS
    assert await balance(postings.issuer_prepaid("card_issuer")) == Money(-ORDERS * COST_FEN)
    assert await balance(postings.TRANSIT) == Money(0)
    assert await Refund.all().count() == await Job.filter(parked_at__isnull=False).count() == 0
    await assert_books_are_true()
    await assert_audits_find_nothing()


def test_200_orders_are_each_submitted_once(two: Two, sandbox: Sandbox) -> None:
    run(recharge_all(two, sandbox))
    assert [worker.stop() for worker in two.workers] == [0, 0]
    for worker in two.workers:
        assert "Traceback" not in worker.tail()
