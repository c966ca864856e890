"""Deductions by contract in the words of payments, so that what settles a payment settles a deduction as well."""

from __future__ import annotations

from domain.payments.contracts import DEDUCTED, Contracts, DeductionFacts, DeductionState
from domain.payments.ports import (
    ChannelRefused,
    Channels,
    PaymentChannel,
    TradeFacts,
    TradeState,
    UnknownChannel,
)
from models.payments import PaymentAttempt, WalletTopUp

TRADE_STATES = {
    DeductionState.NOT_FOUND: TradeState.NOT_FOUND,
    DeductionState.PROCESSING: TradeState.UNPAID,
    DeductionState.SUCCESS: TradeState.SUCCESS,
    DeductionState.REFUNDED: TradeState.REFUNDED,
    DeductionState.FAILED: TradeState.CLOSED,
}


class ByContract:
    """How a deduction stands. There is no way to close one that was accepted: it ends by itself."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts

    async def query(self, out_trade_no: str) -> TradeFacts:
        return as_trade(await self._contracts.query_deduction(out_trade_no))

    async def close(self, out_trade_no: str) -> None:
        raise ChannelRefused("DEDUCTION_NOT_CLOSABLE", f"{out_trade_no} ends by itself")


def as_trade(facts: DeductionFacts) -> TradeFacts:
    return TradeFacts(
        out_trade_no=facts.out_trade_no,
        state=TRADE_STATES[facts.state],
        transaction_id=facts.transaction_id if facts.state in DEDUCTED else None,
        amount_fen=facts.amount_fen,
        app_id=facts.app_id,
        mchid=facts.mchid,
        sub_mchid=facts.sub_mchid,
        paid_at=facts.paid_at,
    )


def witness_of(attempt: PaymentAttempt | WalletTopUp, channels: Channels) -> PaymentChannel | ByContract:
    """Return who can say how an attempt stands. Raises UnknownChannel."""
    if isinstance(attempt, PaymentAttempt) and attempt.mandate_id:
        return ByContract(contracts_of(attempt, channels))
    return channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)


def contracts_of(attempt: PaymentAttempt, channels: Channels) -> Contracts:
    """Return the contracts by which a deduction was asked for. Raises UnknownChannel."""
    contracts = channels.contracts
    if contracts is None or (contracts.name, contracts.sub_mchid) != (attempt.channel, attempt.sub_mchid):
        raise UnknownChannel(f"contracts of {attempt.channel}:{attempt.sub_mchid}")
    return contracts
