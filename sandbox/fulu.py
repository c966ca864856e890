"""An aggregator of the fulu kind: one gateway, JSON both ways, a signature over sorted characters."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.aggregators import Aggregator, NotTakenOn, World
from sandbox.answers import keep_silent
from sandbox.issuer_bills import yuan
from sandbox.keys import Keys
from sandbox.store import Document

NAME = "fulu"
PRODUCTS = {10005001: "SINOPEC", 10005002: "PETROCHINA"}
STATES = {"PROCESSING": "processing", "SUCCEEDED": "success", "REFUSED": "failed", "REVERSED": "refunded"}
CODES = {
    "low_deposit": (3005, "商户余额不足"),
    "maintenance": (3002, "商品维护中"),
    "refuse_at_once": (3010, "充值账号不支持"),
    "unknown_code": (1000, "系统异常"),
}
UNKNOWN_ORDER, BAD_SIGN = (2103, "订单不存在"), (1006, "签名错误")
OWNER, BLOCKED_TAIL, UNKNOWN_TAIL = "*秀英", "0000", "9999"


def signature_of(parameters: Document, secret: str) -> str:
    text = json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))
    return hashlib.md5(("".join(sorted(text)) + secret).encode(), usedforsecurity=False).hexdigest()


class FuluSandbox:
    def __init__(self, *, world: World, keys: Keys) -> None:
        self._keys, self._app_key = keys, world.settings.fulu_app_key
        self.books = Aggregator(NAME, world, secret=keys.fulu_app_secret, encoding="utf-8", write_notice=self._notice)
        world.courier.add_sender(NAME, lambda _body: {})

    def routes(self) -> list[Route]:
        return [Route("/fulu/api/getway", self._gateway, methods=["POST"])]

    async def _gateway(self, request: Request) -> Response:
        parameters = json.loads(await request.body())
        given = parameters.pop("sign", "")
        signed = hmac.compare_digest(signature_of(parameters, self._keys.fulu_app_secret), given)
        if not signed or parameters.get("app_key") != self._app_key:
            return self._answer(*BAD_SIGN)
        content, method = json.loads(parameters["biz_content"]), parameters["method"]
        if method == "fulu.order.direct.add":
            return await self._submit(request, content)
        if self.books.has_fault("down"):
            return Response("Internal Server Error", 500)
        handlers: dict[str, Callable[[Document], Response]] = {
            "fulu.order.info.get": self._query,
            "fulu.user.info.get": self._balance,
            "fulu.oil.card.get": self._card,
            "fulu.bill.get": self._bill,
        }
        return handlers[method](content)

    async def _submit(self, request: Request, content: Document) -> Response:
        if self.books.has_fault("error_500"):
            return Response("Internal Server Error", 500)
        yuan_part, _, rest = str(content["charge_value"]).partition(".")
        try:
            recharge = self.books.accept(
                attempt_id=content["customer_order_no"],
                brand=PRODUCTS[content["product_id"]],
                card_tail=content["charge_account"][-4:],
                amount_fen=int(yuan_part) * 100 + int(rest),
                notify_url=content["notify_url"],
            )
        except NotTakenOn as refusal:
            return self._answer(*CODES[refusal.fault])
        if recharge["mode"] == "accept_then_timeout":
            await keep_silent(request)
        if recharge["mode"] == "error_500_after":
            return Response("Internal Server Error", 500)
        return self._answer(0, "成功", _described(recharge))

    def _query(self, content: Document) -> Response:
        recharge = self.books.find(content["customer_order_no"])
        return self._answer(0, "成功", _described(recharge)) if recharge else self._answer(*UNKNOWN_ORDER)

    def _balance(self, _content: Document) -> Response:
        return self._answer(0, "成功", {"name": "sandbox", "balance": yuan(self.books.deposit_fen)})

    def _card(self, content: Document) -> Response:
        tail = content["charge_account"][-4:]
        state = {BLOCKED_TAIL: "blocked", UNKNOWN_TAIL: "none"}.get(tail, "normal")
        return self._answer(0, "成功", {"card_status": state, "owner": OWNER})

    def _bill(self, content: Document) -> Response:
        bill = self.books.bill(content["bill_date"])
        return Response(status_code=404) if bill is None else Response(bill, media_type="text/csv")

    def _notice(self, recharge: Document, mode: str) -> bytes:
        secret = "somebody else's" if mode == "forged" else self._keys.fulu_app_secret
        told = {**_described(recharge), "charge_finish_time": recharge["settled_at"], "buy_num": 1}
        return json.dumps({**told, "sign": signature_of(told, secret)}, ensure_ascii=False).encode()

    def _answer(self, code: int, message: str, result: Document | None = None) -> Response:
        answer = {
            "code": code,
            "message": message,
            "result": json.dumps(result, ensure_ascii=False) if result is not None else "",
        }
        signed = {**answer, "sign": signature_of(answer, self._keys.fulu_app_secret)}
        return Response(json.dumps(signed, ensure_ascii=False), media_type="application/json")


def _described(recharge: Document) -> Document:
    return {
        "order_id": recharge["issuer_order_id"],
        "customer_order_no": recharge["attempt_id"],
        "order_status": STATES[recharge["state"]],
        "charge_value": yuan(recharge["amount_fen"]),
        "price": yuan(recharge["cost_fen"]),
        "recharge_description": "",
    }
