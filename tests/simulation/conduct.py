"""What the third parties of a simulation do of themselves, by the dice."""

from __future__ import annotations

from enum import StrEnum

from domain.cards.ports import IssuerOrderState
from domain.orders.notices import Facts
from domain.payments.ports import ChannelRefundState, TradeState
from tests.simulation.channels import ChannelRefund, PayerRefused, SimulatedChannel, Trade
from tests.simulation.fate import SeededFate
from tests.simulation.issuer import Recharge
from tests.simulation.world import Third, World

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S


class Telling(StrEnum):
    """When a callback is sent: as the next one, behind later ones, or never."""

    NEXT = "next"
    LAST = "last"
    NEVER = "never"


class Fortune(StrEnum):
    """How a recharge ends at the issuer, and how we hear of it."""

    AT_ONCE = "succeeds in the answer"
    SOON = "succeeds soon"
    SILENT = "succeeds without a callback"
    COMPENSATED = "is stuck until it is asked after for long"
    STUCK = "is stuck for longer than anybody asks"
    STUCK_FOR_GOOD = "is stuck for good"
    REFUSED_AT_ONCE = "is refused in the answer"
    REFUSED = "is refused soon"
    NOT_ACCEPTED = "is not accepted"
    NOT_ACCEPTED_LATER = "is not accepted after all"
    WORD_BROKEN = "is not accepted and succeeds after all"
    CORRECTED = "is refused and succeeds after all"
    CROSSING = "is refused and succeeds, told the other way round"
    REVERSED = "succeeds and is taken back"
    REVERSED_CROSSING = "succeeds and is taken back, told the other way round"
    CORRECTED_TWICE = "is refused, succeeds after all and is taken back"
    CROSSING_REVERSED = "is refused and succeeds, told the other way round, and is taken back"
    REVERSED_UNHEARD = "succeeds and is taken back before anybody hears of it"


FORTUNES = {
    Fortune.AT_ONCE: 12.0,
    Fortune.SOON: 50.0,
    Fortune.SILENT: 8.0,
    Fortune.COMPENSATED: 2.0,
    Fortune.STUCK: 1.0,
    Fortune.STUCK_FOR_GOOD: 0.5,
    Fortune.REFUSED_AT_ONCE: 3.0,
    Fortune.REFUSED: 8.0,
    Fortune.NOT_ACCEPTED: 6.0,
    Fortune.NOT_ACCEPTED_LATER: 2.0,
    Fortune.WORD_BROKEN: 2.0,
    Fortune.CORRECTED: 2.0,
    Fortune.CROSSING: 2.0,
    Fortune.REVERSED: 2.0,
    Fortune.REVERSED_CROSSING: 1.0,
    Fortune.REVERSED_UNHEARD: 1.0,
    Fortune.CORRECTED_TWICE: 1.0,
    Fortune.CROSSING_REVERSED: 1.0,
}
# What follows within seconds.
QUICK = {Fortune.CROSSING, Fortune.REVERSED_CROSSING, Fortune.REVERSED_UNHEARD, Fortune.CROSSING_REVERSED}
REFUND_FORTUNES = {"at once": 2.0, "soon": 6.0, "late": 1.0, "abnormal": 1.5, "abnormal for good": 0.5}


