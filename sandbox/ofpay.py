"""An aggregator of the ofpay kind: forms in, XML in GBK out, signed requests, callbacks that nobody signs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.aggregators import Aggregator, NotTakenOn, World
from sandbox.answers import keep_silent
from sandbox.crypto import random_digits
from sandbox.issuer_bills import yuan
from sandbox.keys import Keys
from sandbox.store import Document

NAME = "ofpay"
ENCODING = "gbk"
ORDERED = ("userid", "userpws", "cardid", "cardnum", "sporder_id", "sporder_time", "game_userid")
BRANDS = {"1": "SINOPEC", "2": "PETROCHINA"}
STATES = {"PROCESSING": "0", "SUCCEEDED": "1", "REFUSED": "9", "REVERSED": "9"}
CODES = {
    "low_deposit": ("1007", "用户余额不足"),
    "maintenance": ("11", "运营商地区维护，暂不能充值"),
    "refuse_at_once": ("321", "暂不支持此卡号的充值"),
    "unknown_code": ("9999", "未知错误"),
}
OWNER, BLOCKED_TAIL, UNKNOWN_TAIL = "*国强", "0000", "9999"

Form = dict[str, str]


class OfpaySandbox:
    def __init__(self, *, world: World, keys: Keys) -> None:
        self._keys, self._user_id = keys, world.settings.ofpay_user_id
        self.books = Aggregator(NAME, world, secret=keys.ofpay_key, encoding=ENCODING, write_notice=_notice)
        world.courier.add_sender(NAME, lambda _body: {"Content-Type": "application/x-www-form-urlencoded"})

    def routes(self) -> list[Route]:
        handlers: dict[str, Callable[[Form], Document]] = {
            "queryOrderInfo.do": self._query,
            "queryuserinfo.do": self._balance,
            "sinopec/queryCardInfo.do": self._card,
        }
        return [
            Route("/ofpay/sinopec/onlineorder.do", self._submit, methods=["POST"]),
            Route("/ofpay/downloadBill.do", self._bill, methods=["POST"]),
            *(Route(f"/ofpay/{path}", self._plain(handler), methods=["POST"]) for path, handler in handlers.items()),
        ]

    async def _submit(self, request: Request) -> Response:
        if self.books.has_fault("error_500"):
            return Response("Internal Server Error", 500)
        form = await _form(request)
        if not self._is_signed(form, ORDERED):
            return _xml(retcode="1003", err_msg="MD5校验错误")
        try:
            recharge = self.books.accept(
                attempt_id=form["sporder_id"],
                brand=BRANDS[form["chargeType"]],
                card_tail=form["game_userid"][-4:],
                amount_fen=int(form["cardnum"]) * 100,
                notify_url=form["ret_url"],
            )
        except NotTakenOn as refusal:
            code, message = CODES[refusal.fault]
            return _xml(retcode=code, err_msg=message)
        if recharge["mode"] == "accept_then_timeout":
            await keep_silent(request)
        if recharge["mode"] == "error_500_after":
            return Response("Internal Server Error", 500)
        return _xml(**_described(recharge))

    def _plain(self, handler: Callable[[Form], Document]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            if self.books.has_fault("down"):
                return Response("Internal Server Error", 500)
            form = await _form(request)
            if not self._is_signed(form, tuple(name for name in form if name not in {"md5_str", "version"})):
                return _xml(retcode="1003", err_msg="MD5校验错误")
            return _xml(**handler(form))

        return endpoint

    def _query(self, form: Form) -> Document:
        recharge = self.books.find(form["sporder_id"])
        if recharge is None:
            return {"retcode": "1", "err_msg": "", "sporder_id": form["sporder_id"], "game_state": "-1"}
        return _described(recharge)

    def _balance(self, _form: Form) -> Document:
        return {"retcode": "1", "err_msg": "", "userid": self._user_id, "ret_leftcredit": yuan(self.books.deposit_fen)}

    def _card(self, form: Form) -> Document:
        state = {BLOCKED_TAIL: "1", UNKNOWN_TAIL: "2"}.get(form["game_userid"][-4:], "0")
        return {"retcode": "1", "err_msg": "", "card_state": state, "username": OWNER}

    async def _bill(self, request: Request) -> Response:
        form = await _form(request)
        day = form["bill_date"]
        bill = self.books.bill(f"{day[:4]}-{day[4:6]}-{day[6:]}")
        return Response(status_code=404) if bill is None else Response(bill, media_type="text/csv")

    def _is_signed(self, form: Form, names: tuple[str, ...]) -> bool:
        password = hashlib.md5(self._keys.ofpay_password.encode(), usedforsecurity=False).hexdigest()
        message = "".join(form.get(name, "") for name in names) + self._keys.ofpay_key
        signature = hashlib.md5(message.encode(ENCODING), usedforsecurity=False).hexdigest().upper()
        known = form.get("userid") == self._user_id and form.get("userpws") == password
        return known and hmac.compare_digest(signature.encode(), form.get("md5_str", "").encode())


def _described(recharge: Document) -> Document:
    return {
        "retcode": "1",
        "err_msg": "",
        "orderid": recharge["issuer_order_id"],
        "cardnum": str(recharge["amount_fen"] // 100),
        "ordercash": yuan(recharge["cost_fen"]),
        "cardname": "中石化加油卡" if recharge["brand"] == "SINOPEC" else "中石油加油卡",
        "sporder_id": recharge["attempt_id"],
        "game_state": STATES[recharge["state"]],
    }


def _notice(recharge: Document, _mode: str) -> bytes:
    told = {
        "ret_code": STATES[recharge["state"]],
        "sporder_id": recharge["attempt_id"],
        "ordersuccesstime": random_digits(14),
        "err_msg": "",
    }
    return urlencode(told, encoding=ENCODING).encode()


async def _form(request: Request) -> Form:
    return dict(parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True, encoding=ENCODING))


def _xml(**elements: str) -> Response:
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    body = f'<?xml version="1.0" encoding="gb2312"?><orderinfo>{inner}</orderinfo>'
    return Response(body.encode(ENCODING), media_type="text/xml")
