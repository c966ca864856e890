"""An aggregator of the juhe kind: forms in, JSON out, requests and callbacks signed by an MD5 in lower case."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.aggregators import Aggregator, NotTakenOn, World
from sandbox.answers import keep_silent
from sandbox.issuer_bills import yuan
from sandbox.keys import Keys
from sandbox.store import Document

NAME = "juhe"
BRANDS = {"1": "SINOPEC", "2": "PETROCHINA"}
STATES = {"PROCESSING": "0", "SUCCEEDED": "1", "REFUSED": "9", "REVERSED": "9"}
CODES = {
    "low_deposit": (208512, "当前账户可用余额不足"),
    "maintenance": (208513, "系统维护中"),
    "refuse_at_once": (208501, "不允许充值的卡号"),
    "unknown_code": (10014, "系统内部异常"),
}
SIGNED = {
    "onlineorder": ("proid", "cardnum", "game_userid", "orderid"),
    "ordersta": ("orderid",),
    "yue": (),
    "cardinfo": ("game_userid", "chargeType"),
    "bill": ("bill_date",),
}
UNKNOWN_ORDER, BAD_SIGN = (208505, "错误的订单号"), (208507, "校验值sign错误")
OWNER, BLOCKED_TAIL, UNKNOWN_TAIL = "*建华", "0000", "9999"

Form = dict[str, str]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class JuheSandbox:
    def __init__(self, *, world: World, keys: Keys) -> None:
        self._keys = keys
        self.books = Aggregator(NAME, world, secret=keys.juhe_key, encoding="utf-8", write_notice=self._notice)
        world.courier.add_sender(NAME, lambda _body: {"Content-Type": "application/x-www-form-urlencoded"})

    def routes(self) -> list[Route]:
        handlers: dict[str, Callable[[Form], Response]] = {
            "ordersta": self._query,
            "yue": self._balance,
            "cardinfo": self._card,
            "bill": self._bill,
        }
        root = "/juhe/ofpay/sinopec"
        return [
            Route(f"{root}/onlineorder", self._submit, methods=["POST"]),
            *(
                Route(f"{root}/{path}", self._plain(path, handler), methods=["POST"])
                for path, handler in handlers.items()
            ),
        ]

    async def _submit(self, request: Request) -> Response:
        if self.books.has_fault("error_500"):
            return Response("Internal Server Error", 500)
        form = await _form(request)
        if not self._is_signed(form, "onlineorder"):
            return _error(*BAD_SIGN)
        try:
            recharge = self.books.accept(
                attempt_id=form["orderid"],
                brand=BRANDS[form["chargeType"]],
                card_tail=form["game_userid"][-4:],
                amount_fen=int(form["cardnum"]) * 100,
                notify_url=form["notify_url"],
            )
        except NotTakenOn as refusal:
            return _error(*CODES[refusal.fault])
        if recharge["mode"] == "accept_then_timeout":
            await keep_silent(request)
        if recharge["mode"] == "error_500_after":
            return Response("Internal Server Error", 500)
        return _answer("提交充值成功", _described(recharge))

    def _plain(self, path: str, handler: Callable[[Form], Response]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            if self.books.has_fault("down"):
                return Response("Internal Server Error", 500)
            form = await _form(request)
            return handler(form) if self._is_signed(form, path) else _error(*BAD_SIGN)

        return endpoint

    def _query(self, form: Form) -> Response:
        recharge = self.books.find(form["orderid"])
        return _answer("查询成功", _described(recharge)) if recharge else _error(*UNKNOWN_ORDER)

    def _balance(self, _form: Form) -> Response:
        return _answer("查询成功", {"uid": "sandbox", "money": yuan(self.books.deposit_fen)})

    def _card(self, form: Form) -> Response:
        state = {BLOCKED_TAIL: "blocked", UNKNOWN_TAIL: "none"}.get(form["game_userid"][-4:], "normal")
        return _answer("查询成功", {"card_state": state, "username": OWNER})

    def _bill(self, form: Form) -> Response:
        bill = self.books.bill(form["bill_date"])
        return Response(status_code=404) if bill is None else Response(bill, media_type="text/csv")

    def _is_signed(self, form: Form, path: str) -> bool:
        message = self._keys.juhe_open_id + self._keys.juhe_key + "".join(form.get(name, "") for name in SIGNED[path])
        return form.get("key") == self._keys.juhe_key and hmac.compare_digest(_md5(message), form.get("sign", ""))

    def _notice(self, recharge: Document, mode: str) -> bytes:
        number, ours = recharge["issuer_order_id"], recharge["attempt_id"]
        key = "somebody else's" if mode == "forged" else self._keys.juhe_key
        told = {"sporder_id": number, "orderid": ours, "sta": STATES[recharge["state"]], "err_msg": ""}
        return urlencode({**told, "sign": _md5(key + number + ours)}).encode()


def _described(recharge: Document) -> Document:
    return {
        "cardnum": str(recharge["amount_fen"] // 100),
        "ordercash": yuan(recharge["cost_fen"]),
        "sporder_id": recharge["issuer_order_id"],
        "uorderid": recharge["attempt_id"],
        "game_state": STATES[recharge["state"]],
        "err_msg": "",
    }


async def _form(request: Request) -> Form:
    return dict(parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True))


def _answer(reason: str, result: Document) -> Response:
    return JSONResponse({"reason": reason, "result": result, "error_code": 0})


def _error(code: int, reason: str) -> Response:
    return JSONResponse({"reason": reason, "result": None, "error_code": code})
