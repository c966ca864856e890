"""Alipay's open platform for mini-program payments, as its documentation describes it, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel.clock import SHANGHAI, utc_now
from kernel.settings import Settings
from sandbox.alipay_bills import bill_of, yuan
from sandbox.alipay_wire import (
    SUCCESS,
    TIME,
    Failed,
    number_of,
    read_content,
    read_request,
    time_text,
    write_answer,
    write_notice,
)
from sandbox.answers import Refused, json_endpoint, keep_silent
from sandbox.courier import Courier
from sandbox.crypto import random_digits, random_text
from sandbox.faults import OK, Faults
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store

SENDER = "alipay"
SHOWN_MAX = 50
BILL_LINES_MAX = 10_000
CODE_LIFETIME = timedelta(minutes=10)
PAID_STATES = frozenset({"TRADE_SUCCESS", "TRADE_FINISHED"})
SPOILT = frozenset({"unsigned", "sha1", "altered"})

Method = Callable[[Request, Document], Awaitable[Document]]


class AlipaySandbox:
    def __init__(self, *, settings: Settings, keys: Keys, store: Store, faults: Faults, courier: Courier) -> None:
        self._keys, self._store, self._faults, self._courier = keys, store, faults, courier
        self._app_id, self._seller_id = settings.alipay_app, settings.alipay_seller
        self._base_url = settings.sandbox_url
        self._methods: dict[str, Method] = {
            "alipay.trade.create": self._create,
            "alipay.trade.query": self._query,
            "alipay.trade.close": self._close,
            "alipay.trade.refund": self._refund,
            "alipay.trade.fastpay.refund.query": self._query_refund,
            "alipay.data.dataservice.bill.downloadurl.query": self._bill_address,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        courier.add_sender(SENDER, lambda _body: headers, taken=lambda answer: answer.text.strip() == "success")

    def routes(self) -> list[Route]:
        return [
            Route("/gateway.do", self._gateway, methods=["POST"]),
            Route("/alipay/bill", self._bill, methods=["GET"]),
            Route("/control/alipay-code", json_endpoint(self._give_code), methods=["POST"]),
            Route("/control/pay-alipay", json_endpoint(self._pay), methods=["POST"]),
            Route("/control/settle-alipay", json_endpoint(self._settle), methods=["POST"]),
        ]

    def state(self) -> Document:
        return {
            "alipay_payments": self._store.newest(Kind.ALIPAY_TRADE, SHOWN_MAX),
            "alipay_refunds": self._store.newest(Kind.ALIPAY_REFUND, SHOWN_MAX),
        }

    async def _gateway(self, request: Request) -> Response:
        body = await request.body()
        try:
            form = read_request(body, self._keys, self._app_id)
        except (Failed, ValueError) as error:
            failed = error if isinstance(error, Failed) else Failed("isv.invalid-parameter", "参数无效", "40002")
            return _json(write_answer("", failed.describe(), self._keys))
        method = form.get("method", "")
        if self._faults.take("alipay", among=frozenset({"error_500"})) != OK:
            return Response(status_code=500)
        try:
            if method == "alipay.system.oauth.token":
                return self._exchange_code(form)
            if method not in self._methods:
                raise Failed("isv.invalid-method", "不存在的方法名", "40002")
            content = {**read_content(form), "notify_url": form.get("notify_url", "")}
            document = {**SUCCESS, **await self._methods[method](request, content)}
        except Refused as error:
            return Response(status_code=error.status)
        except Failed as error:
            document = error.describe()
        return _json(write_answer(method, document, self._keys, self._faults.take("alipay", among=SPOILT)))

    def _fail_if(self, subject: str, mode: str) -> None:
        if self._takes(subject, mode):
            raise Refused(500, "SYSTEM_ERROR", "系统异常")

    def _takes(self, subject: str, mode: str) -> bool:
        return self._faults.take(subject, among=frozenset({mode})) == mode

    def _give_code(self, given: Document) -> Document:
        """Return what `my.getAuthCode` would give this user's mini-program: a code for one exchange."""
        user = given.get("user", "demo")
        if not isinstance(user, str) or not user:
            raise Refused(400, "PARAM_ERROR", "user is a text")
        code = random_text(32)
        expires_at = (utc_now() + CODE_LIFETIME).isoformat()
        payer = user if re.fullmatch(r"2088\d{12}", user) else self.payer(user)
        self._store.put(Kind.ALIPAY_CODE, code, {"payer": payer, "expires_at": expires_at, "used": False})
        return {"code": code, "user_id": payer}

    def payer(self, user: str) -> str:
        """Return the same user id for the same user."""
        return f"2088{sum(ord(letter) * 7**place for place, letter in enumerate(user)) % 10**12:012d}"

    def _exchange_code(self, form: dict[str, str]) -> Response:
        login = self._store.get(Kind.ALIPAY_CODE, form.get("code", ""))
        if form.get("grant_type") != "authorization_code":
            failed = Failed("isv.grant-type-invalid", "grant_type不正确", "40002")
            return _json(write_answer("", failed.describe(), self._keys))
        if login is None or login["used"] or datetime.fromisoformat(login["expires_at"]) <= utc_now():
            failed = Failed("isv.code-invalid", "授权码code无效", "40002")
            return _json(write_answer("", failed.describe(), self._keys))
        self._store.put(Kind.ALIPAY_CODE, form["code"], {**login, "used": True})
        answer = {"user_id": login["payer"], "access_token": random_text(40), "expires_in": 1_296_000}
        return _json(write_answer("alipay.system.oauth.token", answer, self._keys))

    async def _create(self, request: Request, given: Document) -> Document:
        self._fail_if("alipay", "prepay_error_500")
        number, total = number_of(given, "out_trade_no"), _fen(given, "total_amount")
        payer = given.get("buyer_id") or given.get("buyer_open_id")
        if given.get("seller_id", self._seller_id) != self._seller_id:
            raise Failed("ACQ.INVALID_PARAMETER", "参数无效 seller_id")
        if not payer or given.get("product_code") != "JSAPI_PAY" or given.get("op_app_id") != self._app_id:
            raise Failed("ACQ.INVALID_PARAMETER", "参数无效")
        wanted = {"total": total, "payer": payer, "subject": number_of({"subject": given.get("subject")}, "subject")}
        wanted |= {"time_expire": _time(given, "time_expire"), "notify_url": _address(given["notify_url"])}
        trade = self._store.get(Kind.ALIPAY_TRADE, number)
        if trade is None:
            now = utc_now()
            trade = {
                **wanted,
                "out_trade_no": number,
                "trade_no": f"{now.astimezone(SHANGHAI):%Y%m%d}22001{random_digits(15)}",
                "state": "WAIT_BUYER_PAY",
                "paid_at": None,
                "created_at": time_text(now),
            }
            self._store.put(Kind.ALIPAY_TRADE, number, trade)
        elif trade["paid_at"]:
            raise Failed("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
        elif trade["state"] == "TRADE_CLOSED":
            raise Failed("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
        elif any(trade[name] != value for name, value in wanted.items()):
            raise Failed("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
        if self._takes("alipay", "timeout"):
            await keep_silent(request)
        return {"out_trade_no": number, "trade_no": trade["trade_no"]}

    async def _query(self, _request: Request, given: Document) -> Document:
        self._fail_if("alipay", "query_error_500")
        trade = self._trade(given)
        document = {name: trade[name] for name in ("out_trade_no", "trade_no")}
        document |= {
            "trade_status": trade["state"],
            "total_amount": yuan(trade["total"]),
            "buyer_user_id": trade["payer"],
        }
        return {**document, **({"send_pay_date": trade["paid_at"]} if trade["paid_at"] else {})}

    async def _close(self, request: Request, given: Document) -> Document:
        if self._takes("alipay", "close_lost"):
            await keep_silent(request)
            raise Failed("ACQ.SYSTEM_ERROR", "系统错误")
        trade = self._trade(given)
        if trade["state"] != "WAIT_BUYER_PAY":
            raise Failed("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        self._store.put(Kind.ALIPAY_TRADE, trade["out_trade_no"], {**trade, "state": "TRADE_CLOSED"})
        if self._takes("alipay", "close_timeout"):
            await keep_silent(request)
        return {name: trade[name] for name in ("out_trade_no", "trade_no")}

    async def _refund(self, request: Request, given: Document) -> Document:
        self._fail_if("alipay_refund", "error_500")
        trade, number, amount = self._trade(given), number_of(given, "out_request_no"), _fen(given, "refund_amount")
        key = f"{trade['out_trade_no']}:{number}"
        refund, changed = self._store.get(Kind.ALIPAY_REFUND, key), False
        if refund is None:
            if trade["state"] not in PAID_STATES:
                raise Failed("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
            if self._refunded(trade) + amount > trade["total"]:
                raise Failed("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
            refund = {
                **{name: trade[name] for name in ("out_trade_no", "trade_no", "subject", "created_at", "notify_url")},
                "out_request_no": number,
                "amount": amount,
                "done_at": None,
            }
            self._store.put(Kind.ALIPAY_REFUND, key, refund)
            if not self._takes("alipay_refund", "pending"):
                self._finish_refund(key)
                changed = True
        elif refund["amount"] != amount:
            raise Failed("ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致")
        if self._takes("alipay_refund", "timeout"):
            await keep_silent(request)
        document = {name: trade[name] for name in ("out_trade_no", "trade_no")}
        return {**document, "fund_change": "Y" if changed else "N", "refund_fee": yuan(self._refunded(trade))}

    def _refunded(self, trade: Document) -> int:
        return sum(each["amount"] for each in self._refunds_of(trade))

    def _refunds_of(self, trade: Document) -> list[Document]:
        return self._store.where(Kind.ALIPAY_REFUND, "out_trade_no", trade["out_trade_no"])

    def _finish_refund(self, key: str) -> None:
        refund = self._store.get(Kind.ALIPAY_REFUND, key)
        assert refund is not None
        refund["done_at"] = time_text()
        self._store.put(Kind.ALIPAY_REFUND, key, refund)
        trade = self._store.get(Kind.ALIPAY_TRADE, refund["out_trade_no"])
        assert trade is not None
        done = sum(each["amount"] for each in self._refunds_of(trade) if each["done_at"])
        if done == trade["total"]:
            trade["state"] = "TRADE_CLOSED"
            self._store.put(Kind.ALIPAY_TRADE, trade["out_trade_no"], trade)
        outcome = {"refund_fee": yuan(done), "out_biz_no": refund["out_request_no"], "gmt_refund": refund["done_at"]}
        self._notify(trade, refund["out_request_no"], outcome)

    async def _query_refund(self, _request: Request, given: Document) -> Document:
        self._fail_if("alipay_refund", "error_500")
        trade, number = self._trade(given), number_of(given, "out_request_no")
        refund = self._store.get(Kind.ALIPAY_REFUND, f"{trade['out_trade_no']}:{number}")
        if refund is None:
            return {}
        document = {name: refund[name] for name in ("out_trade_no", "trade_no", "out_request_no")}
        document |= {"refund_amount": yuan(refund["amount"]), "total_amount": yuan(trade["total"])}
        return {**document, **({"refund_status": "REFUND_SUCCESS"} if refund["done_at"] else {})}

    def _pay(self, given: Document) -> Document:
        """Pay as the user would: `{"trade_no": …, "force": true}`, the latter also what is closed or expired."""
        found = self._store.where(Kind.ALIPAY_TRADE, "trade_no", str(given.get("trade_no")))
        if not found:
            raise Refused(409, "NOT_PAYABLE", "there is no such trade_no")
        (trade,) = found
        expired = datetime.strptime(trade["time_expire"], TIME).replace(tzinfo=SHANGHAI) <= utc_now()
        if trade["paid_at"] or (given.get("force") is not True and (trade["state"] == "TRADE_CLOSED" or expired)):
            raise Refused(409, "NOT_PAYABLE", "the trade is paid, closed or expired")
        trade |= {"state": "TRADE_SUCCESS", "paid_at": time_text()}
        self._store.put(Kind.ALIPAY_TRADE, trade["out_trade_no"], trade)
        self._notify(trade, trade["out_trade_no"], {})
        return trade

    def _settle(self, given: Document) -> Document:
        """Let a refund that is pending come to its end: `{"out_trade_no": …, "out_request_no": …}`."""
        key = f"{given.get('out_trade_no')}:{given.get('out_request_no')}"
        if self._store.get(Kind.ALIPAY_REFUND, key) is None:
            raise Refused(404, "NOT_FOUND", "there is no such refund")
        self._finish_refund(key)
        return self._store.get(Kind.ALIPAY_REFUND, key) or {}

    def _notify(self, trade: Document, subject: str, outcome: Document) -> None:
        fault = self._faults.take("alipay_notice", among=frozenset({"none", "forged", "altered", "sha1"}))
        if fault == "none":
            return
        notice_id = f"{utc_now().astimezone(SHANGHAI):%Y%m%d}{random_digits(26)}"
        form = {
            "notify_id": notice_id,
            "notify_type": "trade_status_sync",
            "notify_time": time_text(),
            "charset": "utf-8",
            "version": "1.0",
            "app_id": self._app_id,
            "auth_app_id": self._app_id,
            "seller_id": self._seller_id,
            "buyer_id": trade["payer"],
            "out_trade_no": trade["out_trade_no"],
            "trade_no": trade["trade_no"],
            "trade_status": trade["state"],
            "total_amount": yuan(trade["total"]),
            "subject": trade["subject"],
            "gmt_create": trade["created_at"],
            "gmt_payment": trade["paid_at"] or "",
            **outcome,
        }
        self._courier.send(
            id=notice_id,
            sender=SENDER,
            event="refund" if outcome else "trade_status_sync",
            subject=subject,
            url=trade["notify_url"],
            body=write_notice(form, self._keys, fault),
        )

    async def _bill_address(self, _request: Request, given: Document) -> Document:
        if self._takes("alipay_bill", "unready"):
            raise Failed("isp.bill_not_exist", "账单不存在")
        day = date.fromisoformat(str(given.get("bill_date")))
        return {"bill_download_url": f"{self._base_url}/alipay/bill?day={day.isoformat()}&token={random_text(32)}"}

    async def _bill(self, request: Request) -> Response:
        if self._takes("alipay_bill", "error_500"):
            return Response(status_code=500)
        day = request.query_params["day"]
        paid = self._of_day(Kind.ALIPAY_TRADE, "paid_at", day)
        done = self._of_day(Kind.ALIPAY_REFUND, "done_at", day)
        fault = self._faults.take("alipay_bill", among=frozenset({"omit", "extra", "drift", "cut"}))
        return Response(bill_of(date.fromisoformat(day), self._seller_id, paid, done, fault))

    def _of_day(self, kind: Kind, name: str, day: str) -> list[Document]:
        documents = self._store.newest(kind, BILL_LINES_MAX)
        return [each for each in reversed(documents) if str(each[name]).startswith(day)]

    def _trade(self, given: Document) -> Document:
        trade = self._store.get(Kind.ALIPAY_TRADE, number_of(given, "out_trade_no"))
        if trade is None:
            raise Failed("ACQ.TRADE_NOT_EXIST", "交易不存在")
        return trade


def _json(body: bytes) -> Response:
    return Response(body, media_type="text/html;charset=utf-8")


def _fen(given: Document, name: str) -> int:
    try:
        fen = Decimal(str(given.get(name))) * 100
    except InvalidOperation:
        raise Failed("ACQ.INVALID_PARAMETER", f"参数无效 {name}") from None
    if fen <= 0 or fen != int(fen):
        raise Failed("ACQ.INVALID_PARAMETER", f"参数无效 {name}")
    return int(fen)


def _time(given: Document, name: str) -> str:
    value = str(given.get(name))
    try:
        datetime.strptime(value, TIME).replace(tzinfo=SHANGHAI)
    except ValueError:
        raise Failed("ACQ.INVALID_PARAMETER", f"参数无效 {name}") from None
    return value


def _address(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Failed("ACQ.INVALID_PARAMETER", "参数无效 notify_url")
    return url
