"""Recharges at a price of their own: the stock goes to whoever orders first, and comes back where an order fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.ledger import postings
from domain.ledger.queries import balance
from domain.offers import operations as offers
from domain.offers.rules import OfferNotForCard, OfferNotOpen, OfferSoldOut, OfferTakenAlready
from domain.orders import audit
from domain.orders.operations import OfferNotFound
from domain.risk.rules import AmountMissing, AmountNotOffered
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import CardBrand, OrderState, RefundState, ReservationState
from models.offers import Offer, OfferReservation
from models.orders import RechargeAttempt, RechargeOrder
from tests.factories import LIMITS, create_card, create_offer, create_order, create_viewer
from tests.orders.conftest import House


async def stock_of(offer: Offer) -> int:
    return (await Offer.get(id=offer.id)).stock_left


class TestTaking:
    async def test_the_offers_price_is_paid_and_its_amount_arrives(self, house: House) -> None:
        offer = await create_offer(amount_fen=50_000, price_fen=49_000, stock=3)
        order = await house.order(None, offer=offer)
        assert (order.amount_fen, order.price_fen) == (50_000, 49_000)
        assert await stock_of(offer) == 2
        house.pay(await house.start_payment(order))
        assert house.sandbox.payment((await house.attempt(order)).out_trade_no)["total"] == 49_000
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        sent = await RechargeAttempt.get(order_id=order.id)
        assert house.sandbox.recharge(sent.id)["amount_fen"] == 50_000
        assert (await OfferReservation.get(id=order.id)).state is ReservationState.USED
        assert await stock_of(offer) == 2
        # The issuer took 497.50 of our deposit for what 490.00 were paid for.
        assert await balance(postings.LOSS) == Money(750)
        assert await balance(postings.TRANSIT) == Money(0)

    async def test_the_last_pieces_go_to_as_many_orders_however_many_come_at_once(self, database: str) -> None:
        offer = await create_offer(stock=3)
        viewers = [await create_viewer() for _ in range(10)]
        cards = [await create_card(viewer, f"1000111100000000{number:03d}") for number, viewer in enumerate(viewers)]
        outcomes = await asyncio.gather(
            *(create_order(viewer, card, yuan=None, offer=offer) for viewer, card in zip(viewers, cards, strict=True)),
            return_exceptions=True,
        )
        assert Counter(type(outcome) for outcome in outcomes) == {RechargeOrder: 3, OfferSoldOut: 7}
        assert await stock_of(offer) == 0
        assert await RechargeOrder.all().count() == await OfferReservation.all().count() == 3
        assert await audit.findings() == []

    async def test_a_repeated_key_takes_one_piece(self, house: House) -> None:
        offer = await create_offer(stock=5, per_user_max=5)
        made = await asyncio.gather(*(house.order(None, offer=offer, key="same-key-1") for _ in range(6)))
        assert len({order.id for order in made}) == 1
        assert await stock_of(offer) == 4

    async def test_terms_are_kept(self, house: House) -> None:
        now = utc_now()
        over = await create_offer(starts_at=now - timedelta(hours=2), ends_at=now)
        early = await create_offer(starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2))
        others = await create_offer(brand=CardBrand.PETROCHINA)
        once = await create_offer(per_user_max=1)
        for offer in (over, early):
            with pytest.raises(OfferNotOpen):
                await house.order(None, offer=offer)
        with pytest.raises(OfferNotForCard):
            await house.order(None, offer=others)
        await house.order(None, offer=once)
        with pytest.raises(OfferTakenAlready):
            await house.order(None, offer=once)
        assert await RechargeOrder.all().count() == 1
        assert [await stock_of(offer) for offer in (over, early, others, once)] == [10, 10, 10, 9]

    async def test_the_amount_is_the_offers_or_is_left_out(self, house: House) -> None:
        offer = await create_offer(amount_fen=50_000)
        with pytest.raises(AmountNotOffered):
            await house.order("400.00", offer=offer)
        with pytest.raises(AmountMissing):
            await house.order(None)
        await offers.release(order_id=offer.id, now=utc_now())
        assert await stock_of(offer) == 10
        assert (await house.order("500.00", offer=offer)).price_fen == offer.price_fen

    async def test_an_unknown_offer_is_no_order_without_one(self, house: House) -> None:
        offer = await create_offer()
        await Offer.filter(id=offer.id).delete()
        with pytest.raises(OfferNotFound):
            await house.order("500.00", offer=offer)
        assert await RechargeOrder.all().count() == 0


class TestReleasing:
    async def test_cancelling_and_expiring_give_the_piece_back_once(self, house: House) -> None:
        offer = await create_offer(stock=2, per_user_max=2)
        cancelled = await house.order(None, offer=offer)
        await house.order(None, offer=offer, pay_within=timedelta(0))
        assert await stock_of(offer) == 0
        await asyncio.gather(*(house.cancel(cancelled) for _ in range(5)))
        assert await stock_of(offer) == 1
        await house.worker.run_due()
        await house.worker.settle()
        assert await stock_of(offer) == 2
        assert await OfferReservation.filter(state=ReservationState.RELEASED).count() == 2
        assert await audit.findings() == []

    async def test_what_the_issuer_refuses_is_given_back(self, house: House) -> None:
        offer = await create_offer(stock=1)
        house.sandbox.faults(issuer="refuse")
        order = await house.order(None, offer=offer)
        house.pay(await house.start_payment(order))
        await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert await stock_of(offer) == 1
        assert (await house.order(None, offer=offer)).id != order.id

    async def test_a_refused_order_reserves_nothing(self, house: House) -> None:
        offer = await create_offer(stock=1)
        await house.order()
        with pytest.raises(Exception, match="unpaid orders"):
            await house.order(None, offer=offer, limits=replace(LIMITS, unpaid_orders_max=1))
        assert await stock_of(offer) == 1
        assert await OfferReservation.all().count() == 0
