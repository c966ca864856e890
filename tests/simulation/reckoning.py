"""Holding what the third parties say happened against our books, order by order and fen by fen."""

from __future__ import annotations

from collections import Counter, defaultdict
from uuid import UUID

from domain.cards.ports import IssuerOrderState
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.payments.ports import ChannelRefundState
from kernel.states import CaseKind, CaseState, OrderState, PaymentState, RechargeState, RefundState
from models.cards import FuelCard
from models.jobs import Job
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund, WalletTopUp
from models.reviews import ManualCase
from tests.simulation.world import SEALER, World

TERMINAL = frozenset({OrderState.SUCCEEDED, OrderState.FAILED})
# How a recharge stands with us where it stands so with the issuer.
AGREEING = {
    IssuerOrderState.PROCESSING: {RechargeState.SUBMITTED},
    IssuerOrderState.SUCCEEDED: {RechargeState.SUCCEEDED, RechargeState.SURPLUS},
    IssuerOrderState.NOT_ACCEPTED: {RechargeState.NOT_ACCEPTED},
    IssuerOrderState.REFUSED: {RechargeState.REFUSED},
    IssuerOrderState.REVERSED: {RechargeState.REVERSED, RechargeState.REFUSED},
}


async def reckon(world: World) -> None:
    """Raises AssertionError where an order is neither ended nor explained, or a fen is elsewhere than booked."""
    assert not await Job.filter(done_at__isnull=True, parked_at__isnull=True).count(), "work is left undone"
    await _orders_have_ended(world)
    await _channels_agree(world)
    await _issuer_agrees(world)
    await _customers_have_what_they_paid_for(world)
    await _cards_hold_what_was_paid(world)


async def _orders_have_ended(world: World) -> None:
    """What has not ended waits for a person, and for one reason: the third party itself has not ended it."""
    left_to_people = {job.key for job in await Job.filter(parked_at__isnull=False, done_at__isnull=True)}
    for order in await RechargeOrder.filter(state__not_in=list(TERMINAL)):
        attempt = await RechargeAttempt.get(order_id=order.id, state=RechargeState.SUBMITTED)
        assert world.facts_of(attempt.id).state is IssuerOrderState.PROCESSING, f"order {order.id} has an end"
        assert str(attempt.id) in left_to_people, f"order {order.id} stands in {order.state}"
    theirs = {number: refund.state for channel in world.channels for number, refund in channel.refunds.items()}
    for refund in await Refund.filter(state__not=RefundState.SUCCESS):
        number = refund.out_refund_no
        assert theirs.get(number) is ChannelRefundState.ABNORMAL, f"refund {number} of {refund.order_id} has an end"
        assert number in left_to_people, f"refund {number} of {refund.order_id} stands in {refund.state}"


async def _channels_agree(world: World) -> None:
    """Every payment and every refund of the channels is in our books, and nothing else is."""
    ours = {attempt.out_trade_no: attempt.state for attempt in await PaymentAttempt.exclude(channel="wallet")}
    ours |= {top_up.out_trade_no: top_up.state for top_up in await WalletTopUp.all()}
    refunds = {refund.out_refund_no: refund for refund in await Refund.all()}
    for channel in world.channels:
        for trade in channel.trades.values():
            paid = ours[trade.out_trade_no] is PaymentState.PAID
            assert paid == bool(trade.transaction_id), f"payment {trade.out_trade_no} is {ours[trade.out_trade_no]}"
        for theirs in channel.refunds.values():
            known = refunds.get(theirs.out_refund_no)
            assert known is not None, f"the channel paid back {theirs.out_refund_no}, which is no refund of ours"
            done = theirs.state is ChannelRefundState.SUCCESS
            assert done == (known.state is RefundState.SUCCESS), f"refund {theirs.out_refund_no} is {known.state}"
            assert theirs.amount_fen == known.amount_fen
        booked = await balance(postings.channel_clearing(channel.name, channel.sub_mchid))
        assert booked.fen == channel.held_fen, f"{channel.party} holds {channel.held_fen}, we book {booked.fen}"


async def _issuer_agrees(world: World) -> None:
    """Every recharge and the deposit stand with us as with the issuer."""
    for case in await ManualCase.filter(state__not=CaseState.RESOLVED):
        raise AssertionError(f"a {case.kind} of {case.order_id} is {case.state}, and staff cannot end it")
    attempts = {attempt.id: attempt for attempt in await RechargeAttempt.all()}
    for recharge in world.recharges.values():
        attempt = attempts[recharge.attempt_id]
        agrees = attempt.state in AGREEING[recharge.state]
        assert agrees, f"recharge {attempt.id} of {attempt.order_id} is {attempt.state}, there {recharge.state}"
    for issuer in world.issuers:
        booked = await balance(postings.issuer_prepaid(issuer.name))
        assert -booked.fen == issuer.spent_fen, f"{issuer.name} took {issuer.spent_fen}, we book {-booked.fen}"


async def _customers_have_what_they_paid_for(world: World) -> None:
    """Nobody is charged without a recharge or a refund: by what payers themselves see, order by order."""
    paid: Counter[UUID] = Counter()
    waits: Counter[UUID] = Counter()
    for attempt in await PaymentAttempt.all():
        if attempt.channel == "wallet":
            paid[attempt.order_id] += attempt.amount_fen if attempt.state is PaymentState.PAID else 0
            continue
        channel = next(channel for channel in world.channels if channel.sub_mchid == attempt.sub_mchid)
        trade = channel.trades.get(attempt.out_trade_no)
        if trade is not None and trade.transaction_id:
            paid[attempt.order_id] += trade.amount_fen - channel.paid_back_fen(trade.out_trade_no)
    for refund in await Refund.all():
        if refund.state is not RefundState.SUCCESS:
            waits[refund.order_id] += refund.amount_fen
        elif (await PaymentAttempt.get(id=refund.attempt_id)).channel == "wallet":
            paid[refund.order_id] -= refund.amount_fen
    for order in await RechargeOrder.all():
        taken = order.price_fen if order.state in {OrderState.SUCCEEDED, OrderState.RECHARGING} else 0
        assert paid[order.id] == taken + waits[order.id], (
            f"the customer of {order.id} is {paid[order.id]} fen poorer, of which {taken} pay for a recharge"
        )


async def _cards_hold_what_was_paid(world: World) -> None:
    """No card has more than was paid for it, but for recharges against an issuer's word, about which two decided."""
    expected: Counter[str] = Counter()
    numbers = {card.id: SEALER.open(card.number_sealed, owner=str(card.id)) for card in await FuelCard.all()}
    clawed = {case.attempt_id for case in await ManualCase.filter(kind=CaseKind.CLAW_BACK)}
    truth = {recharge.attempt_id: recharge.state for recharge in world.recharges.values()}
    attempts = defaultdict(list)
    for attempt in await RechargeAttempt.all():
        attempts[attempt.order_id].append(attempt)
    for order in await RechargeOrder.all():
        deserving = 0
        for attempt in attempts[order.id]:
            there = truth.get(attempt.id)
            given = there is IssuerOrderState.SUCCEEDED
            deserved = order.state is OrderState.SUCCEEDED and attempt.state is RechargeState.SUCCEEDED
            allowed = given == deserved or (given and attempt.id in clawed)
            assert allowed, f"order {order.id} is {order.state}, recharge {attempt.id} there {there}"
            expected[numbers[order.card_id]] += order.amount_fen if given else 0
            deserving += deserved
        assert deserving == (order.state is OrderState.SUCCEEDED), f"order {order.id} is {order.state}"
    assert +expected == +sum((issuer.cards_fen for issuer in world.issuers), Counter())
