"""WeChat Pay API v3 in partner (服务商) mode, for mini-programs.

Sources: WeChat Pay's partner documentation, "JSAPI下单", "商户订单号查询订单", "关闭订单", "退款申请", "查询单笔退款",
"发起异常退款", "小程序调起支付"; for callbacks "支付通知" and "退款结果通知".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from domain.payments.bills import BillLine
from domain.payments.ports import (
    AbnormalRefundRequest,
    ChannelNotice,
    ChannelRefundState,
    NoticeRefused,
    PaymentParameters,
    PrepayRequest,
    RefundFacts,
    RefundRequest,
    TradeFacts,
    TradeState,
)
from gateways.documents import Malformed, text
from gateways.exchange import Answer
from gateways.signing import fresh_nonce
from gateways.wechat_pay_bills import WeChatPayBills, read_bill
from gateways.wechat_pay_facts import read_refund, read_refund_notice, read_trade
from gateways.wechat_pay_wire import Envelope, WeChatPayWire
from kernel.clock import SHANGHAI

TRADES = "/v3/pay/partner/transactions"
REFUNDS = "/v3/refund/domestic/refunds"
DESCRIPTION_LENGTH_MAX = 127
REASON_LENGTH_MAX = 80
NOT_FOUND = 404
PAID_EVENT = "TRANSACTION.SUCCESS"
REFUND_EVENTS = {
    "REFUND.SUCCESS": ChannelRefundState.SUCCESS,
    "REFUND.ABNORMAL": ChannelRefundState.ABNORMAL,
    "REFUND.CLOSED": ChannelRefundState.ABNORMAL,
}
# The documentation spells two of them in two ways.
UNKNOWN_TRADE_CODES = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"})
UNKNOWN_REFUND_CODES = frozenset({"RESOURCE_NOT_EXISTS"})
CLOSED_CODES = frozenset({"ORDER_CLOSED", "ORDERCLOSED"})


def trade_path(out_trade_no: str, *, mchid: str, sub_mchid: str) -> str:
    """Where a transaction is asked for by our number, a payment and a deduction alike ("商户订单号查询订单")."""
    return f"{TRADES}/out-trade-no/{quote(out_trade_no, safe='')}?sp_mchid={mchid}&sub_mchid={sub_mchid}"


class WeChatPay:
    """Implements `domain.payments.ports.PaymentChannel`.

    Every request is idempotent by its own number (`out_trade_no`, `out_refund_no`), so lost ones are sent again within
    the wire's budget. An answer counts only with the platform's signature: refusals carry it too, except where
    our own signature was not accepted, and that settles nothing.

    A route is one sub-merchant. All routes share the keys and the address for callbacks, so each opens the notices of
    every one in `sub_mchids`.
    """

    name = "wechat_pay"

    def __init__(
        self,
        *,
        wire: WeChatPayWire,
        bills: WeChatPayBills,
        app_id: str,
        sub_mchid: str,
        sub_mchids: frozenset[str],
        notify_url: str,
    ) -> None:
        self.app_id, self.mchid, self.sub_mchid = app_id, wire.mchid, sub_mchid
        self._wire, self._bills = wire, bills
        self._notify_url, self._sub_mchids = notify_url, sub_mchids

    async def prepay(self, request: PrepayRequest) -> str:
        """Create the merchant order, or find it again unchanged, and return its prepay id (valid for two hours)."""
        body = {
            "sp_appid": self.app_id,
            "sp_mchid": self.mchid,
            "sub_mchid": self.sub_mchid,
            "description": request.description[:DESCRIPTION_LENGTH_MAX],
            "out_trade_no": request.out_trade_no,
            "time_expire": request.expires_at.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            "notify_url": self._notify_url,
            "amount": {"total": request.amount_fen, "currency": "CNY"},
            "payer": {"sp_openid": request.openid},
        }
        answer = await self._wire.ask("prepay", "POST", f"{TRADES}/jsapi", body)
        self._wire.raise_if_refused("prepay", answer)
        return self._wire.read("prepay", answer, lambda document: text(document, "prepay_id"))

    async def payment_parameters(self, *, prepay_id: str, now: datetime) -> PaymentParameters:
        time_stamp, nonce, package = str(int(now.timestamp())), fresh_nonce(), f"prepay_id={prepay_id}"
        return PaymentParameters(
            app_id=self.app_id,
            time_stamp=time_stamp,
            nonce_str=nonce,
            package=package,
            sign_type="RSA",
            pay_sign=await self._wire.signed(self.app_id, time_stamp, nonce, package),
        )

    async def query(self, out_trade_no: str) -> TradeFacts:
        path = trade_path(out_trade_no, mchid=self.mchid, sub_mchid=self.sub_mchid)
        answer = await self._wire.ask("query", "GET", path, None)
        if answer.status == NOT_FOUND and self._wire.code(answer) in UNKNOWN_TRADE_CODES:
            return TradeFacts.not_found(out_trade_no, app_id=self.app_id, mchid=self.mchid, sub_mchid=self.sub_mchid)
        self._wire.raise_if_refused("query", answer)
        facts = self._wire.read("query", answer, read_trade)
        self._wire.assert_about("query", asked=out_trade_no, answered=facts.out_trade_no)
        return facts

    async def close(self, out_trade_no: str) -> None:
        """Make the merchant order unpayable. A paid one raises ChannelRefused with the code ORDERPAID."""
        body = {"sp_mchid": self.mchid, "sub_mchid": self.sub_mchid}
        answer = await self._wire.ask(
            "close", "POST", f"{TRADES}/out-trade-no/{quote(out_trade_no, safe='')}/close", body
        )
        if answer.refused and self._wire.code(answer) in UNKNOWN_TRADE_CODES | CLOSED_CODES:
            return
        self._wire.raise_if_refused("close", answer)

    async def refund(self, request: RefundRequest) -> RefundFacts:
        body = {
            "sub_mchid": self.sub_mchid,
            "out_trade_no": request.out_trade_no,
            "out_refund_no": request.out_refund_no,
            "reason": request.reason[:REASON_LENGTH_MAX],
            "notify_url": self._notify_url,
            "amount": {"refund": request.amount_fen, "total": request.total_fen, "currency": "CNY"},
        }
        answer = await self._wire.ask("refund", "POST", REFUNDS, body)
        return self._refund_in("refund", answer, request.out_refund_no)

    async def query_refund(self, out_refund_no: str, *, out_trade_no: str | None = None) -> RefundFacts:
        path = f"{REFUNDS}/{quote(out_refund_no, safe='')}?sub_mchid={self.sub_mchid}"
        answer = await self._wire.ask("query_refund", "GET", path, None)
        if answer.status == NOT_FOUND and self._wire.code(answer) in UNKNOWN_REFUND_CODES:
            return RefundFacts.not_found(out_refund_no)
        return self._refund_in("query_refund", answer, out_refund_no)

    async def apply_abnormal_refund(self, request: AbnormalRefundRequest) -> RefundFacts:
        """Ask again for a refund that ended ABNORMAL, to where the money can go. Repeating it changes nothing."""
        body: dict[str, Any] = {
            "sub_mchid": self.sub_mchid,
            "out_refund_no": request.out_refund_no,
            "type": request.destination,
        }
        serial = ""
        if request.account is not None:
            serial, sealed = await self._wire.encrypted(
                {"bank_account": request.account.number, "real_name": request.account.holder}
            )
            body |= {"bank_type": request.account.bank_type, **sealed}
        path = f"{REFUNDS}/{quote(request.refund_id, safe='')}/apply-abnormal-refund"
        answer = await self._wire.ask("abnormal_refund", "POST", path, body, serial=serial)
        return self._refund_in("abnormal_refund", answer, request.out_refund_no)

    def _refund_in(self, operation: str, answer: Answer, out_refund_no: str) -> RefundFacts:
        self._wire.raise_if_refused(operation, answer)
        facts = self._wire.read(operation, answer, read_refund)
        self._wire.assert_about(operation, asked=out_refund_no, answered=facts.out_refund_no)
        return facts

    async def fetch_bill(self, *, day: date, into: Path) -> None:
        await self._bills.fetch(day=day, into=into)

    def read_bill(self, path: Path) -> Iterator[BillLine]:
        return read_bill(path, sub_mchids=frozenset({self.sub_mchid}))

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        """Verify, decrypt and read a callback, whichever of our sub-merchants it tells of.

        The same delivery opens to the same `notice_id` every time; whoever stores notices uniquely by it is safe from
        replays, WeChat Pay's own repetitions included. Raises NoticeRefused or NoticeUndecided.
        """
        envelope = await self._wire.open(headers=headers, body=body, now=now)
        try:
            return self._read_notice(envelope)
        except Malformed as error:
            raise NoticeRefused(str(error)) from None

    def _read_notice(self, envelope: Envelope) -> ChannelNotice:
        notice_id, event, document = envelope.notice_id, envelope.event, envelope.document
        if event == PAID_EVENT:
            trade = read_trade(document)
            if trade.state is not TradeState.SUCCESS:
                raise Malformed("a payment notice that is not about a payment")
            return ChannelNotice(notice_id=notice_id, trade=trade, refund=None, nonce=envelope.nonce)
        if event in REFUND_EVENTS:
            if text(document, "sp_mchid") != self.mchid or text(document, "sub_mchid") not in self._sub_mchids:
                raise Malformed("a refund of another merchant")
            refund = read_refund_notice(document)
            if refund.state is not REFUND_EVENTS[event]:
                raise Malformed("a refund notice that contradicts itself")
            return ChannelNotice(notice_id=notice_id, trade=None, refund=refund, nonce=envelope.nonce)
        raise Malformed("an unknown event")