class Conduct(Third):
    """Refunds are settled, recharges end, and callbacks are sent: mostly soon, at times late, often or unordered."""

    def __init__(self, fate: SeededFate) -> None:
        self.fate = fate
        self.world: World

    def tell_paid(self, channel: SimulatedChannel, trade: Trade) -> None:
        """Send the callback of a payment."""
        self._tell(channel.name, channel.facts_of(trade.out_trade_no))

    def pay(self, channel: SimulatedChannel, prepay_id: str, *, late: bool = False) -> bool:
        """Let a payer pay, and return whether the channel let them."""
        try:
            trade = channel.pay(prepay_id, now=self.world.now, late=late)
        except PayerRefused:
            return False
        self.world.note(f"{channel.party} takes {trade.amount_fen} fen for {trade.out_trade_no}")
        self.tell_paid(channel, trade)
        return True

    def close(self, channel: SimulatedChannel, prepay_id: str) -> None:
        """Let a channel give up a payment of itself, as it may where it suspects something."""
        trade = channel.by_prepay_id[prepay_id]
        if trade.state is TradeState.UNPAID:
            trade.state = TradeState.CLOSED
            self.world.note(f"{channel.party} closes {trade.out_trade_no} of itself")

    def on_refund(self, channel: SimulatedChannel, refund: ChannelRefund) -> None:
        fortune = self.fate.pick(REFUND_FORTUNES)
        self.fate.counts[f"a refund is paid {fortune}"] += 1
        if fortune == "at once":
            channel.settle_refund(refund, ChannelRefundState.SUCCESS)
            self._tell(channel.name, channel.refund_facts_of(refund.out_refund_no))
            return

        async def settle() -> None:
            await self.world.timeline.sleep(self.fate.about({"late": HOUR_S / 4}.get(fortune, 20.0)))
            if fortune.startswith("abnormal"):
                self._tell(channel.name, channel.settle_refund(refund, ChannelRefundState.ABNORMAL))
                if fortune == "abnormal for good":
                    return
                await self.world.timeline.sleep(self.fate.about(4 * HOUR_S))
            self._tell(channel.name, channel.settle_refund(refund, ChannelRefundState.SUCCESS))
            self.world.note(f"{channel.party} has paid back {refund.out_refund_no}")

        self.world.timeline.start(settle, name=f"refund {refund.out_refund_no}")

    def on_submit(self, recharge: Recharge) -> None:
        fortune = self.fate.pick(FORTUNES)
        self.fate.counts[f"a recharge {fortune}"] += 1
        issuer = self.world.issuer_of(recharge)
        self.world.note(f"the issuer has accepted {recharge.attempt_id}, which {fortune}")
        if fortune is Fortune.AT_ONCE:
            self._tell(issuer.name, issuer.settle(recharge, IssuerOrderState.SUCCEEDED))
        elif fortune is Fortune.REFUSED_AT_ONCE:
            self._tell(issuer.name, issuer.settle(recharge, IssuerOrderState.REFUSED))
        elif fortune is Fortune.NOT_ACCEPTED:
            issuer.settle(recharge, IssuerOrderState.NOT_ACCEPTED)
        elif fortune is Fortune.WORD_BROKEN:
            issuer.settle(recharge, IssuerOrderState.NOT_ACCEPTED)
            self.world.timeline.start(lambda: self._play(recharge, fortune), name=f"recharge {recharge.attempt_id}")
        elif fortune is not Fortune.STUCK_FOR_GOOD:
            self.world.timeline.start(lambda: self._play(recharge, fortune), name=f"recharge {recharge.attempt_id}")

    async def _play(self, recharge: Recharge, fortune: Fortune) -> None:
        timeline, issuer = self.world.timeline, self.world.issuer_of(recharge)
        wait_s = {Fortune.COMPENSATED: HOUR_S / 3, Fortune.STUCK: DAY_S}.get(fortune, 0.0)
        await timeline.sleep(wait_s + self.fate.about(8.0))
        for index, (state, told) in enumerate(_course(fortune)):
            if index:
                await timeline.sleep(self.fate.about(10.0 if fortune in QUICK else HOUR_S / 2))
            facts = issuer.settle(recharge, state)
            self.world.note(f"the issuer has {state} {recharge.attempt_id}")
            if told is Telling.NEXT:
                self._tell(issuer.name, facts)
            elif told is Telling.LAST:
                self._tell(issuer.name, facts, after_s=60.0)

    def _tell(self, source: str, facts: Facts, *, after_s: float = 0.0) -> None:
        letter = self.world.post.write(source, facts)
        delay_s = after_s + self.fate.about(1.0)
        if not after_s and self.fate.chance(0.05, "a callback is hours late"):
            delay_s = self.fate.about(3 * HOUR_S)
        self.world.post.send(letter, after_s=delay_s)
        while self.fate.chance(0.15, "a callback comes again"):
            delay_s += self.fate.about(60.0)
            self.world.post.send(letter, after_s=delay_s)


def _course(fortune: Fortune) -> tuple[tuple[IssuerOrderState, Telling], ...]:
    """Return what the issuer does to a recharge, one after the other, and how it tells of each."""
    succeeded, refused, reversed_ = IssuerOrderState.SUCCEEDED, IssuerOrderState.REFUSED, IssuerOrderState.REVERSED
    return {
        Fortune.SILENT: ((succeeded, Telling.NEVER),),
        Fortune.REFUSED: ((refused, Telling.NEXT),),
        Fortune.NOT_ACCEPTED_LATER: ((IssuerOrderState.NOT_ACCEPTED, Telling.NEXT),),
        Fortune.CORRECTED: ((refused, Telling.NEXT), (succeeded, Telling.NEXT)),
        Fortune.CROSSING: ((refused, Telling.LAST), (succeeded, Telling.NEXT)),
        Fortune.REVERSED: ((succeeded, Telling.NEXT), (reversed_, Telling.NEXT)),
        Fortune.REVERSED_CROSSING: ((succeeded, Telling.LAST), (reversed_, Telling.NEXT)),
        Fortune.REVERSED_UNHEARD: ((succeeded, Telling.NEVER), (reversed_, Telling.NEXT)),
        Fortune.CORRECTED_TWICE: ((refused, Telling.NEXT), (succeeded, Telling.NEXT), (reversed_, Telling.NEXT)),
        Fortune.CROSSING_REVERSED: ((refused, Telling.LAST), (succeeded, Telling.NEXT), (reversed_, Telling.NEXT)),
    }.get(fortune, ((succeeded, Telling.NEXT),))
