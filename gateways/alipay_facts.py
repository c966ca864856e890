"""What Alipay's documents say, in the payments room's words. Every reader raises Malformed.

Sources: Alipay's open platform, "alipay.trade.query", "alipay.trade.fastpay.refund.query" and "异步通知参数说明".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from domain.payments.ports import PAID_TRADES, ChannelRefundState, RefundFacts, TradeFacts, TradeState
from gateways.documents import AMOUNT_MAX_FEN, Document, Malformed, text, text_or_none
from kernel.clock import SHANGHAI
from kernel.money import Money

AMOUNT = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)
TIME = "%Y-%m-%d %H:%M:%S"

TRADE_STATES = {
    "WAIT_BUYER_PAY": TradeState.UNPAID,
    "TRADE_SUCCESS": TradeState.SUCCESS,
    # It is paid, and the time in which it could be refunded is over.
    "TRADE_FINISHED": TradeState.SUCCESS,
    "TRADE_CLOSED": TradeState.CLOSED,
}
# A refund query names no state where the refund is not done yet.
REFUND_DONE = "REFUND_SUCCESS"


@dataclass(frozen=True, slots=True)
class Merchant:
    """Whose documents these are: the app, and the seller who receives the money (its PID)."""

    app_id: str
    seller_id: str


def fen_of(value: str) -> int:
    """Return an amount that is written in yuan, such as `500.00`, in fen."""
    if not AMOUNT.fullmatch(value):
        raise Malformed("not an amount in yuan")
    fen = Money.from_yuan(Decimal(value)).fen
    if fen > AMOUNT_MAX_FEN:
        raise Malformed("an amount that is none of ours")
    return fen


def moment_of(value: str) -> datetime:
    """Return a time that is written in Asia/Shanghai without saying so, in UTC."""
    try:
        return datetime.strptime(value, TIME).replace(tzinfo=SHANGHAI).astimezone(UTC)
    except ValueError:
        raise Malformed("not a time") from None


def time_text(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).strftime(TIME)


def state_of(document: Mapping[str, object], *, paid_at: str) -> TradeState:
    """Return the state of a trade; `paid_at` names the field that holds when it was paid.

    TRADE_CLOSED is said of what was never paid and of what was paid and is refunded whole.
    """
    state = TRADE_STATES.get(str(document.get("trade_status")))
    if state is None:
        raise Malformed("an unknown trade_status")
    was_paid = bool(document.get(paid_at))
    if state is TradeState.CLOSED and was_paid:
        return TradeState.REFUNDED
    return state


def read_trade(document: Document, merchant: Merchant) -> TradeFacts:
    """Read the answer of `alipay.trade.query`. It names no merchant: an app is only told of its own trades."""
    state = state_of(document, paid_at="send_pay_date")
    paid_at = text_or_none(document, "send_pay_date")
    return TradeFacts(
        out_trade_no=text(document, "out_trade_no"),
        state=state,
        transaction_id=text(document, "trade_no"),
        amount_fen=fen_of(text(document, "total_amount")),
        app_id=merchant.app_id,
        mchid=merchant.seller_id,
        sub_mchid=merchant.seller_id,
        paid_at=moment_of(paid_at) if paid_at and state in PAID_TRADES else None,
    )


def read_trade_notice(form: Document) -> TradeFacts:
    state = state_of(form, paid_at="gmt_payment")
    paid_at, seller_id = text_or_none(form, "gmt_payment"), text(form, "seller_id")
    return TradeFacts(
        out_trade_no=text(form, "out_trade_no"),
        state=state,
        transaction_id=text(form, "trade_no"),
        amount_fen=fen_of(text(form, "total_amount")),
        app_id=text(form, "app_id"),
        mchid=seller_id,
        sub_mchid=seller_id,
        paid_at=moment_of(paid_at) if paid_at and state in PAID_TRADES else None,
    )


def read_refund(document: Document) -> RefundFacts:
    """Read the answer of a refund query. One that knows of no such refund holds neither a number nor an amount."""
    done = text_or_none(document, "refund_status") == REFUND_DONE
    return RefundFacts(
        out_trade_no=text(document, "out_trade_no"),
        out_refund_no=text(document, "out_request_no"),
        refund_id=text(document, "trade_no"),
        state=ChannelRefundState.SUCCESS if done else ChannelRefundState.PROCESSING,
        amount_fen=fen_of(text(document, "refund_amount")),
    )
