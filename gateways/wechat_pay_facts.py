"""What WeChat Pay's documents say, in the payments room's words. Every reader raises Malformed."""

from __future__ import annotations

from domain.payments.ports import PAID_TRADES, ChannelRefundState, RefundFacts, TradeFacts, TradeState
from gateways.documents import Document, Malformed, child, fen, moment_or_none, text, text_or_none

CURRENCY = "CNY"

TRADE_STATES = {
    "NOTPAY": TradeState.UNPAID,
    "USERPAYING": TradeState.UNPAID,
    "ACCEPT": TradeState.UNPAID,
    "PAYERROR": TradeState.UNPAID,
    "SUCCESS": TradeState.SUCCESS,
    # 转入退款: it was paid, and a refund of it has begun.
    "REFUND": TradeState.REFUNDED,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
}

REFUND_STATES = {
    "PROCESSING": ChannelRefundState.PROCESSING,
    "SUCCESS": ChannelRefundState.SUCCESS,
    "ABNORMAL": ChannelRefundState.ABNORMAL,
    # 退款关闭: the money did not go back, which somebody has to look at.
    "CLOSED": ChannelRefundState.ABNORMAL,
}


def read_trade(document: Document) -> TradeFacts:
    """Read a payment, of a query or of a callback. Only a paid one must name its amount and transaction."""
    state = TRADE_STATES.get(text(document, "trade_state"))
    if state is None:
        raise Malformed("an unknown trade_state")
    paid = state in PAID_TRADES
    return TradeFacts(
        out_trade_no=text(document, "out_trade_no"),
        state=state,
        transaction_id=text(document, "transaction_id") if paid else text_or_none(document, "transaction_id"),
        amount_fen=_amount(document, "total") if paid or "amount" in document else 0,
        app_id=text(document, "sp_appid"),
        mchid=text(document, "sp_mchid"),
        sub_mchid=text(document, "sub_mchid"),
        paid_at=moment_or_none(document, "success_time") if paid else None,
    )


def read_refund(document: Document) -> RefundFacts:
    return _refund(document, "status")


def read_refund_notice(document: Document) -> RefundFacts:
    """Read the decrypted part of a refund callback, which names the state differently and cannot be PROCESSING."""
    return _refund(document, "refund_status")


def _refund(document: Document, state_name: str) -> RefundFacts:
    state = REFUND_STATES.get(text(document, state_name))
    if state is None:
        raise Malformed(f"an unknown {state_name}")
    return RefundFacts(
        out_trade_no=text(document, "out_trade_no"),
        out_refund_no=text(document, "out_refund_no"),
        refund_id=text(document, "refund_id"),
        state=state,
        amount_fen=_amount(document, "refund"),
    )


def _amount(document: Document, name: str) -> int:
    amount = child(document, "amount")
    if amount.get("currency", CURRENCY) != CURRENCY:
        raise Malformed("another currency")
    return fen(amount, name)
