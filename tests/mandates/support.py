"""Steps that tests of mandates share, and contracts that remember what was asked of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

from domain.mandates import operations
from domain.mandates.operations import Begun, Revoked, Wanted
from domain.mandates.policy import MandatePolicy
from domain.orders.paying import StartedPayment
from domain.payments.contracts import DeductionRequest
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import MandateState, PaymentMethod
from models.jobs import Job
from models.mandates import Mandate
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from tests.factories import SEALER, create_grant
from tests.orders.conftest import House

MANDATE = PaymentMethod.MANDATE
POLICY = MandatePolicy.of(Settings())


def wanted(house: House, **changes: Any) -> Wanted:
    given: dict[str, Any] = {
        "key": uuid4().hex,
        "transaction_max": Decimal("500.00"),
        "daily_max": Decimal("1000.00"),
        "card_ids": [house.card.id],
    }
    return Wanted(**(given | changes))


async def begin(house: House, **changes: Any) -> Begun:
    """Begin a mandate with a second proof for just this one."""
    asked = wanted(house, **changes)
    grant = await create_grant(house.viewer, asked.content)
    return await operations.create(
        viewer=house.viewer,
        wanted=replace(asked, grant=grant),
        contracts=house.third_parties.contracts,
        sealer=SEALER,
        policy=POLICY,
        now=utc_now(),
    )


async def sign(house: House, mandate: Mandate) -> Mandate:
    """Sign like the user, in WeChat, and let the house hear of it by asking."""
    house.sandbox.control("contract", out_contract_code=mandate.out_contract_code, wish="sign")
    await work(house, "watch_mandate")
    return await Mandate.get(id=mandate.id)


async def create_signed(house: House, **changes: Any) -> Mandate:
    mandate = await sign(house, (await begin(house, **changes)).mandate)
    assert mandate.state is MandateState.ACTIVE
    return mandate


async def revoke(house: House, mandate: Mandate) -> Revoked:
    return await operations.revoke(viewer=house.viewer, mandate_id=mandate.id, now=utc_now())


async def pay(house: House, order: RechargeOrder, key: str | None = None, **options: Any) -> StartedPayment:
    return await house.start_payment(order, key, **({"method": MANDATE} | options))


async def work(house: House, *kinds: str) -> None:
    """Do what is to be done of these kinds, whenever it would be due."""
    await Job.filter(done_at__isnull=True, kind__in=kinds).update(due_at=utc_now())
    await house.worker.run_due()
    await house.worker.settle()


async def nothing() -> None:
    """What happens around a call where nothing is to happen."""


class Watched:
    """The house's contracts; remembers the deductions that they were asked for, and lets things happen meanwhile."""

    def __init__(self, house: House, *, before: Callable[[], Awaitable[object]] = nothing) -> None:
        self._contracts, self._before = house.third_parties.contracts, before
        self.asked: list[DeductionRequest] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contracts, name)

    async def deduct(self, request: DeductionRequest) -> None:
        self.asked.append(request)
        await self._before()
        assert self._contracts is not None
        await self._contracts.deduct(request)


def on(house: House, contracts: Any) -> House:
    """Return the same house with other contracts to deduct by."""
    return house.on(replace(house.third_parties.channels, contracts=contracts))


async def assert_untouched(order: RechargeOrder, contracts: Watched) -> None:
    """Nothing has changed of the order, and the channel was not asked."""
    found = await RechargeOrder.get(id=order.id)
    assert (found.state, found.version) == (order.state, order.version)
    assert await PaymentAttempt.filter(order_id=order.id).count() == 0
    assert contracts.asked == []
