"""What our books and the third parties' own must never say of each other, at any moment of any history.

The audits prove the books from themselves. Here they are held against what really happened elsewhere, while it is still
under way: nothing is believed that did not happen, and nothing is paid or recharged twice.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from domain.cards.ports import IssuerOrderState
from domain.ledger import postings
from domain.ledger.queries import balance, balances, wallets
from domain.payments.ports import ChannelRefundState
from kernel.states import CaseKind, CaseOutcome, CaseState, OrderState, PaymentState, RechargeState, RefundState
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund, WalletTopUp
from models.reviews import ManualCase
from tests.simulation.channels import Trade
from tests.simulation.world import World

WALLET = "wallet"
# What the issuer may say by now of a recharge that stands so with us.
BEHIND = {
    RechargeState.SUBMITTED: frozenset(IssuerOrderState),
    RechargeState.SUCCEEDED: frozenset({IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED}),
    RechargeState.REFUSED: frozenset({IssuerOrderState.REFUSED, IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED}),
    RechargeState.REVERSED: frozenset({IssuerOrderState.REVERSED}),
    RechargeState.NOT_ACCEPTED: frozenset({IssuerOrderState.NOT_FOUND, IssuerOrderState.NOT_ACCEPTED}),
    RechargeState.SURPLUS: frozenset({IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED}),
}


async def bear_witness(world: World) -> None:
    """Raises AssertionError where our books say something that did not happen, or something happened twice."""
    attempts = await PaymentAttempt.all()
    top_ups = await WalletTopUp.all()
    refunds = await Refund.all()
    await _payments_were_made(world, attempts, top_ups)
    await _refunds_were_paid_once(world, attempts, refunds)
    await _recharges_were_paid_for(world, attempts)
    await _clearing_is_what_we_know(world, attempts, top_ups, refunds)
    await _wallets_hold_what_is_theirs(attempts, top_ups, refunds)


async def _payments_were_made(world: World, attempts: list[PaymentAttempt], top_ups: list[WalletTopUp]) -> None:
    trades = _trades(world)
    payments: list[PaymentAttempt | WalletTopUp] = [*attempts, *top_ups]
    for ours in payments:
        if ours.state is not PaymentState.PAID or ours.channel == WALLET:
            continue
        trade = trades.get(ours.out_trade_no)
        assert trade is not None, f"{ours.out_trade_no} is paid, and the channel does not know it"
        paid = (trade.transaction_id, trade.amount_fen)
        assert paid == (ours.transaction_id, ours.amount_fen), f"{ours.out_trade_no} is paid by {paid}"


async def _refunds_were_paid_once(world: World, attempts: list[PaymentAttempt], refunds: list[Refund]) -> None:
    theirs = {number: refund for channel in world.channels for number, refund in channel.refunds.items()}
    trades = _trades(world)
    numbers = {refund.out_refund_no for refund in refunds}
    for number, refund in theirs.items():
        assert number in numbers, f"the channel was asked for {number}, which is no refund of ours"
        assert refund.amount_fen == trades[refund.out_trade_no].amount_fen
    asked = Counter(refund.out_trade_no for refund in theirs.values())
    twice = [out_trade_no for out_trade_no, count in asked.items() if count > 1]
    assert not twice, f"{twice} was refunded under two numbers"
    by_wallet = {attempt.id for attempt in attempts if attempt.channel == WALLET}
    for known in refunds:
        if known.state is RefundState.SUCCESS and known.attempt_id not in by_wallet:
            there = theirs.get(known.out_refund_no)
            done = there is not None and there.state is ChannelRefundState.SUCCESS
            assert done, f"refund {known.out_refund_no} is SUCCESS, and the channel has not paid it"


async def _recharges_were_paid_for(world: World, attempts: list[PaymentAttempt]) -> None:
    paid = {attempt.order_id for attempt in attempts if attempt.state is PaymentState.PAID}
    ours = {attempt.id: attempt for attempt in await RechargeAttempt.all()}
    sent: Counter[UUID] = Counter()
    for recharge in world.recharges.values():
        attempt = ours.get(recharge.attempt_id)
        assert attempt is not None, f"the issuer was sent {recharge.attempt_id}, of which nothing is written down"
        assert attempt.issuer == recharge.issuer, f"recharge {attempt.id} went to another issuer than is written down"
        not_taken = recharge.breaks_its_word or recharge.state is IssuerOrderState.NOT_ACCEPTED
        sent[attempt.order_id] += not not_taken
        assert attempt.order_id in paid, f"order {attempt.order_id} was sent to the issuer, and nobody has paid it"
    assert not [order for order, count in sent.items() if count > 1], f"recharged twice: {sent}"
    for attempt in ours.values():
        there = world.facts_of(attempt.id).state
        known = world.recharges.get(attempt.id)
        broken = attempt.state is RechargeState.NOT_ACCEPTED and known is not None and known.breaks_its_word
        assert broken or there in BEHIND[attempt.state], f"recharge {attempt.id} is {attempt.state}, there {there}"


async def _clearing_is_what_we_know(
    world: World, attempts: list[PaymentAttempt], top_ups: list[WalletTopUp], refunds: list[Refund]
) -> None:
    known: Counter[str] = Counter()
    merchants = {attempt.id: attempt.sub_mchid for attempt in attempts}
    payments: list[PaymentAttempt | WalletTopUp] = [*attempts, *top_ups]
    for paid in payments:
        known[paid.sub_mchid] += paid.amount_fen if paid.state is PaymentState.PAID else 0
    for refund in refunds:
        known[merchants[refund.attempt_id]] -= refund.amount_fen if refund.state is RefundState.SUCCESS else 0
    codes = [postings.channel_clearing(channel.name, channel.sub_mchid) for channel in world.channels]
    for channel, booked in zip(world.channels, await balances(codes), strict=True):
        expected_fen = known[channel.sub_mchid]
        assert booked.fen == expected_fen, f"{channel.party} is booked with {booked.fen} fen instead of {expected_fen}"


async def _wallets_hold_what_is_theirs(
    attempts: list[PaymentAttempt], top_ups: list[WalletTopUp], refunds: list[Refund]
) -> None:
    theirs: Counter[UUID] = Counter()
    for top_up in top_ups:
        theirs[top_up.user_id] += top_up.amount_fen if top_up.state is PaymentState.PAID else 0
    spent = {attempt.id: attempt for attempt in attempts if attempt.channel == WALLET}
    for attempt in spent.values():
        theirs[attempt.user_id] -= attempt.amount_fen if attempt.state is PaymentState.PAID else 0
    for refund in refunds:
        if refund.attempt_id in spent and refund.state is RefundState.SUCCESS:
            theirs[refund.user_id] += refund.amount_fen
    for user_id, fen in (await recovered()).items():
        theirs[user_id] -= fen
    users = sorted({*theirs, *(attempt.user_id for attempt in attempts)}, key=str)
    for user_id, (free, held) in zip(users, await wallets(users), strict=True):
        assert free.fen + held.fen == theirs[user_id], f"the wallet of {user_id} holds {free.fen} and {held.fen} fen"


async def recovered() -> Counter[UUID]:
    """Return what wallets have paid for recharges that came after a failure and were not taken back, by user."""
    found: Counter[UUID] = Counter()
    cases = await ManualCase.filter(state=CaseState.RESOLVED)
    taken_back = {
        case.attempt_id for case in cases if case.kind is CaseKind.REVERSAL and case.outcome is CaseOutcome.REVERSE
    }
    for case in cases:
        if case.outcome is CaseOutcome.FROM_WALLET and case.attempt_id not in taken_back:
            found[case.user_id] += case.amount_fen
    return found


async def conserve(world: World) -> None:
    """What the channels were paid is what arrived, what was paid back, and what is explained; to the fen, by them.

    Call it where nothing is under way any more. Explained are orders that the issuer has not ended, refunds that a
    channel cannot pay, and what lies in wallets or was paid out of them for a recharge that came after a refund.
    Raises AssertionError.
    """
    paid_fen = sum(trade.amount_fen for trade in _trades(world).values() if trade.transaction_id)
    paid_back_fen = paid_fen - sum(channel.held_fen for channel in world.channels)
    arrived_fen = stuck_fen = 0
    for order in await RechargeOrder.all():
        arrived_fen += order.price_fen if order.state is OrderState.SUCCEEDED else 0
        stuck_fen += order.price_fen if order.state is OrderState.RECHARGING else 0
    unpaid_fen = sum(refund.amount_fen for refund in await Refund.filter(state__not=RefundState.SUCCESS))
    users = [customer.viewer.user_id for customer in world.customers]
    in_wallets_fen = sum(free.fen + held.fen for free, held in await wallets(users))
    explained_fen = stuck_fen + unpaid_fen + in_wallets_fen + sum((await recovered()).values())
    assert paid_fen == arrived_fen + paid_back_fen + explained_fen, (
        f"{paid_fen} fen paid are {arrived_fen} arrived, {paid_back_fen} paid back and {explained_fen} explained"
    )
    booked = await balance(postings.TRANSIT)
    assert -booked.fen == stuck_fen, f"{-booked.fen} fen are booked as under way, and {stuck_fen} are"


def _trades(world: World) -> dict[str, Trade]:
    return {number: trade for channel in world.channels for number, trade in channel.trades.items()}
