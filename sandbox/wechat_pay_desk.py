"""What every part of the pretend WeChat Pay shares: signed requests, signed answers, sealed callbacks, faults."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from kernel.clock import SHANGHAI, utc_now
from kernel.settings import Settings
from sandbox.answers import Refused, parse, target_of
from sandbox.courier import Courier
from sandbox.crypto import is_current, random_digits, random_text, seal, signature_matches
from sandbox.faults import OK, Faults
from sandbox.keys import Keys
from sandbox.store import Document
from sandbox.wechat_pay_hand import SCHEME, Hand

SENDER = "wechat_pay"
NUMBER = r"[0-9A-Za-z_\-|*]{6,32}"

Handler = Callable[[Request, Document], Awaitable[Document | None]]


def merchants_of(settings: Settings) -> tuple[str, ...]:
    """Return the sub-merchants of the house: the main one, and that of the backup route where there is one."""
    return tuple(merchant for merchant in (settings.wechat_pay_sub_mchid, settings.backup_sub_mchid) if merchant)


class Desk:
    def __init__(self, *, settings: Settings, keys: Keys, hand: Hand, faults: Faults, courier: Courier) -> None:
        self.settings, self.hand, self.courier = settings, hand, courier
        self.merchants = merchants_of(settings)
        self._keys, self._faults = keys, faults
        courier.add_sender(SENDER, hand.headers)

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Check the signature of each request first, and sign each answer to one whose signature was good."""

        async def endpoint(request: Request) -> Response:
            body = await request.body()
            if not self.is_signed(request, body):
                refusal = {"code": "SIGN_ERROR", "message": "签名错误，请检查后再试"}
                return Response(json.dumps(refusal, ensure_ascii=False), 401, media_type="application/json")
            status = 200
            try:
                answer = await handler(request, parse(body) if request.method == "POST" else {})
            except Refused as error:
                status, answer = error.status, {"code": error.code, "message": error.message}
            content = b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode()
            headers = self.hand.headers(content, asked=request.headers.get("Wechatpay-Serial", "none"))
            if answer is None:
                return Response(status_code=204, headers=headers)
            return Response(content, status, media_type="application/json", headers=headers)

        return endpoint

    def is_signed(self, request: Request, body: bytes) -> bool:
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        given = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if scheme != SCHEME or given.get("mchid") != self.settings.wechat_pay_sp_mchid:
            return False
        if given.get("serial_no") != self._keys.merchant_serial or not is_current(given.get("timestamp", "")):
            return False
        try:
            lines = [request.method, target_of(request), given["timestamp"], given["nonce_str"], body.decode()]
            message = "\n".join(lines) + "\n"
            return signature_matches(self._keys.merchant_key, message, given["signature"])
        except (KeyError, UnicodeDecodeError):
            return False

    def merchant(self, given: Document, *, sp: bool = True) -> str:
        """Return the sub-merchant of a request: one of those that the service provider of the house acts for."""
        if sp and given.get("sp_mchid") != self.settings.wechat_pay_sp_mchid:
            raise Refused(400, "PARAM_ERROR", "sp_mchid 与签名的商户号不一致")
        merchant = given.get("sub_mchid")
        if merchant not in self.merchants:
            raise Refused(403, "NO_AUTH", "特约商户未授权")
        return str(merchant)

    def fail_if_asked(self, subject: str, merchant: str, *modes: str) -> None:
        if self._faults.take(subject, among=frozenset({"error_500", *modes}), merchant=merchant) != OK:
            raise Refused(500, "SYSTEM_ERROR", "系统异常，请稍后重试")

    def asked_for(self, mode: str, subject: str, merchant: str) -> bool:
        return self._faults.take(subject, among=frozenset({mode}), merchant=merchant) == mode

    def one_of(self, modes: frozenset[str], subject: str, merchant: str) -> str:
        return self._faults.take(subject, among=modes, merchant=merchant)

    def notify(self, event: str, kind: str, summary: str, *, subject: str, url: str, document: Document) -> None:
        """Seal a document into a callback about `subject`, and begin to deliver it."""
        now = utc_now().astimezone(SHANGHAI)
        nonce = random_text(12)
        plaintext = json.dumps(document, ensure_ascii=False).encode()
        envelope = {
            "id": f"EV-{now:%Y%m%d%H%M%S}{random_digits(12)}",
            "create_time": now.isoformat(timespec="seconds"),
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": summary,
            "resource": {
                "original_type": kind,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": seal(self._keys.api_v3_key, plaintext, nonce=nonce.encode(), associated_data=kind),
                "associated_data": kind,
                "nonce": nonce,
            },
        }
        self.courier.send(
            id=str(envelope["id"]),
            sender=SENDER,
            event=event,
            subject=subject,
            url=url,
            body=json.dumps(envelope, ensure_ascii=False).encode(),
        )
