"""WeChat Pay API v3 in partner (服务商) mode, for mini-programs.

Sources: WeChat Pay's partner documentation, "JSAPI下单", "商户订单号查询订单", "关闭订单", "退款申请", "查询单笔退款",
"小程序调起支付"; for signatures "签名生成" and "签名验证", for callbacks "支付通知" and "退款结果通知".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from domain.payments.ports import (
    ChannelNotice,
    ChannelRefundState,
    ChannelRefused,
    ChannelUnavailable,
    NoticeRefused,
    PaymentParameters,
    PrepayRequest,
    RefundFacts,
    RefundRequest,
    TradeFacts,
    TradeState,
)
from gateways.documents import Document, Malformed, child, parse, text
from gateways.exchange import Answer, Unsettled, exchange
from gateways.signing import (
    AEAD_ALGORITHM,
    NotDecryptable,
    decrypt,
    fresh_nonce,
    is_fresh,
    is_signed_by,
    sign,
    signed_lines,
)
from gateways.wechat_pay_facts import read_refund, read_refund_notice, read_trade
from kernel.clock import SHANGHAI, utc_now
from kernel.logs import get_logger

SCHEME = "WECHATPAY2-SHA256-RSA2048"
TRADES = "/v3/pay/partner/transactions"
REFUNDS = "/v3/refund/domestic/refunds"
DESCRIPTION_LENGTH_MAX = 127
REASON_LENGTH_MAX = 80
NOTICE_ID_LENGTH_MAX = 64
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

log = get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeChatPayKeys:
    """`platform_keys` by serial number, so that a new platform key can be accepted beside the old one."""

    merchant_serial: str
    merchant_key: RSAPrivateKey = field(repr=False)
    platform_keys: Mapping[str, RSAPublicKey]
    api_v3_key: bytes = field(repr=False)


class WeChatPay:
    """Implements `domain.payments.ports.PaymentChannel`.

    Every request is idempotent by its own number (`out_trade_no`, `out_refund_no`), so lost ones are sent again within
    the budget of `timeout_s`. An answer counts only with the platform's signature: refusals carry it too, except where
    our own signature was not accepted, and that settles nothing.

    A route is one sub-merchant. All routes share the keys and the address for callbacks, so each opens the notices of
    every one in `sub_mchids`.
    """

    name = "wechat_pay"

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        keys: WeChatPayKeys,
        app_id: str,
        mchid: str,
        sub_mchid: str,
        sub_mchids: frozenset[str],
        notify_url: str,
        timeout_s: float,
        age_max_s: int,
    ) -> None:
        self.app_id, self.mchid, self.sub_mchid = app_id, mchid, sub_mchid
        self._client, self._keys, self._notify_url, self._sub_mchids = client, keys, notify_url, sub_mchids
        self._timeout_s, self._age_max_s = timeout_s, age_max_s

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
        answer = await self._ask("prepay", "POST", f"{TRADES}/jsapi", body)
        self._raise_if_refused("prepay", answer)
        return self._read("prepay", answer, lambda document: text(document, "prepay_id"))

    def payment_parameters(self, *, prepay_id: str, now: datetime) -> PaymentParameters:
        time_stamp, nonce, package = str(int(now.timestamp())), fresh_nonce(), f"prepay_id={prepay_id}"
        message = signed_lines(self.app_id, time_stamp, nonce, package)
        return PaymentParameters(
            app_id=self.app_id,
            time_stamp=time_stamp,
            nonce_str=nonce,
            package=package,
            sign_type="RSA",
            pay_sign=sign(self._keys.merchant_key, message),
        )

    async def query(self, out_trade_no: str) -> TradeFacts:
        path = f"{TRADES}/out-trade-no/{quote(out_trade_no, safe='')}?sp_mchid={self.mchid}&sub_mchid={self.sub_mchid}"
        answer = await self._ask("query", "GET", path, None)
        if answer.status == NOT_FOUND and self._code(answer) in UNKNOWN_TRADE_CODES:
            return TradeFacts(
                out_trade_no=out_trade_no,
                state=TradeState.NOT_FOUND,
                transaction_id=None,
                amount_fen=0,
                app_id=self.app_id,
                mchid=self.mchid,
                sub_mchid=self.sub_mchid,
                paid_at=None,
            )
        self._raise_if_refused("query", answer)
        facts = self._read("query", answer, read_trade)
        self._assert_about("query", asked=out_trade_no, answered=facts.out_trade_no)
        return facts

    async def close(self, out_trade_no: str) -> None:
        """Make the merchant order unpayable. A paid one raises ChannelRefused with the code ORDERPAID."""
        body = {"sp_mchid": self.mchid, "sub_mchid": self.sub_mchid}
        answer = await self._ask("close", "POST", f"{TRADES}/out-trade-no/{quote(out_trade_no, safe='')}/close", body)
        if answer.refused and self._code(answer) in UNKNOWN_TRADE_CODES | CLOSED_CODES:
            return
        self._raise_if_refused("close", answer)

    async def refund(self, request: RefundRequest) -> RefundFacts:
        body = {
            "sub_mchid": self.sub_mchid,
            "out_trade_no": request.out_trade_no,
            "out_refund_no": request.out_refund_no,
            "reason": request.reason[:REASON_LENGTH_MAX],
            "notify_url": self._notify_url,
            "amount": {"refund": request.amount_fen, "total": request.total_fen, "currency": "CNY"},
        }
        answer = await self._ask("refund", "POST", REFUNDS, body)
        self._raise_if_refused("refund", answer)
        facts = self._read("refund", answer, read_refund)
        self._assert_about("refund", asked=request.out_refund_no, answered=facts.out_refund_no)
        return facts

    async def query_refund(self, out_refund_no: str) -> RefundFacts:
        path = f"{REFUNDS}/{quote(out_refund_no, safe='')}?sub_mchid={self.sub_mchid}"
        answer = await self._ask("query_refund", "GET", path, None)
        if answer.status == NOT_FOUND and self._code(answer) in UNKNOWN_REFUND_CODES:
            return RefundFacts(
                out_trade_no="",
                out_refund_no=out_refund_no,
                refund_id=None,
                state=ChannelRefundState.NOT_FOUND,
                amount_fen=0,
            )
        self._raise_if_refused("query_refund", answer)
        facts = self._read("query_refund", answer, read_refund)
        self._assert_about("query_refund", asked=out_refund_no, answered=facts.out_refund_no)
        return facts

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        """Verify, decrypt and read a callback, whichever of our sub-merchants it tells of. Raises NoticeRefused.

        The same delivery opens to the same `notice_id` every time; whoever stores notices uniquely by it is safe from
        replays, WeChat Pay's own repetitions included.
        """
        problem = self._signature_problem(headers, body, now)
        if problem is not None:
            raise NoticeRefused(problem)
        try:
            return self._read_notice(parse(body))
        except (Malformed, NotDecryptable) as error:
            raise NoticeRefused(str(error)) from None

    def _read_notice(self, envelope: Document) -> ChannelNotice:
        notice_id, event, resource = text(envelope, "id"), text(envelope, "event_type"), child(envelope, "resource")
        if len(notice_id) > NOTICE_ID_LENGTH_MAX:
            raise Malformed("id is too long")
        if text(resource, "algorithm") != AEAD_ALGORITHM:
            raise Malformed("an unknown algorithm")
        associated_data = resource.get("associated_data") or ""
        if not isinstance(associated_data, str):
            raise Malformed("associated_data is not a text")
        plaintext = decrypt(
            self._keys.api_v3_key,
            text(resource, "ciphertext"),
            nonce=text(resource, "nonce").encode(),
            associated_data=associated_data.encode(),
        )
        document = parse(plaintext)
        if event == PAID_EVENT:
            trade = read_trade(document)
            if trade.state is not TradeState.SUCCESS:
                raise Malformed("a payment notice that is not about a payment")
            return ChannelNotice(notice_id=notice_id, trade=trade, refund=None)
        if event in REFUND_EVENTS:
            if text(document, "sp_mchid") != self.mchid or text(document, "sub_mchid") not in self._sub_mchids:
                raise Malformed("a refund of another merchant")
            refund = read_refund_notice(document)
            if refund.state is not REFUND_EVENTS[event]:
                raise Malformed("a refund notice that contradicts itself")
            return ChannelNotice(notice_id=notice_id, trade=None, refund=refund)
        raise Malformed("an unknown event")

    async def _ask(self, operation: str, method: str, path: str, body: Document | None) -> Answer:
        """Send, and return an answer of which the signature is good. Raises ChannelUnavailable."""
        content = orjson.dumps(body) if body is not None else b""
        try:
            answer = await exchange(
                self._client, lambda: self._request(method, path, content), budget_s=self._timeout_s
            )
        except Unsettled as error:
            raise self._unavailable(operation, error.reason) from None
        problem = self._signature_problem(answer.headers, answer.body, utc_now())
        if problem is not None:
            # What is unsigned proves nothing, but its code tells an operator why, such as SIGN_ERROR.
            said = self._code(answer)
            log.error("wechat_pay.answer_unverified", operation=operation, status=answer.status, said=said)
            raise self._unavailable(operation, problem)
        return answer

    def _request(self, method: str, path: str, content: bytes) -> httpx.Request:
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            # With a platform public key (微信支付公钥) this asks for answers signed by it.
            "Wechatpay-Serial": next(iter(self._keys.platform_keys)),
        }
        request = self._client.build_request(method, path, content=content, headers=headers)
        target = request.url.raw_path.decode()
        timestamp, nonce = str(int(utc_now().timestamp())), fresh_nonce()
        signature = sign(self._keys.merchant_key, signed_lines(method, target, timestamp, nonce, content))
        request.headers["Authorization"] = (
            f'{SCHEME} mchid="{self.mchid}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{timestamp}",serial_no="{self._keys.merchant_serial}"'
        )
        return request

    def _signature_problem(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        named = {name.lower(): value for name, value in headers.items()}
        serial, signature = named.get("wechatpay-serial", ""), named.get("wechatpay-signature", "")
        timestamp, nonce = named.get("wechatpay-timestamp", ""), named.get("wechatpay-nonce", "")
        if not (serial and signature and timestamp and nonce):
            return "unsigned"
        key = self._keys.platform_keys.get(serial)
        if key is None:
            return "signed with an unknown key"
        if not is_fresh(timestamp, now=now, age_max_s=self._age_max_s):
            return "too old, or from the future"
        if not is_signed_by(key, signed_lines(timestamp, nonce, body), signature):
            return "the signature does not match"
        return None

    def _unavailable(self, operation: str, reason: str) -> ChannelUnavailable:
        log.warning("wechat_pay.unavailable", operation=operation, reason=reason)
        return ChannelUnavailable(f"{operation}: {reason}")

    def _code(self, answer: Answer) -> str:
        """Return the error code of an answer, or nothing."""
        try:
            return text(parse(answer.body), "code")[:NOTICE_ID_LENGTH_MAX]
        except Malformed:
            return ""

    def _raise_if_refused(self, operation: str, answer: Answer) -> None:
        if not answer.refused:
            return
        code = self._code(answer)
        if not code:
            raise self._unavailable(operation, f"status {answer.status} without a code")
        reason = parse(answer.body).get("message")
        log.warning("wechat_pay.refused", operation=operation, status=answer.status, code=code)
        raise ChannelRefused(code, reason if isinstance(reason, str) else "")

    def _read(self, operation: str, answer: Answer, read: Callable[[Document], T]) -> T:
        try:
            return read(parse(answer.body))
        except Malformed as error:
            raise self._unavailable(operation, str(error)) from None

    def _assert_about(self, operation: str, *, asked: str, answered: str) -> None:
        """A signature says who answered, not what was asked: an answer about something else settles nothing."""
        if asked != answered:
            raise self._unavailable(operation, "an answer to another question")
