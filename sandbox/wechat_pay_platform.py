"""The keys of the pretend WeChat Pay: their download, their rotation, and callbacks that are false."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.answers import Refused, json_endpoint, keep_silent, parse
from sandbox.crypto import random_digits, signature_of, unix_time
from sandbox.faults import Faults
from sandbox.keys import KEY_SIZE_BITS, PUBLIC_EXPONENT, new_serial
from sandbox.store import Document, Kind, Store
from sandbox.wechat_pay_desk import SENDER, Desk
from sandbox.wechat_pay_hand import MODES, OVERLAP_MAX_S, OVERLAP_S

STALE_S = 600
PROBE = "WECHATPAY/SIGNTEST/"

Trick = Callable[[Document], tuple[dict[str, str], bytes]]


@lru_cache(maxsize=1)
def _forgers_key() -> RSAPrivateKey:
    return generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS)


class WeChatPayPlatformSandbox:
    def __init__(self, *, desk: Desk, store: Store, faults: Faults) -> None:
        self._desk, self._hand, self._store, self._faults = desk, desk.hand, store, faults
        self._downloads = 0
        self._tricks: dict[str, Trick] = {
            "forged": lambda delivery: self._by_forger(delivery, self._hand.in_use),
            "unknown_serial": lambda delivery: self._by_forger(delivery, new_serial()),
            "altered": self._altered,
            "stale": lambda delivery: self._aged(delivery, STALE_S),
            "future": lambda delivery: self._aged(delivery, -STALE_S),
            "replayed": lambda delivery: (dict(delivery["headers"]), delivery["body"].encode()),
            "nonce_reused": self._nonce_reused,
            "probe": self._probe,
        }

    def routes(self) -> list[Route]:
        return [
            Route("/v3/certificates", self._download, methods=["GET"]),
            Route("/control/rotate-certificate", json_endpoint(self._rotate), methods=["POST"]),
            Route("/control/key-mode", json_endpoint(self._set_mode), methods=["POST"]),
            Route("/control/send-callback", self._send, methods=["POST"]),
        ]

    def state(self) -> Document:
        return {"platform": {**self._hand.describe(), "downloads": self._downloads}}

    async def _download(self, request: Request) -> Response:
        self._downloads += 1
        fault = self._faults.take("certificates", among=frozenset({"timeout", "forged", "wrong_key", "error_500"}))
        if fault == "timeout":
            await keep_silent(request)
        answer = await self._desk.signed(lambda _request, _given: self._certificates(fault))(request)
        if fault == "forged":
            message = f"{answer.headers['Wechatpay-Timestamp']}\n{answer.headers['Wechatpay-Nonce']}\n"
            body = bytes(answer.body).decode()
            answer.headers["Wechatpay-Signature"] = signature_of(_forgers_key(), f"{message}{body}\n")
        return answer

    async def _certificates(self, fault: str) -> Document:
        if fault == "error_500":
            raise Refused(500, "SYSTEM_ERROR", "系统异常，请稍后重试")
        found = self._hand.certificates()
        if fault == "wrong_key":
            for each in found["data"]:
                each["encrypt_certificate"]["associated_data"] = "another"
        return found

    def _rotate(self, given: Document) -> Document:
        """Change the certificate that signs: `{"overlap_s": how long the one before it still holds}`.

        With `{"publish_only": true}` a new one can be downloaded and signs nothing; `{"use": serial}` lets one sign.
        """
        overlap_s, serial = given.get("overlap_s", OVERLAP_S), given.get("use")
        if not isinstance(overlap_s, int) or isinstance(overlap_s, bool) or not 0 <= overlap_s <= OVERLAP_MAX_S:
            raise Refused(400, "PARAM_ERROR", f"overlap_s is a number of seconds up to {OVERLAP_MAX_S}")
        if serial is None:
            serial = self._hand.publish()
        elif not isinstance(serial, str) or self._store.get(Kind.CERTIFICATE, serial) is None:
            raise Refused(404, "NOT_FOUND", "there is no such certificate")
        if given.get("publish_only") is not True:
            self._hand.use(serial, overlap_s=overlap_s)
        return {"serial": serial, **self._hand.describe()}

    def _set_mode(self, given: Document) -> Document:
        """Sign by `{"mode": "certificates", "public_key" or "both"}`."""
        mode = given.get("mode")
        if mode not in MODES:
            raise Refused(400, "PARAM_ERROR", f"mode: {', '.join(MODES)}")
        self._hand.set_mode(str(mode))
        return self._hand.describe()

    async def _send(self, request: Request) -> Response:
        """Send the newest callback about `subject` as somebody else might, and tell the status of the answer."""
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            return JSONResponse({"code": "NOT_JSON", "message": "send application/json"}, 415)
        try:
            given = parse(await request.body())
            trick, delivery = self._tricks.get(str(given.get("how"))), self._newest(given.get("subject"))
            if trick is None or delivery is None:
                known = ", ".join(self._tricks)
                raise Refused(400, "PARAM_ERROR", f"subject has a callback that was tried; how: {known}")
            headers, body = trick(delivery)
        except Refused as error:
            return JSONResponse({"code": error.code, "message": error.message}, error.status)
        return JSONResponse({"status": await self._desk.courier.post(delivery["url"], headers, body)})

    def _newest(self, subject: object) -> Document | None:
        found = self._store.where(Kind.DELIVERY, "subject", subject) if isinstance(subject, str) else []
        tried = [each for each in found if each["sender"] == SENDER and each.get("headers")]
        return tried[-1] if tried else None

    def _by_forger(self, delivery: Document, serial: str) -> tuple[dict[str, str], bytes]:
        body = delivery["body"].encode()
        timestamp, nonce = unix_time(), random_digits(32)
        signature = signature_of(_forgers_key(), f"{timestamp}\n{nonce}\n{delivery['body']}\n")
        headers = {"Timestamp": timestamp, "Nonce": nonce, "Serial": serial, "Signature": signature}
        return {f"Wechatpay-{name}": value for name, value in headers.items()}, body

    def _altered(self, delivery: Document) -> tuple[dict[str, str], bytes]:
        body = bytearray(delivery["body"].encode())
        headers = self._hand.headers(bytes(body))
        body[len(body) // 2] ^= 1
        return headers, bytes(body)

    def _aged(self, delivery: Document, age_s: int) -> tuple[dict[str, str], bytes]:
        body = delivery["body"].encode()
        return self._hand.headers(body, age_s=age_s), body

    def _nonce_reused(self, delivery: Document) -> tuple[dict[str, str], bytes]:
        envelope = json.loads(delivery["body"])
        body = json.dumps({**envelope, "id": f"EV-{random_digits(26)}"}, ensure_ascii=False).encode()
        before = delivery["headers"]
        return self._hand.headers(body, serial=before["Wechatpay-Serial"], nonce=before["Wechatpay-Nonce"]), body

    def _probe(self, delivery: Document) -> tuple[dict[str, str], bytes]:
        body = delivery["body"].encode()
        headers = self._hand.headers(body)
        return {**headers, "Wechatpay-Signature": f"{PROBE}{headers['Wechatpay-Signature']}"}, body
