"""WeChat Pay API v3 in partner mode, as its documentation describes it, over HTTP."""

from __future__ import annotations

import asyncio
import re
import secrets
from datetime import datetime

from starlette.requests import Request
from starlette.routing import Route

from kernel.clock import SHANGHAI, utc_now
from sandbox.answers import Refused, callback_url, keep_silent, member, positive, text
from sandbox.crypto import random_digits
from sandbox.faults import OK
from sandbox.store import Document, Kind, Store
from sandbox.wechat_pay_desk import NUMBER, Desk
from sandbox.wechat_pay_documents import describe_refund, describe_refund_outcome, describe_trade

REFUND_NUMBER = r"[0-9A-Za-z_\-|*@]{1,64}"
REFUND_DELAY_S = 0.15
# 关闭: nothing of it went back, so that it does not count against what may still be refunded.
RETURNED_NOTHING = "CLOSED"


class PayRefused(ValueError):
    """The pretend payer cannot pay this order; the message says why."""


class WeChatPaySandbox:
    def __init__(self, *, desk: Desk, store: Store) -> None:
        self._desk, self._settings, self._store, self._courier = desk, desk.settings, store, desk.courier
        self.merchants = desk.merchants

    def routes(self) -> list[Route]:
        trades = "/v3/pay/partner/transactions"
        refunds = "/v3/refund/domestic/refunds"
        return [
            Route(f"{trades}/jsapi", self._desk.signed(self._prepay), methods=["POST"]),
            Route(f"{trades}/out-trade-no/{{number}}", self._desk.signed(self._query), methods=["GET"]),
            Route(f"{trades}/out-trade-no/{{number}}/close", self._desk.signed(self._close), methods=["POST"]),
            Route(refunds, self._desk.signed(self._refund), methods=["POST"]),
            Route(f"{refunds}/{{number}}", self._desk.signed(self._query_refund), methods=["GET"]),
            Route(
                f"{refunds}/{{number}}/apply-abnormal-refund", self._desk.signed(self._pay_elsewhere), methods=["POST"]
            ),
        ]

    def resume(self) -> None:
        """Finish the refunds that a stop of the sandbox interrupted."""
        # A memory from before the backup route names no sub-merchant; there was only the main one.
        for kind, number in ((Kind.TRADE, "out_trade_no"), (Kind.REFUND, "out_refund_no")):
            for document in self._store.where(kind, "sub_mchid", None):
                self._store.put(kind, document[number], {**document, "sub_mchid": self._settings.wechat_pay_sub_mchid})
        for refund in self._store.where(Kind.REFUND, "status", "PROCESSING"):
            if refund["settles_as"]:
                self._courier.start(self._settle_later(refund["out_refund_no"]), name="refund")

    async def _prepay(self, request: Request, given: Document) -> Document:
        merchant = self._desk.merchant(given)
        self._desk.fail_if_asked("payment", merchant, "prepay_error_500")
        if given.get("sp_appid") != self._settings.wechat_pay_sp_appid:
            raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid 和 mch_id 不匹配")
        number = text(given, "out_trade_no", NUMBER)
        wanted: Document = {
            "sub_mchid": merchant,
            "description": text(given, "description", r"(?s).{1,127}"),
            "time_expire": self._time(given, "time_expire"),
            "notify_url": callback_url(given),
            "total": positive(member(given, "amount"), "total"),
            "currency": text(member(given, "amount"), "currency", "CNY"),
            "openid": text(member(given, "payer"), "sp_openid", r".{1,128}"),
        }
        trade = self._store.get(Kind.TRADE, number)
        if trade is None:
            now = utc_now().astimezone(SHANGHAI)
            trade = {
                **wanted,
                "out_trade_no": number,
                "prepay_id": f"wx{now:%Y%m%d%H%M%S}{secrets.token_hex(10)}",
                "state": "NOTPAY",
                "transaction_id": None,
                "success_time": None,
                "created_at": now.isoformat(timespec="seconds"),
            }
            self._store.put(Kind.TRADE, number, trade)
        elif any(trade[name] != value for name, value in wanted.items()):
            raise Refused(403, "OUT_TRADE_NO_USED", "商户订单号重复")
        elif trade["state"] == "CLOSED":
            raise Refused(400, "ORDER_CLOSED", "订单已关闭")
        elif trade["state"] != "NOTPAY":
            raise Refused(400, "ORDERPAID", "该订单已支付")
        if self._desk.asked_for("timeout", "payment", merchant):
            await keep_silent(request)
        return {"prepay_id": trade["prepay_id"]}

    async def _query(self, request: Request, _given: Document) -> Document:
        merchant = self._desk.merchant(dict(request.query_params))
        self._desk.fail_if_asked("payment", merchant, "query_error_500")
        return describe_trade(self._trade(request, merchant), self._settings)

    async def _close(self, request: Request, given: Document) -> None:
        merchant = self._desk.merchant(given)
        self._desk.fail_if_asked("payment", merchant)
        if self._desk.asked_for("close_lost", "payment", merchant):
            await keep_silent(request)
            return
        trade = self._trade(request, merchant)
        if trade["state"] == "CLOSED":
            raise Refused(400, "ORDER_CLOSED", "订单已关闭")
        if trade["state"] != "NOTPAY":
            raise Refused(400, "ORDERPAID", "该订单已支付")
        self._store.put(Kind.TRADE, trade["out_trade_no"], {**trade, "state": "CLOSED"})
        if self._desk.asked_for("close_timeout", "payment", merchant):
            await keep_silent(request)

    async def _refund(self, request: Request, given: Document) -> Document:
        merchant = self._desk.merchant(given, sp=False)
        self._desk.fail_if_asked("refund", merchant)
        number, amount = text(given, "out_refund_no", REFUND_NUMBER), member(given, "amount")
        wanted: Document = {
            "sub_mchid": merchant,
            "out_trade_no": text(given, "out_trade_no", NUMBER),
            "refund": positive(amount, "refund"),
            "total": positive(amount, "total"),
            "currency": text(amount, "currency", "CNY"),
        }
        refund = self._store.get(Kind.REFUND, number)
        if refund is not None:
            if any(refund[name] != value for name, value in wanted.items()):
                raise Refused(400, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
            return describe_refund(refund)
        trade = self._store.get(Kind.TRADE, wanted["out_trade_no"])
        if trade is None or trade["sub_mchid"] != merchant:
            raise Refused(404, "RESOURCE_NOT_EXISTS", "订单不存在")
        if trade["state"] not in {"SUCCESS", "REFUND"}:
            raise Refused(400, "INVALID_REQUEST", "订单未支付")
        if wanted["total"] != trade["total"]:
            raise Refused(400, "INVALID_REQUEST", "订单金额不一致")
        others = self._store.where(Kind.REFUND, "out_trade_no", trade["out_trade_no"])
        refunded = sum(other["refund"] for other in others if other["status"] != RETURNED_NOTHING)
        if refunded + wanted["refund"] > trade["total"]:
            raise Refused(403, "NOT_ENOUGH", "申请退款金额大于订单可退金额")
        refund = self._begin_refund(number, {**wanted, "notify_url": callback_url(given)}, trade)
        if self._desk.asked_for("timeout", "refund", merchant):
            await keep_silent(request)
        return describe_refund(refund)

    def _begin_refund(self, number: str, wanted: Document, trade: Document) -> Document:
        modes = {"processing": None, "abnormal": "ABNORMAL", "closed": "CLOSED"}
        mode = self._desk.one_of(frozenset(modes), "refund", trade["sub_mchid"])
        refund: Document = {
            **wanted,
            "out_refund_no": number,
            "refund_id": f"503{random_digits(26)}",
            "transaction_id": trade["transaction_id"],
            "status": "PROCESSING",
            "settles_as": modes.get(mode, "SUCCESS"),
            "create_time": utc_now().astimezone(SHANGHAI).isoformat(timespec="seconds"),
            "success_time": None,
        }
        self._store.put(Kind.REFUND, number, refund)
        self._store.put(Kind.TRADE, trade["out_trade_no"], {**trade, "state": "REFUND"})
        if refund["settles_as"]:
            self._courier.start(self._settle_later(number), name="refund")
        return refund

    async def _query_refund(self, request: Request, _given: Document) -> Document:
        merchant = self._desk.merchant(dict(request.query_params), sp=False)
        self._desk.fail_if_asked("refund", merchant)
        refund = self._store.get(Kind.REFUND, request.path_params["number"])
        if refund is None or refund["sub_mchid"] != merchant:
            raise Refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        return describe_refund(refund)

    async def _pay_elsewhere(self, request: Request, given: Document) -> Document:
        """发起异常退款: what could not go back goes to a bank card of the user, or to the merchant."""
        merchant = self._desk.merchant(given, sp=False)
        self._desk.fail_if_asked("refund", merchant)
        refund = self._store.get(Kind.REFUND, text(given, "out_refund_no", REFUND_NUMBER))
        if refund is None or (refund["sub_mchid"], refund["refund_id"]) != (merchant, request.path_params["number"]):
            raise Refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        where = text(given, "type", "USER_BANK_CARD|MERCHANT_BANK_CARD")
        if where == "USER_BANK_CARD":
            serial = request.headers.get("Wechatpay-Serial", "")
            text(given, "bank_type", r"[A-Z_]{1,16}")
            card = self._desk.hand.read_field(serial, text(given, "bank_account", r".{1,1024}"))
            holder = self._desk.hand.read_field(serial, text(given, "real_name", r".{1,1024}"))
            if not re.fullmatch(r"\d{12,19}", card) or not holder:
                raise Refused(400, "PARAM_ERROR", "银行卡信息不符合规则")
        if refund["status"] == "PROCESSING":
            return describe_refund(refund)
        if refund["status"] != "ABNORMAL":
            raise Refused(400, "INVALID_REQUEST", "退款单状态不是退款异常")
        refund |= {"status": "PROCESSING", "settles_as": "SUCCESS", "paid_to": where}
        if self._desk.one_of(frozenset({"processing"}), "refund", merchant) != OK:
            refund["settles_as"] = None
        self._store.put(Kind.REFUND, refund["out_refund_no"], refund)
        if refund["settles_as"]:
            self._courier.start(self._settle_later(refund["out_refund_no"]), name="refund")
        return describe_refund(refund)

    def pay(self, prepay_id: str, *, force: bool = False) -> Document:
        """Pay as the user would in WeChat. `force` pays a closed or expired order too, as a late success would."""
        found = self._store.where(Kind.TRADE, "prepay_id", prepay_id)
        if not found:
            raise PayRefused("there is no such prepay_id")
        trade = found[0]
        if trade["state"] in {"SUCCESS", "REFUND"}:
            raise PayRefused("the order is paid")
        if not force and trade["state"] == "CLOSED":
            raise PayRefused("the order is closed")
        if not force and datetime.fromisoformat(trade["time_expire"]) <= utc_now():
            raise PayRefused("the order has expired")
        now = utc_now().astimezone(SHANGHAI)
        trade["state"] = "SUCCESS"
        trade["transaction_id"] = f"4200{now:%Y%m%d%H%M%S}{random_digits(10)}"
        trade["success_time"] = now.isoformat(timespec="seconds")
        self._store.put(Kind.TRADE, trade["out_trade_no"], trade)
        if not self._desk.asked_for("no_callback", "payment", trade["sub_mchid"]):
            self._notify("TRANSACTION.SUCCESS", "transaction", "支付成功", trade, describe_trade(trade, self._settings))
        return describe_trade(trade, self._settings)

    async def _settle_later(self, number: str) -> None:
        await asyncio.sleep(REFUND_DELAY_S)
        refund = self._store.get(Kind.REFUND, number)
        assert refund is not None
        if refund["status"] == "PROCESSING":
            self.settle_refund(number, refund["settles_as"])

    def settle_refund(self, number: str, status: str) -> Document | None:
        """Bring a refund to SUCCESS, ABNORMAL or CLOSED and say so. Returns nothing for an unknown refund."""
        refund = self._store.get(Kind.REFUND, number)
        if refund is None:
            return None
        refund["status"] = status
        if status == "SUCCESS":
            refund["success_time"] = utc_now().astimezone(SHANGHAI).isoformat(timespec="seconds")
        self._store.put(Kind.REFUND, number, refund)
        document = describe_refund_outcome(refund, self._settings)
        self._notify(f"REFUND.{status}", "refund", "退款结果", refund, document)
        return describe_refund(refund)

    def _notify(self, event: str, kind: str, summary: str, subject: Document, document: Document) -> None:
        number = subject["out_refund_no" if kind == "refund" else "out_trade_no"]
        self._desk.notify(event, kind, summary, subject=number, url=subject["notify_url"], document=document)

    def _trade(self, request: Request, merchant: str) -> Document:
        """Return the merchant's order. One of another merchant is one that it does not have."""
        trade = self._store.get(Kind.TRADE, request.path_params["number"])
        if trade is None or trade["sub_mchid"] != merchant:
            raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")
        return trade

    def _time(self, document: Document, name: str) -> str:
        value = text(document, name, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+\d\d:\d\d|Z)")
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise Refused(400, "PARAM_ERROR", f"{name} 不是 RFC 3339 时间") from None
        return value
