"""Limits of one's own: lowered at once, raised with a second proof, and kept to by every order."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from domain.account import spending
from domain.account.rules import OwnLimitExceeded, OwnLimits, raises
from domain.risk import rules as risk
from domain.step_up.operations import StepUpNeeded
from domain.step_up.rules import Content
from kernel.clock import utc_now
from kernel.money import Money
from models.orders import RechargeOrder
from tests.factories import LIMITS, SEALER, create_card, create_grant, create_order, create_viewer

NONE = OwnLimits()


@pytest.mark.parametrize(
    ("new", "old", "more"),
    [
        (OwnLimits(1, 1), NONE, False),
        (NONE, NONE, False),
        (NONE, OwnLimits(1, None), True),
        (OwnLimits(2, 5), OwnLimits(1, 9), True),
        (OwnLimits(1, 9), OwnLimits(2, 5), True),
        (OwnLimits(1, 5), OwnLimits(2, 5), False),
        (OwnLimits(2, None), OwnLimits(2, 5), True),
        (OwnLimits(2, 5), OwnLimits(2, None), False),
    ],
)
def test_raising_either_is_raising(new: OwnLimits, old: OwnLimits, more: bool) -> None:
    assert raises(new, old) is more


def test_limits_are_amounts_within_those_of_the_service() -> None:
    read = spending.read_limits(per_recharge=Decimal("100"), per_day=None, limits=LIMITS)
    assert read == OwnLimits(10_000, None)
    for wrong in ("0", "-1", "0.001", "5000.01"):
        with pytest.raises((risk.AmountNotPositive, risk.AmountFractionOfFen, risk.AmountTooLarge)):
            spending.read_limits(per_recharge=Decimal(wrong), per_day=None, limits=LIMITS)


async def test_lowering_is_free_and_raising_is_not(database: str) -> None:
    viewer = await create_viewer()

    async def change(wanted: OwnLimits, grant: str | None = None) -> None:
        await spending.set_limits(viewer=viewer, wanted=wanted, grant=grant, sealer=SEALER, now=utc_now())

    await change(OwnLimits(50_000, 90_000))
    await change(OwnLimits(40_000, 80_000))
    for higher in (OwnLimits(50_000, 80_000), OwnLimits(40_000, None), NONE):
        with pytest.raises(StepUpNeeded):
            await change(higher)
    assert await spending.own_limits(viewer.user_id) == OwnLimits(40_000, 80_000)
    grant = await create_grant(viewer, Content.of_limits(per_recharge_fen=None, per_day_fen=None))
    await change(NONE, grant)
    assert await spending.own_limits(viewer.user_id) == NONE


async def test_orders_keep_to_them(database: str) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    await spending.set_limits(viewer=viewer, wanted=OwnLimits(30_000, 50_000), grant=None, sealer=SEALER, now=utc_now())
    with pytest.raises(OwnLimitExceeded) as over:
        await create_order(viewer, card, yuan="300.01")
    assert over.value.values["maximum"] == Money(30_000)
    assert await RechargeOrder.all().count() == 0
    await create_order(viewer, card, yuan="300.00")
    with pytest.raises(OwnLimitExceeded) as left:
        await create_order(viewer, card, yuan="200.01")
    assert left.value.values["maximum"] == Money(20_000)
    made = await asyncio.gather(*(create_order(viewer, card, yuan="150.00") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(each, RechargeOrder) for each in made) == 1
    assert await RechargeOrder.all().count() == 2
