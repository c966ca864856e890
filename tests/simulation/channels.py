"""A payment channel with books of its own, which are honest whatever happens on the way to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from domain.payments.bills import BillLine, BillLineKind
from domain.payments.ports import (
    AlipayParameters,
    ChannelNotice,
    ChannelRefundState,
    ChannelRefused,
    ChannelUnavailable,
    ClientParameters,
    NoticeRefused,
    PayerCodeRefused,
    PaymentParameters,
    PrepayRequest,
    RefundFacts,
    RefundRequest,
    TradeFacts,
    TradeState,
)
from tests.simulation.network import Network

NAME = "wechat_pay"
ALIPAY = "alipay"
APP_ID = "wx-simulated"
MCHID = "1900000109"

T = TypeVar("T")
BILL = TypeAdapter(list[BillLine])


class PayerRefused(Exception):
    """The channel lets nobody pay this any more."""


@dataclass
class Trade:
    """A merchant order. `openid` is whoever pays."""

    out_trade_no: str
    amount_fen: int
    openid: str
    expires_at: datetime
    prepay_id: str
    state: TradeState = TradeState.UNPAID
    transaction_id: str | None = None
    paid_at: datetime | None = None


@dataclass
class ChannelRefund:
    out_trade_no: str
    out_refund_no: str
    refund_id: str
    amount_fen: int
    state: ChannelRefundState = ChannelRefundState.PROCESSING


class SimulatedChannel:
    """Implements `PaymentChannel`. It moves money only where a payer pays or a refund is settled.

    `on_refund` decides what becomes of a new refund. A channel that is not `careful` pays back more than came in,
    where it is asked to.
    """

    app_id = APP_ID
    mchid = MCHID

    def __init__(
        self,
        sub_mchid: str,
        network: Network,
        *,
        name: str = NAME,
        on_refund: Callable[[SimulatedChannel, ChannelRefund], None],
        careful: bool = True,
    ) -> None:
        self.name, self.sub_mchid = name, sub_mchid
        self.trades: dict[str, Trade] = {}
        self.refunds: dict[str, ChannelRefund] = {}
        self.by_prepay_id: dict[str, Trade] = {}
        self.careful = careful
        self.refuses = False
        self._network, self._on_refund = network, on_refund

    @property
    def party(self) -> str:
        return f"{self.name}:{self.sub_mchid}"

    @property
    def held_fen(self) -> int:
        """What the channel holds for us: what was paid less what was paid back."""
        paid = sum(trade.amount_fen for trade in self.trades.values() if trade.transaction_id)
        return paid - sum(refund.amount_fen for refund in self.refunds.values() if _is_done(refund))

    def paid_back_fen(self, out_trade_no: str) -> int:
        found = (refund for refund in self.refunds.values() if refund.out_trade_no == out_trade_no)
        return sum(refund.amount_fen for refund in found if _is_done(refund))

    async def prepay(self, request: PrepayRequest) -> str:
        return await self._ask("prepay", lambda: self._prepay(request))

    async def query(self, out_trade_no: str) -> TradeFacts:
        return await self._ask("query", lambda: self.facts_of(out_trade_no))

    async def close(self, out_trade_no: str) -> None:
        await self._ask("close", lambda: self._close(out_trade_no))

    async def refund(self, request: RefundRequest) -> RefundFacts:
        return await self._ask("refund", lambda: self._refund(request))

    async def query_refund(self, out_refund_no: str, *, out_trade_no: str | None = None) -> RefundFacts:
        return await self._ask("query refund", lambda: self.refund_facts_of(out_refund_no))

    async def payment_parameters(self, *, prepay_id: str, now: datetime) -> ClientParameters:
        if self.name == ALIPAY:
            return AlipayParameters(prepay_id)
        return PaymentParameters(self.app_id, str(int(now.timestamp())), "nonce", prepay_id, "RSA", "signature")

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        raise NoticeRefused("notices come as facts here")

    async def fetch_bill(self, *, day: date, into: Path) -> None:
        """Write the payments and refunds of a day in UTC, one a line, as `read_bill` reads them."""
        lines = await self._ask("bill", lambda: [line for line in self._bill_lines() if line.occurred_at.date() == day])
        await asyncio.to_thread(into.write_bytes, BILL.dump_json(lines))

    def read_bill(self, path: Path) -> Iterator[BillLine]:
        yield from BILL.validate_json(path.read_bytes())

    def _bill_lines(self) -> Iterator[BillLine]:
        for trade in self.trades.values():
            if trade.transaction_id and trade.paid_at:
                yield self._bill_line(BillLineKind.PAYMENT, trade, None)
        for refund in self.refunds.values():
            if _is_done(refund):
                yield self._bill_line(BillLineKind.REFUND, self.trades[refund.out_trade_no], refund)

    def _bill_line(self, kind: BillLineKind, trade: Trade, refund: ChannelRefund | None) -> BillLine:
        assert trade.transaction_id is not None
        assert trade.paid_at is not None
        return BillLine(
            kind=kind,
            out_trade_no=trade.out_trade_no,
            transaction_id=trade.transaction_id,
            out_refund_no=refund.out_refund_no if refund else None,
            refund_id=refund.refund_id if refund else None,
            sub_mchid=self.sub_mchid,
            state="SUCCESS",
            amount_fen=refund.amount_fen if refund else trade.amount_fen,
            fee_fen=0,
            occurred_at=trade.paid_at,
        )

    def pay(self, prepay_id: str, *, now: datetime, late: bool = False) -> Trade:
        """Take the payer's money. `late` pays what is closed or expired too, as a bank does that was slow.

        Raises PayerRefused.
        """
        trade = self.by_prepay_id.get(prepay_id)
        if trade is None or trade.transaction_id:
            raise PayerRefused("there is nothing to pay")
        if not late and (trade.state is not TradeState.UNPAID or now >= trade.expires_at):
            raise PayerRefused("it is too late")
        trade.state = TradeState.SUCCESS
        trade.transaction_id = f"T{trade.out_trade_no}"
        trade.paid_at = now
        return trade

    def settle_refund(self, refund: ChannelRefund, state: ChannelRefundState) -> RefundFacts:
        """Bring a refund to SUCCESS or ABNORMAL; what is paid back stays paid back."""
        if not _is_done(refund):
            refund.state = state
        return self.refund_facts_of(refund.out_refund_no)

    def facts_of(self, out_trade_no: str) -> TradeFacts:
        trade = self.trades.get(out_trade_no)
        return TradeFacts(
            out_trade_no=out_trade_no,
            state=trade.state if trade else TradeState.NOT_FOUND,
            transaction_id=trade.transaction_id if trade else None,
            amount_fen=trade.amount_fen if trade else 0,
            app_id=self.app_id,
            mchid=self.mchid,
            sub_mchid=self.sub_mchid,
            paid_at=trade.paid_at if trade else None,
        )

    def refund_facts_of(self, out_refund_no: str) -> RefundFacts:
        refund = self.refunds.get(out_refund_no)
        if refund is None:
            return RefundFacts("", out_refund_no, None, ChannelRefundState.NOT_FOUND, 0)
        return RefundFacts(refund.out_trade_no, out_refund_no, refund.refund_id, refund.state, refund.amount_fen)

    async def _ask(self, operation: str, effect: Callable[[], T]) -> T:
        return await self._network.ask(self.party, operation, effect, lost=ChannelUnavailable)

    def _prepay(self, request: PrepayRequest) -> str:
        if self.refuses:
            raise ChannelRefused("RULE_LIMIT", "the channel does not want this payment")
        trade = self.trades.get(request.out_trade_no)
        if trade is None:
            trade = Trade(
                request.out_trade_no,
                request.amount_fen,
                request.openid,
                request.expires_at,
                prepay_id=f"wx{self.sub_mchid}-{request.out_trade_no}",
            )
            self.trades[trade.out_trade_no] = self.by_prepay_id[trade.prepay_id] = trade
        elif trade.state is not TradeState.UNPAID:
            raise ChannelRefused("ORDER_CLOSED" if trade.state is TradeState.CLOSED else "ORDERPAID", "")
        elif (trade.amount_fen, trade.openid, trade.expires_at) != (
            request.amount_fen,
            request.openid,
            request.expires_at,
        ):
            raise ChannelRefused("OUT_TRADE_NO_USED", "")
        return trade.prepay_id

    def _close(self, out_trade_no: str) -> None:
        trade = self.trades.get(out_trade_no)
        if trade is not None and trade.transaction_id:
            raise ChannelRefused("ORDERPAID", "")
        if trade is not None:
            trade.state = TradeState.CLOSED

    def _refund(self, request: RefundRequest) -> RefundFacts:
        known = self.refunds.get(request.out_refund_no)
        if known is None:
            trade = self.trades.get(request.out_trade_no)
            if trade is None or not trade.transaction_id or request.total_fen != trade.amount_fen:
                raise ChannelRefused("INVALID_REQUEST", "")
            asked = sum(each.amount_fen for each in self.refunds.values() if each.out_trade_no == trade.out_trade_no)
            if self.refuses or (self.careful and asked + request.amount_fen > trade.amount_fen):
                raise ChannelRefused("NOT_ENOUGH", "")
            known = ChannelRefund(
                request.out_trade_no, request.out_refund_no, f"503{request.out_refund_no}", request.amount_fen
            )
            self.refunds[known.out_refund_no] = known
            trade.state = TradeState.REFUNDED
            self._on_refund(self, known)
        elif (known.out_trade_no, known.amount_fen) != (request.out_trade_no, request.amount_fen):
            raise ChannelRefused("INVALID_REQUEST", "")
        return self.refund_facts_of(known.out_refund_no)


def prepay_id_of(parameters: ClientParameters) -> str:
    """Return what a payer pays by, of whichever channel."""
    return parameters.trade_no if isinstance(parameters, AlipayParameters) else parameters.package


class SimulatedPayers:
    """Implements `PayerCodes`: a code is the payer's own name and a number, and is good once."""

    def __init__(self, network: Network) -> None:
        self._network, self._used = network, set[str]()

    async def payer_of(self, code: str) -> str:
        return await self._network.ask(ALIPAY, "payer", lambda: self._payer_of(code), lost=ChannelUnavailable)

    def _payer_of(self, code: str) -> str:
        if code in self._used:
            raise PayerCodeRefused
        self._used.add(code)
        return f"{ALIPAY} {code.partition(' ')[0]}"


def _is_done(refund: ChannelRefund) -> bool:
    return refund.state is ChannelRefundState.SUCCESS
