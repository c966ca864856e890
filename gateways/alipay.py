"""Alipay for its mini-programs (小程序支付): a trade is made for a known buyer and paid with `my.tradePay`.

Sources: Alipay's open platform, "alipay.trade.create", "alipay.trade.query", "alipay.trade.close",
"alipay.trade.refund", "alipay.trade.fastpay.refund.query", "alipay.system.oauth.token" and "异步通知说明".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from domain.payments.bills import BillLine
from domain.payments.ports import (
    AlipayParameters,
    ChannelNotice,
    ChannelRefundState,
    ChannelRefused,
    NoticeRefused,
    PayerCodeRefused,
    PrepayRequest,
    RefundFacts,
    RefundRequest,
    TradeFacts,
    TradeState,
)
from gateways.alipay_bills import AlipayBills
from gateways.alipay_facts import (
    Merchant,
    fen_of,
    moment_of,
    read_refund,
    read_trade,
    read_trade_notice,
    time_text,
)
from gateways.alipay_gateway import ERROR_NODE, AlipayGateway, text_of
from gateways.alipay_signing import SIGN_TYPE, UNSIGNED_OF_NOTICES, read_form, signed_text
from gateways.documents import Document, Malformed, text
from gateways.signing import is_signed_by
from kernel.money import Money

CREATE, QUERY, CLOSE = "alipay.trade.create", "alipay.trade.query", "alipay.trade.close"
REFUND, REFUND_QUERY = "alipay.trade.refund", "alipay.trade.fastpay.refund.query"
CODE_EXCHANGE = "alipay.system.oauth.token"
PRODUCT = "JSAPI_PAY"
SUBJECT_LENGTH_MAX = 256
REASON_LENGTH_MAX = 256
NOTICE_ID_LENGTH_MAX = 64
PAYER_LENGTH_MAX = 64
CODE_LENGTH_MAX = 128
# A user id (PID) of Alipay; newer apps are given an open id instead, which goes by another name.
USER_ID = re.compile(r"2088\d{12}", re.ASCII)
UNKNOWN_TRADE = "ACQ.TRADE_NOT_EXIST"
# Closing answers this of a trade that is closed and of one that is paid; only a query tells them apart.
WRONG_STATE = "ACQ.TRADE_STATUS_ERROR"
UNKNOWN_REFUNDS = frozenset({UNKNOWN_TRADE, "TRADE_NOT_EXIST", "ACQ.REFUND_NOT_EXIST"})
# 40002 with these: the code of `my.getAuthCode` is wrong, used or too old.
CODE_REFUSALS = frozenset({"isv.code-invalid", "isv.grant-type-invalid"})

T = TypeVar("T")


class Alipay:
    """Implements `domain.payments.ports.PaymentChannel` and `PayerCodes`.

    Every request is idempotent by its own number (`out_trade_no`, `out_request_no`), except the exchange of a code,
    which is sent once. Alipay repeats a notice for a day with the time of the first one, so its age may be that much;
    copies have the same `notify_id`.
    """

    name = "alipay"

    def __init__(
        self,
        *,
        gateway: AlipayGateway,
        bills: AlipayBills,
        seller_id: str,
        notify_url: str,
        notice_age_max_s: int,
        notice_ahead_max_s: int,
    ) -> None:
        self.app_id, self.mchid, self.sub_mchid = gateway.app_id, seller_id, seller_id
        self._gateway, self._bills, self._notify_url = gateway, bills, notify_url
        self._merchant = Merchant(gateway.app_id, seller_id)
        self._age_max, self._ahead_max = timedelta(seconds=notice_age_max_s), timedelta(seconds=notice_ahead_max_s)

    async def prepay(self, request: PrepayRequest) -> str:
        """Create the trade, or find it again unchanged, and return its number at Alipay."""
        payer = "buyer_id" if USER_ID.fullmatch(request.openid) else "buyer_open_id"
        content = {
            "out_trade_no": request.out_trade_no,
            "total_amount": Money(request.amount_fen).yuan,
            "subject": request.description[:SUBJECT_LENGTH_MAX],
            "product_code": PRODUCT,
            "op_app_id": self.app_id,
            "seller_id": self.sub_mchid,
            "time_expire": time_text(request.expires_at),
            payer: request.openid,
        }
        document = await self._gateway.call(CREATE, content, notify_url=self._notify_url)
        self._assert_about(CREATE, document, out_trade_no=request.out_trade_no)
        return self._read(CREATE, lambda: text(document, "trade_no"))

    async def payment_parameters(self, *, prepay_id: str, now: datetime) -> AlipayParameters:
        return AlipayParameters(trade_no=prepay_id)

    async def query(self, out_trade_no: str) -> TradeFacts:
        try:
            document = await self._gateway.call(QUERY, {"out_trade_no": out_trade_no})
        except ChannelRefused as error:
            if error.code == UNKNOWN_TRADE:
                return TradeFacts.not_found(
                    out_trade_no, app_id=self.app_id, mchid=self.mchid, sub_mchid=self.sub_mchid
                )
            raise
        facts = self._read(QUERY, lambda: read_trade(document, self._merchant))
        self._assert_about(QUERY, document, out_trade_no=out_trade_no)
        return facts

    async def close(self, out_trade_no: str) -> None:
        """Make the trade unpayable. A paid one raises ChannelRefused with the code ACQ.TRADE_STATUS_ERROR."""
        try:
            document = await self._gateway.call(CLOSE, {"out_trade_no": out_trade_no})
        except ChannelRefused as error:
            if error.code == UNKNOWN_TRADE:
                return
            if error.code == WRONG_STATE and (await self.query(out_trade_no)).state is TradeState.CLOSED:
                return
            raise
        self._assert_about(CLOSE, document, out_trade_no=out_trade_no)

    async def refund(self, request: RefundRequest) -> RefundFacts:
        """Ask for the refund, and then how it stands.

        The answer to the first says how much of the trade is refunded in all, and `fund_change` only whether this
        request moved money; what became of this refund is the query's word.
        """
        content = {
            "out_trade_no": request.out_trade_no,
            "refund_amount": Money(request.amount_fen).yuan,
            "out_request_no": request.out_refund_no,
            "refund_reason": request.reason[:REASON_LENGTH_MAX],
        }
        document = await self._gateway.call(REFUND, content)
        self._assert_about(REFUND, document, out_trade_no=request.out_trade_no)
        facts = await self.query_refund(request.out_refund_no, out_trade_no=request.out_trade_no)
        if facts.state is ChannelRefundState.NOT_FOUND:
            raise self._gateway.unavailable(REFUND, "taken, and not known yet")
        return facts

    async def query_refund(self, out_refund_no: str, *, out_trade_no: str | None = None) -> RefundFacts:
        if out_trade_no is None:
            raise ValueError("Alipay keeps refunds by their payment")
        content = {"out_trade_no": out_trade_no, "out_request_no": out_refund_no}
        try:
            document = await self._gateway.call(REFUND_QUERY, content)
        except ChannelRefused as error:
            if error.code in UNKNOWN_REFUNDS:
                return RefundFacts.not_found(out_refund_no)
            raise
        if not text_of(document, "out_request_no"):
            # The platform answers with success where it knows of no such refund, and names nothing.
            return RefundFacts.not_found(out_refund_no)
        facts = self._read(REFUND_QUERY, lambda: read_refund(document))
        self._assert_about(REFUND_QUERY, document, out_trade_no=out_trade_no, out_request_no=out_refund_no)
        return facts

    async def payer_of(self, code: str) -> str:
        """Exchange a code of `my.getAuthCode` once for the user's id. Raises PayerCodeRefused or ChannelUnavailable."""
        if not 0 < len(code) <= CODE_LENGTH_MAX or not code.isascii():
            raise PayerCodeRefused
        given = {"grant_type": "authorization_code", "code": code}
        document = await self._gateway.ask(CODE_EXCHANGE, given, attempts_max=1)
        payer = text_of(document, "user_id") or text_of(document, "open_id")
        if payer:
            return payer
        if text_of(document, "sub_code") in CODE_REFUSALS:
            raise PayerCodeRefused
        raise self._gateway.unavailable(CODE_EXCHANGE, f"{ERROR_NODE} {text_of(document, 'sub_code')}")

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        """Verify and read a notice. Raises NoticeRefused.

        Only RSA2 is accepted: a notice that names another algorithm, or none, is refused before its signature is
        looked at.
        """
        try:
            form = read_form(body)
            self._verify(form, now)
            return self._read_notice(form)
        except Malformed as error:
            raise NoticeRefused(str(error)) from None

    def _verify(self, form: dict[str, str], now: datetime) -> None:
        if form.get("sign_type") != SIGN_TYPE:
            raise Malformed("not signed by RSA2")
        message = signed_text(form, without=UNSIGNED_OF_NOTICES)
        if not is_signed_by(self._gateway.alipay_key, message, form.get("sign", "")):
            raise Malformed("the signature does not match")
        if not -self._ahead_max <= now - moment_of(text(form, "notify_time")) <= self._age_max:
            raise Malformed("too old, or from the future")
        if text(form, "app_id") != self.app_id or text(form, "seller_id") != self.sub_mchid:
            raise Malformed("of another app or another seller")

    def _read_notice(self, form: dict[str, str]) -> ChannelNotice:
        notice_id = text(form, "notify_id")
        if len(notice_id) > NOTICE_ID_LENGTH_MAX:
            raise Malformed("notify_id is too long")
        trade = read_trade_notice(form)
        if not form.get("refund_fee") or not fen_of(text(form, "refund_fee")):
            return ChannelNotice(notice_id=notice_id, trade=trade, refund=None)
        # `refund_fee` is what is refunded of the trade in all, and we refund a payment whole and once.
        refund = RefundFacts(
            out_trade_no=trade.out_trade_no,
            out_refund_no=text(form, "out_biz_no"),
            refund_id=trade.transaction_id,
            state=ChannelRefundState.SUCCESS,
            amount_fen=fen_of(text(form, "refund_fee")),
        )
        text(form, "gmt_refund")
        return ChannelNotice(notice_id=notice_id, trade=None, refund=refund)

    async def fetch_bill(self, *, day: date, into: Path) -> None:
        """Write the trade bill of a day (Asia/Shanghai), whole and checked; where that fails nothing is left.

        Raises BillNotReady, BillRefused, ChannelUnavailable or ChannelRefused.
        """
        await self._bills.fetch(self._gateway, day=day, into=into, seller_id=self.sub_mchid)

    def read_bill(self, path: Path) -> Iterator[BillLine]:
        """Read what `fetch_bill` wrote. Raises BillRefused."""
        return self._bills.read(path, seller_id=self.sub_mchid)

    def _read(self, method: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except Malformed as error:
            raise self._gateway.unavailable(method, str(error)) from None

    def _assert_about(self, method: str, document: Document, **asked: str) -> None:
        """A signature says who answered, not what was asked: an answer about something else settles nothing."""
        if any(document.get(name) != value for name, value in asked.items()):
            raise self._gateway.unavailable(method, "an answer to another question")
