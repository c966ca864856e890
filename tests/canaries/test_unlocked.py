"""What is read, changed in the process and written back without a lock loses what somebody else wrote meanwhile.

| fault | who catches it |
|---|---|
| a balance is read before the transaction and written back in it | the replay of the ledger, the reckoning |
| the same within the transaction | the same on PostgreSQL; SQLite lets one transaction run at a time |
| the stock of an offer is written back as it was read, less one | the audit of offers |
| an order is moved by two who have both read it | the version in the update; without it, the key of the order's story |

Everybody meets after reading, so each run has the same order of things, and without the fault it harms nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from tortoise.exceptions import IntegrityError

from domain.ledger import operations as ledger
from domain.ledger import statements
from domain.ledger.postings import customer_prepaid
from domain.ledger.queries import balance
from domain.ledger.statements import Batch
from domain.offers import operations as offers
from domain.orders import operations as orders
from domain.orders import transitions
from domain.orders.creating import Wanted
from domain.orders.lifecycle import Trigger
from domain.orders.transitions import OrderChanged
from domain.payments import top_ups
from kernel.states import CardBrand, OrderState, ReservationState
from models.database import dialect
from models.ledger import LedgerAccount
from models.offers import Offer, OfferReservation
from models.orders import OrderTransition, RechargeOrder
from models.payments import WalletTopUp
from tests.canaries.rules import REPLAYED, STOCK
from tests.canaries.stage import RECKONING, Stage, staged

PATIENCE_S = 60.0

_read: ContextVar[dict[str, int]] = ContextVar("read")


class Meeting:
    """A point at which two wait for each other, once."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)

    async def wait(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._barrier.wait()


async def read_balances() -> None:
    """Remember every balance for whatever this task and its transaction do later."""
    _read.set({account.code: account.balance_fen for account in await LedgerAccount.all()})


def write_balances_back(patch: pytest.MonkeyPatch) -> None:
    """A balance becomes what was read before, plus what the posting moves."""
    name = "write_postgres" if dialect() == "postgres" else "enter_sqlite"
    write = getattr(statements, name)

    async def write_back(batch: Batch, **options: Any) -> None:
        await write(batch, **options)
        for posting in batch.postings:
            for line in posting.lines:
                fen = _read.get().get(line.account, 0) + line.amount_fen
                await LedgerAccount.filter(code=line.account, shard=batch.shard).update(balance_fen=fen)

    patch.setattr(statements, name, write_back)


def before_the_transaction(patch: pytest.MonkeyPatch, arrive: Callable[[], Awaitable[None]]) -> None:
    confirm = top_ups.confirm

    async def read_first(**options: Any) -> WalletTopUp:
        await read_balances()
        await arrive()
        return await confirm(**options)

    patch.setattr(top_ups, "confirm", read_first)


def within_the_transaction(patch: pytest.MonkeyPatch, arrive: Callable[[], Awaitable[None]]) -> None:
    post = ledger._post

    async def read_first(batch: Batch, now: datetime) -> None:
        await read_balances()
        await arrive()
        await post(batch, now)

    patch.setattr(ledger, "_post", read_first)


async def pay_into_the_wallet(stage: Stage, *, times: int) -> None:
    """Let so many payments into the customer's wallet be confirmed at once."""
    facts = [stage.pay((await stage.top_up())[1]) for _ in range(times)]
    now = stage.world.now
    await asyncio.gather(*(top_ups.confirm(facts=each, channels=stage.channels, now=now) for each in facts))


async def nobody() -> None:
    """Wait for nobody."""


class TestBalance:
    @pytest.mark.parametrize("planted", [False, True])
    async def test_read_before_the_transaction(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch, planted: bool
    ) -> None:
        await self._run(database_url, monkeypatch, before_the_transaction, Meeting().wait, planted=planted)

    @pytest.mark.parametrize("planted", [False, True])
    async def test_read_within_the_transaction(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch, planted: bool
    ) -> None:
        await self._run(postgres_url, monkeypatch, within_the_transaction, Meeting().wait, planted=planted)

    async def test_sqlite_gives_nobody_the_chance(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A transaction is alone from its beginning, so whoever reads in it reads what was written last."""
        await self._run(sqlite_url, monkeypatch, within_the_transaction, nobody, planted=True, harmless=True)

    async def _run(
        self,
        url: str,
        patch: pytest.MonkeyPatch,
        plant: Callable[[pytest.MonkeyPatch, Callable[[], Awaitable[None]]], None],
        arrive: Callable[[], Awaitable[None]],
        *,
        planted: bool,
        harmless: bool = False,
    ) -> None:
        async with staged(url) as stage:
            wallet = customer_prepaid(stage.customer.viewer.user_id)
            await pay_into_the_wallet(stage, times=1)
            plant(patch, arrive)
            if planted:
                write_balances_back(patch)
            await pay_into_the_wallet(stage, times=2)
            found = await stage.findings()
            if not planted or harmless:
                assert found == {}
                assert (await balance(wallet)).fen == -30_000
                return
            assert (await balance(wallet)).fen == -20_000
        assert found.keys() == {REPLAYED, RECKONING}
        replayed = "\n".join(found[REPLAYED])
        assert wallet in replayed
        assert "'balance_fen': -20000" in replayed
        assert "'replayed_fen': -30000" in replayed
        assert "holds 30000, we book 20000" in found[RECKONING][0]


async def write_the_stock_back(*, offer: Offer, order_id: UUID, user_id: UUID, brand: CardBrand, now: datetime) -> None:
    """Take a piece off the stock as it was when the offer was read; nobody looks at the offer's terms here."""
    del brand
    await Offer.filter(id=offer.id).update(stock_left=offer.stock_left - 1, updated_at=now)
    await OfferReservation.create(
        id=order_id, offer_id=offer.id, user_id=user_id, state=ReservationState.RESERVED, created_at=now
    )


@pytest.mark.parametrize("planted", [False, True])
async def test_the_stock_of_an_offer(database_url: str, monkeypatch: pytest.MonkeyPatch, planted: bool) -> None:
    async with staged(database_url) as stage:
        offer = await stage.world.add_offer(amount_fen=50_000, price_fen=49_000, stock=10)
        customers = [stage.customer, await stage.world.add_customer()]
        meet_after(monkeypatch, orders, "_offer_of", Meeting().wait)
        if planted:
            monkeypatch.setattr(offers, "reserve", write_the_stock_back)
        await asyncio.gather(
            *(
                orders.create(
                    viewer=customer.viewer,
                    wanted=Wanted(
                        orders.CREATE, "key-of-the-order", customer.cards[0].id, names_offer=True, offer_id=offer.id
                    ),
                    policy=stage.world.policy,
                    now=stage.world.now,
                )
                for customer in customers
            )
        )
        assert (await Offer.get(id=offer.id)).stock_left == (9 if planted else 8)
        found = [(finding.rule, finding.subject) for finding in await stage.world.findings()]
        assert found == ([(STOCK, offer.code)] if planted else [])


async def read_without_a_lock(order_id: UUID) -> RechargeOrder:
    return await RechargeOrder.get(id=order_id)


async def set_whatever_the_version(order: RechargeOrder, now: datetime, **changes: Any) -> None:
    changes |= {"version": order.version + 1, "updated_at": now}
    await RechargeOrder.filter(id=order.id).update(**changes)
    order.update_from_dict(changes)


@pytest.mark.parametrize(
    ("compares", "refused"),
    [
        pytest.param(True, OrderChanged, id="the version is compared"),
        pytest.param(False, IntegrityError, id="and it is not"),
    ],
)
async def test_an_order_that_two_have_read(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, compares: bool, refused: type[Exception]
) -> None:
    async with staged(postgres_url) as stage:
        order = await stage.order()

        def give_up() -> Coroutine[Any, Any, RechargeOrder]:
            return orders._give_up(order.id, Trigger.CANCEL, None, "t", stage.world.now)

        with monkeypatch.context() as patch:
            patch.setattr(orders, "lock", read_without_a_lock)
            meet_after(patch, orders, "lock", Meeting().wait)
            if not compares:
                patch.setattr(transitions, "_set", set_whatever_the_version)
            ends = await asyncio.gather(give_up(), give_up(), return_exceptions=True)
        assert sorted([isinstance(end, refused) for end in ends]) == [False, True], ends
        moved = await RechargeOrder.get(id=order.id)
        assert (moved.state, moved.version) == (OrderState.FAILED, 2)
        assert await OrderTransition.filter(order_id=order.id).count() == 2
        assert await stage.findings() == {}
        # Under the lock the second one finds that there is nothing left to do.
        again = await stage.order()
        ends = await asyncio.gather(
            *(orders._give_up(again.id, Trigger.CANCEL, None, "t", stage.world.now) for _ in range(2))
        )
        assert [end.state for end in ends] == [OrderState.FAILED] * 2
        assert await stage.findings() == {}


def meet_after(patch: pytest.MonkeyPatch, module: object, name: str, arrive: Callable[[], Awaitable[None]]) -> None:
    """Have whoever calls the function wait for the other one behind it."""
    function: Callable[..., Awaitable[Any]] = getattr(module, name)

    async def and_meet(*args: Any, **options: Any) -> Any:
        result = await function(*args, **options)
        await arrive()
        return result

    patch.setattr(module, name, and_meet)
