"""What a developer or a test does to the pretend world: log in, pay, break things, look. Loopback only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.aggregators import Aggregator
from sandbox.answers import Refused, json_endpoint
from sandbox.courier import AT_ONCE, ORDERS, Courier
from sandbox.faults import Faults, FaultUnknown
from sandbox.issuer import IssuerSandbox
from sandbox.store import Document, Kind, Store
from sandbox.tencent_face import OUTCOMES, TencentFaceSandbox
from sandbox.wechat_open import WeChatOpenSandbox
from sandbox.wechat_pay import PayRefused, WeChatPaySandbox

PAGE = Path(__file__).with_name("page.html")
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
SHOWN_MAX = 50
USER_LENGTH_MAX = 64
PACKAGE_PREFIX = "prepay_id="
RECHARGE_STATES = ("SUCCEEDED", "REFUSED", "REVERSED")
REFUND_STATES = ("SUCCESS", "ABNORMAL", "CLOSED")

StateOf = Callable[[], Document]


class Control:
    def __init__(
        self,
        *,
        store: Store,
        faults: Faults,
        courier: Courier,
        pay: WeChatPaySandbox,
        issuer: IssuerSandbox,
        login: WeChatOpenSandbox,
        face: TencentFaceSandbox,
        aggregators: Sequence[Aggregator] = (),
        more: Sequence[StateOf] = (),
    ) -> None:
        self._store, self._faults, self._courier = store, faults, courier
        self._pay, self._issuer, self._login, self._face = pay, issuer, login, face
        self._aggregators, self._more = aggregators, more

    def routes(self) -> list[Route]:
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/control/state", self._state, methods=["GET"]),
            Route("/control/wx-login", json_endpoint(self._wx_login), methods=["POST"]),
            Route("/control/pay", json_endpoint(self._pay_order), methods=["POST"]),
            Route("/control/face", json_endpoint(self._verify_face), methods=["POST"]),
            Route("/control/faults", json_endpoint(self._set_faults), methods=["POST"]),
            Route("/control/settle", json_endpoint(self._settle), methods=["POST"]),
            Route("/control/deposit", json_endpoint(self._set_deposit), methods=["POST"]),
            Route("/control/repeat-callbacks", json_endpoint(self._repeat_callbacks), methods=["POST"]),
        ]

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(PAGE.read_bytes(), headers={"Content-Security-Policy": PAGE_POLICY})

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "merchants": self._pay.merchants,
                "payments": self._store.newest(Kind.TRADE, SHOWN_MAX),
                "refunds": self._store.newest(Kind.REFUND, SHOWN_MAX),
                "recharges": [_without(each, "card_digest") for each in self._store.newest(Kind.RECHARGE, SHOWN_MAX)],
                "faces": self._store.newest(Kind.FACE, SHOWN_MAX),
                "callbacks": [_without(each, "body") for each in self._store.newest(Kind.DELIVERY, SHOWN_MAX)],
                "faults": self._faults.describe(),
                **{name: value for state_of in self._more for name, value in state_of().items()},
            }
        )

    def _wx_login(self, given: Document) -> Document:
        user = given.get("user", "demo")
        if not isinstance(user, str) or not 0 < len(user) <= USER_LENGTH_MAX:
            raise Refused(400, "PARAM_ERROR", f"user is a text of 1 to {USER_LENGTH_MAX} characters")
        return {"code": self._login.login(user), "openid": self._login.openid(user)}

    def _pay_order(self, given: Document) -> Document:
        prepay_id = given.get("prepay_id") or given.get("package")
        if not isinstance(prepay_id, str):
            raise Refused(400, "PARAM_ERROR", 'give "package" (of the payment parameters) or "prepay_id"')
        try:
            return self._pay.pay(prepay_id.removeprefix(PACKAGE_PREFIX), force=given.get("force") is True)
        except PayRefused as error:
            raise Refused(409, "NOT_PAYABLE", str(error)) from None

    def _verify_face(self, given: Document) -> Document:
        """Play the user in front of the camera: `{"token": …, "outcome": "passed", "failed" or "expired"}`."""
        token, outcome = given.get("token"), given.get("outcome")
        if not isinstance(token, str) or outcome not in OUTCOMES:
            raise Refused(400, "PARAM_ERROR", f"token is a text; outcome: {', '.join(OUTCOMES)}")
        return self._face.settle(token, str(outcome))

    def _set_faults(self, given: Document) -> Document:
        if given.pop("clear", None) is True:
            self._faults.clear()
        try:
            self._faults.set(given)
        except FaultUnknown as error:
            raise Refused(400, "PARAM_ERROR", str(error)) from None
        return self._faults.describe()

    def _settle(self, given: Document) -> Document:
        """Settle by hand, also what is settled already: `{"attempt_id" or "out_refund_no": …, "state": …}`."""
        state, attempt_id, refund_no = given.get("state"), given.get("attempt_id"), given.get("out_refund_no")
        settled: Document | None
        if isinstance(attempt_id, str) and state in RECHARGE_STATES:
            settled = self._settle_recharge(attempt_id, str(state))
        elif isinstance(refund_no, str) and state in REFUND_STATES:
            settled = self._pay.settle_refund(refund_no, str(state))
        else:
            known = f"attempt_id: {', '.join(RECHARGE_STATES)}; out_refund_no: {', '.join(REFUND_STATES)}"
            raise Refused(400, "PARAM_ERROR", known)
        if settled is None:
            raise Refused(404, "NOT_FOUND", "there is no such recharge or refund")
        return settled

    def _settle_recharge(self, attempt_id: str, state: str) -> Document | None:
        """Look for the recharge at the issuer, and at the aggregators by the number as they know it."""
        settled = self._issuer.settle(attempt_id, state)
        for books in self._aggregators:
            settled = settled or books.settle(attempt_id.replace("-", ""), state)
        return settled

    def _set_deposit(self, given: Document) -> Document:
        """Set what an aggregator has of our money: `{"issuer": "ofpay", "fen": …}`."""
        fen = given.get("fen")
        named = [books for books in self._aggregators if books.name == given.get("issuer")]
        if not named or not isinstance(fen, int) or isinstance(fen, bool) or fen < 0:
            names = ", ".join(books.name for books in self._aggregators)
            raise Refused(400, "PARAM_ERROR", f"issuer: {names}; fen is a whole number")
        named[0].set_deposit(fen)
        return named[0].state()

    def _repeat_callbacks(self, given: Document) -> Document:
        """Send every callback about `subject` (out_trade_no, out_refund_no or attempt_id) once more, held ones too.

        `order` is at_once, or oldest_first or newest_first, where each waits for the answer to the one before it.
        """
        subject, order = given.get("subject"), given.get("order", AT_ONCE)
        if not isinstance(subject, str) or order not in ORDERS:
            message = f"subject is an out_trade_no, an out_refund_no or an attempt_id; order: {', '.join(ORDERS)}"
            raise Refused(400, "PARAM_ERROR", message)
        return {"repeated": self._courier.repeat(subject, str(order))}


def _without(document: Document, name: str) -> Document:
    return {key: value for key, value in document.items() if key != name}
