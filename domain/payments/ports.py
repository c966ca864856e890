"""What the payments room asks of a payment channel. Amounts are fen, times are aware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from domain.payments.bills import BillLine
from kernel.states import PaymentMethod

if TYPE_CHECKING:
    from domain.payments.contracts import Contracts


class ChannelUnavailable(Exception):
    """No answer, or one that settles nothing: what was asked may or may not have happened."""


class ChannelRefused(Exception):
    """The channel answered explicitly that it did not do what was asked."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"{code}: {reason}")


class NoticeRefused(Exception):
    """A callback that is forged, altered, stale or unreadable; nothing of it may be used."""


class NoticeUndecided(Exception):
    """Whether a callback is true cannot be found out now; its sender must repeat it."""


class PayerCodeRefused(Exception):
    """The code that should say who pays is invalid, too old, or was used already."""


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
    """`openid` is who pays, as the channel knows them."""

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
class AlipayParameters:
    """What the mini-program hands to `my.tradePay`."""

    trade_no: str


ClientParameters = PaymentParameters | AlipayParameters


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

    @classmethod
    def not_found(cls, out_trade_no: str, *, app_id: str, mchid: str, sub_mchid: str) -> TradeFacts:
        """What a query says of a payment that the channel has never seen."""
        return cls(out_trade_no, TradeState.NOT_FOUND, None, 0, app_id, mchid, sub_mchid, None)


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

    @classmethod
    def not_found(cls, out_refund_no: str) -> RefundFacts:
        """What a query says of a refund that the channel has never seen."""
        return cls("", out_refund_no, None, ChannelRefundState.NOT_FOUND, 0)


class AbnormalRefundTo(StrEnum):
    """Where an abnormal refund goes (WeChat Pay's `type`)."""

    USER_BANK_CARD = "USER_BANK_CARD"
    MERCHANT_BANK_CARD = "MERCHANT_BANK_CARD"


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A user's bank card. `bank_type` is the channel's word for the bank, such as ICBC_DEBIT."""

    bank_type: str
    number: str = field(repr=False)
    holder: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AbnormalRefundRequest:
    """A refund that ended ABNORMAL. A bank card belongs to USER_BANK_CARD alone."""

    out_refund_no: str
    refund_id: str
    destination: AbnormalRefundTo
    account: BankAccount | None = None


@dataclass(frozen=True, slots=True)
class NoticeNonce:
    """What a sender may use once: its key's serial number and a nonce, with the digest of what it signed."""

    signer: str
    nonce: str
    body_digest: str

    @classmethod
    def of(cls, signer: str, nonce: str, body: bytes) -> NoticeNonce:
        return cls(signer, nonce, sha256(body).hexdigest())


@dataclass(frozen=True, slots=True)
class ChannelNotice:
    """A verified callback: its unique id, and exactly one kind of facts. `nonce` where the channel signs with one."""

    notice_id: str
    trade: TradeFacts | None
    refund: RefundFacts | None
    nonce: NoticeNonce | None = None


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

    async def payment_parameters(self, *, prepay_id: str, now: datetime) -> ClientParameters: ...

    async def query(self, out_trade_no: str) -> TradeFacts: ...

    async def close(self, out_trade_no: str) -> None:
        """Make the merchant order unpayable. Closing a closed or unknown one succeeds; a paid one is refused."""

    async def refund(self, request: RefundRequest) -> RefundFacts: ...

    async def query_refund(self, out_refund_no: str, *, out_trade_no: str | None = None) -> RefundFacts:
        """Ask how a refund stands. Alipay keeps refunds by their payment, so it must be told `out_trade_no`."""

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        """Verify, decrypt and read a callback. Raises NoticeRefused or NoticeUndecided."""

    async def fetch_bill(self, *, day: date, into: Path) -> None: ...

    def read_bill(self, path: Path) -> Iterator[BillLine]: ...


@runtime_checkable
class PaysAbnormalRefunds(Protocol):
    """A channel that can be told where else to pay a refund that ended ABNORMAL."""

    async def apply_abnormal_refund(self, request: AbnormalRefundRequest) -> RefundFacts:
        """Begin it; the refund is PROCESSING again. Raises ChannelUnavailable or ChannelRefused."""


class PayerCodes(Protocol):
    """Who a user is at a channel, in the channel's own word; what a client claims is never looked at."""

    async def payer_of(self, code: str) -> str:
        """Exchange a code of the user once for their id. Raises PayerCodeRefused or ChannelUnavailable."""


class UnknownChannel(Exception):
    """An attempt names a channel or a merchant that this deployment does not have any more."""


# The channel behind each way to pay. The wallet has none.
CHANNEL_OF = {PaymentMethod.WECHAT_PAY: "wechat_pay", PaymentMethod.ALIPAY: "alipay"}


@dataclass(frozen=True, slots=True)
class Line:
    """One address of one merchant, under the name by which everybody knows how it is."""

    name: str
    channel: PaymentChannel


@dataclass(frozen=True, slots=True)
class Channels:
    """The routes of this deployment in the order in which they are tried; there is at least one.

    A route is a merchant. One that has a second address stands twice, and the second one comes into play where health
    is watched (see `watching`). `alipay_payers` is None where Alipay is not offered, and `contracts` where nothing is
    deducted by contract.
    """

    routes: tuple[PaymentChannel, ...]
    alipay_payers: PayerCodes | None = None
    contracts: Contracts | None = None

    @property
    def main(self) -> PaymentChannel:
        return self.routes[0]

    @property
    def merchants(self) -> tuple[PaymentChannel, ...]:
        """The routes, each merchant by its first address."""
        first: dict[str, PaymentChannel] = {}
        for route in self.routes:
            first.setdefault(merchant_name(route), route)
        return tuple(first.values())

    def of(self, *, name: str, sub_mchid: str) -> PaymentChannel:
        """Return the route by which an attempt was made. Raises UnknownChannel."""
        for route in self.routes:
            if (route.name, route.sub_mchid) == (name, sub_mchid):
                return route
        raise UnknownChannel(f"{name}:{sub_mchid}")

    def by(self, methods: Sequence[PaymentMethod]) -> tuple[PaymentChannel, ...]:
        """Return the merchants that one of the methods pays, in the order of the methods and then of the routes."""
        wanted = [CHANNEL_OF[method] for method in methods if method in CHANNEL_OF]
        return tuple(route for name in wanted for route in self.merchants if route.name == name)


def merchant_name(route: PaymentChannel) -> str:
    return f"{route.name}:{route.sub_mchid}"
