"""Making certain that nobody can pay a merchant order any more."""

from __future__ import annotations

import contextlib

from domain.payments.deductions import witness_of
from domain.payments.ports import ChannelRefused, Channels, ChannelUnavailable, TradeFacts, TradeState
from models.payments import PaymentAttempt, WalletTopUp


async def made_unpayable(attempt: PaymentAttempt | WalletTopUp, channels: Channels) -> TradeFacts:
    """Query, close, and query again, and return facts that can no longer change unless it is paid.

    Raises ChannelUnavailable while the channel has not closed it, or ChannelRefused.
    """
    channel = witness_of(attempt, channels)
    facts = await channel.query(attempt.out_trade_no)
    if facts.state is not TradeState.UNPAID:
        return facts
    # Closing is refused where the payment came first; the query below says so.
    with contextlib.suppress(ChannelRefused):
        await channel.close(attempt.out_trade_no)
    facts = await channel.query(attempt.out_trade_no)
    if facts.state is TradeState.UNPAID:
        raise ChannelUnavailable("the channel has not closed the payment yet")
    return facts
