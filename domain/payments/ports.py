"""What the payments room asks of a payment channel. Amounts are fen, times are aware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ChannelUnavailable(Exception):
    """No answer, or one that settles nothing: what was asked may or may not have happened."""


class ChannelRefused(Exception):
    """The channel answered explicitly that it did not do what was asked."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"{code}: {reason}")


class NoticeRefused(Exception):
    """A callback that is forged, altered, stale or unreadable; nothing of it may be used."""


class TradeState(StrEnum):
    """The channel's word on one merchant order (WeChat Pay's `trade_state`, reduced).

    REFUNDED was paid, and all or some of the money is on its way back.
    """

    NOT_FOUND = "NOT_FOUND"
    UNPAID = "UNPAID"
    SUCCESS = "SUCCESS"
    REFUNDED = "REFUNDED"
    CLOSED = "CLOSED"


PAID_TRADES = frozenset({TradeState.SUCCESS, TradeState.REFUNDED})


class ChannelRefundState(StrEnum):
    NOT_FOUND = "NOT_FOUND"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    ABNORMAL = "ABNORMAL"


@dataclass(frozen=True, slots=True)
class PrepayRequest:
    out_trade_no: str
    amount_fen: int
    description: str
    openid: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentParameters:
    """What the mini-program hands to `wx.requestPayment`, in that function's own names."""

    app_id: str
    time_stamp: str
    nonce_str: str
    package: str
    sign_type: str
    pay_sign: str


@dataclass(frozen=True, slots=True)
class TradeFacts:
    """What a verified callback or a query says of a payment. `transaction_id` is set when paid."""

    out_trade_no: str
    state: TradeState
    transaction_id: str | None
    amount_fen: int
    app_id: str
    mchid: str
    sub_mchid: str
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """`out_refund_no` is the channel's idempotency key and never changes for one refund."""

    out_trade_no: str
    out_refund_no: str
    amount_fen: int
    total_fen: int
    reason: str


@dataclass(frozen=True, slots=True)
class RefundFacts:
    out_trade_no: str
    out_refund_no: str
    refund_id: str | None
    state: ChannelRefundState
    amount_fen: int


@dataclass(frozen=True, slots=True)
class ChannelNotice:
    """A verified callback: its unique id, and exactly one kind of facts."""

    notice_id: str
    trade: TradeFacts | None
    refund: RefundFacts | None


class PaymentChannel(Protocol):
    """One route to pay by: a channel and the merchant that receives.

    Every coroutine raises ChannelUnavailable or ChannelRefused.
    """

    @property
    def name(self) -> str: ...

    @property
    def app_id(self) -> str: ...

    @property
    def mchid(self) -> str: ...

    @property
    def sub_mchid(self) -> str: ...

    async def prepay(self, request: PrepayRequest) -> str:
        """Create the merchant order, or find it again unchanged, and return its prepay id."""

    def payment_parameters(self, *, prepay_id: str, now: datetime) -> PaymentParameters: ...

    async def query(self, out_trade_no: str) -> TradeFacts: ...

    async def close(self, out_trade_no: str) -> None:
        """Make the merchant order unpayable. Closing a closed or unknown one succeeds; a paid one is refused."""

    async def refund(self, request: RefundRequest) -> RefundFacts: ...

    async def query_refund(self, out_refund_no: str) -> RefundFacts: ...

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        """Verify, decrypt and read a callback. Raises NoticeRefused."""


class UnknownChannel(Exception):
    """An attempt names a channel or a merchant that this deployment does not have any more."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The routes of this deployment in the order in which they are tried; there is at least one."""

    routes: tuple[PaymentChannel, ...]

    @property
    def main(self) -> PaymentChannel:
        return self.routes[0]

    def of(self, *, name: str, sub_mchid: str) -> PaymentChannel:
        """Return the route by which an attempt was made. Raises UnknownChannel."""
        for route in self.routes:
            if (route.name, route.sub_mchid) == (name, sub_mchid):
                return route
        raise UnknownChannel(f"{name}:{sub_mchid}")

    def after(self, channel: PaymentChannel) -> PaymentChannel | None:
        """Return the route to try where this one fails, or None behind the last."""
        rest = self.routes[self.routes.index(channel) + 1 :]
        return rest[0] if rest else None
