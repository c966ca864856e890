"""The card issuer, as docs/issuer-protocol.md describes it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel.clock import SHANGHAI, utc_now
from kernel.settings import Settings
from sandbox.answers import Refused, callback_url, keep_silent, member, parse, positive, target_of, text
from sandbox.courier import Courier
from sandbox.crypto import (
    CLOCK_DIFFERENCE_MAX_S,
    NotOpenable,
    is_current,
    random_digits,
    random_text,
    seal,
    signature_matches,
    signature_of,
    unix_time,
    unseal,
)
from sandbox.faults import BILL_FAULTS, OK, Faults
from sandbox.issuer_bills import SIGNS, of_day, write_bill
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store

SENDER = "issuer"
UUID_PATTERN = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CARD_PATTERNS = {"SINOPEC": r"100011\d{13}", "PETROCHINA": r"9\d{15}"}
BASIS_POINTS = 10_000
REFUSAL = "卡状态异常，不能充值"
REVERSAL = "充值已冲正，金额已退回"
SHUT = "备付金不足，暂不受理"
ACCEPTING_FAULTS = frozenset({"accept_then_timeout", "refuse", "refuse_at_once", "silent", "stuck", "not_accepted"})
# What an answer itself ends a recharge as.
ENDED_AT_ONCE = {"refuse_at_once": ("REFUSED", REFUSAL), "not_accepted": ("NOT_ACCEPTED", SHUT)}
DEPOSIT_FEN = 100_000_000
OWNER, BLOCKED_TAIL, UNKNOWN_TAIL = "*伟", "0000", "9999"

Handler = Callable[[Request, Document], Awaitable[Document]]


def cost_fen(amount_fen: int, margin_basis_points: int) -> int:
    """Return what a recharge costs the partner: the amount less the margin, which is rounded half up to a fen."""
    return amount_fen - (amount_fen * margin_basis_points + BASIS_POINTS // 2) // BASIS_POINTS


class IssuerSandbox:
    def __init__(self, *, settings: Settings, keys: Keys, store: Store, faults: Faults, courier: Courier) -> None:
        self._settings, self._keys, self._store = settings, keys, store
        self._faults, self._courier = faults, courier
        # Nonces are remembered for as long as their timestamps would be accepted.
        self._seen_nonces: dict[str, datetime] = {}
        courier.add_sender(SENDER, lambda body: self._signature_headers(body, random_text(32)))

    def routes(self) -> list[Route]:
        recharges = "/issuer/v1/recharges"
        return [
            Route(recharges, self._signed(self._submit), methods=["POST"]),
            Route(f"{recharges}/{{attempt_id}}", self._signed(self._query), methods=["GET"]),
            Route("/issuer/v1/deposit", self._signed(self._deposit), methods=["GET"]),
            Route("/issuer/v1/card-checks", self._signed(self._check_card), methods=["POST"]),
            Route("/issuer/v1/bills/{day}", self._bill, methods=["GET"]),
        ]

    def resume(self) -> None:
        """Finish the recharges that a stop of the sandbox interrupted."""
        for recharge in self._store.where(Kind.RECHARGE, "state", "PROCESSING"):
            if recharge["settles_as"]:
                self._courier.start(self._settle_later(recharge["attempt_id"]), name="recharge")

    def _signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                self._assert_signed(request, body)
            except Refused as error:
                # Nothing vouches for who asked, so nothing is vouched for in the answer.
                return Response(_error(error), error.status, media_type="application/json")
            try:
                answer = await handler(request, parse(body) if request.method == "POST" else {})
                status, content = 200, json.dumps(answer, ensure_ascii=False).encode()
            except Refused as error:
                status, content = error.status, _error(error)
            headers = self._signature_headers(content, request.headers["Issuer-Nonce"])
            return Response(content, status, media_type="application/json", headers=headers)

        return endpoint

    def _assert_signed(self, request: Request, body: bytes) -> None:
        partner, signature = request.headers.get("Issuer-Partner"), request.headers.get("Issuer-Signature", "")
        timestamp, nonce = request.headers.get("Issuer-Timestamp", ""), request.headers.get("Issuer-Nonce", "")
        if partner != self._settings.issuer_partner_id:
            raise Refused(401, "PARTNER_UNKNOWN", "合作方不存在")
        if not is_current(timestamp):
            raise Refused(401, "TIMESTAMP_EXPIRED", "时间戳超出允许范围")
        lines = [request.method, target_of(request), timestamp, nonce, body.decode("utf-8", "replace")]
        if not re.fullmatch(r"[0-9A-Za-z]{16,64}", nonce) or not signature_matches(
            self._keys.partner_key, "\n".join(lines) + "\n", signature
        ):
            raise Refused(401, "SIGN_ERROR", "签名错误")
        now = utc_now()
        oldest = now - timedelta(seconds=2 * CLOCK_DIFFERENCE_MAX_S)
        self._seen_nonces = {seen: at for seen, at in self._seen_nonces.items() if at > oldest}
        if nonce in self._seen_nonces:
            raise Refused(401, "NONCE_REUSED", "随机串重复")
        self._seen_nonces[nonce] = now

    def _signature_headers(self, body: bytes, nonce: str) -> dict[str, str]:
        timestamp = unix_time()
        message = f"{timestamp}\n{nonce}\n{body.decode()}\n"
        return {
            "Issuer-Timestamp": timestamp,
            "Issuer-Nonce": nonce,
            "Issuer-Signature": signature_of(self._keys.issuer_key, message),
        }

    async def _submit(self, request: Request, given: Document) -> Document:
        if self._faults.take("issuer", among=frozenset({"error_500"})) != OK:
            raise Refused(500, "SYSTEM_ERROR", "系统异常")
        attempt_id = text(given, "attempt_id", UUID_PATTERN)
        brand = text(given, "brand", "|".join(CARD_PATTERNS))
        number = self._card_number(member(given, "card_number"), attempt_id)
        if not re.fullmatch(CARD_PATTERNS[brand], number):
            raise Refused(400, "CARD_NUMBER_INVALID", "卡号格式错误")
        wanted: Document = {
            "brand": brand,
            # Enough to notice another card under the same id; the number itself is not kept.
            "card_digest": hashlib.sha256(f"{attempt_id}:{number}".encode()).hexdigest(),
            "card_tail": number[-4:],
            "amount_fen": positive(given, "amount_fen"),
            "notify_url": callback_url(given),
        }
        recharge = self._store.get(Kind.RECHARGE, attempt_id)
        if recharge is not None:
            if any(recharge[name] != value for name, value in wanted.items()):
                raise Refused(409, "ATTEMPT_ID_REUSED", "同一请求号的内容不一致")
            return self._describe(recharge)
        mode = self._faults.take("issuer", among=ACCEPTING_FAULTS)
        recharge = self._accept(attempt_id, wanted, mode)
        if mode == "accept_then_timeout":
            await keep_silent(request)
        return self._describe(recharge)

    def _accept(self, attempt_id: str, wanted: Document, mode: str) -> Document:
        now = utc_now()
        state, reason = ENDED_AT_ONCE.get(mode, ("PROCESSING", ""))
        will = None if mode == "stuck" or state != "PROCESSING" else "REFUSED" if mode == "refuse" else "SUCCEEDED"
        recharge: Document = {
            **wanted,
            "attempt_id": attempt_id,
            "issuer_order_id": f"IC{now.astimezone(SHANGHAI):%Y%m%d%H%M%S}{random_digits(10)}",
            "state": state,
            "cost_fen": None,
            "reason": reason,
            "settles_as": will,
            "settled_at": None,
            "settles_at": (now + timedelta(milliseconds=self._faults.issuer_delay_ms)).isoformat(),
            "silent": mode == "silent",
            "created_at": now.isoformat(),
        }
        self._store.put(Kind.RECHARGE, attempt_id, recharge)
        if recharge["settles_as"]:
            self._courier.start(self._settle_later(attempt_id), name="recharge")
        return recharge

    async def _query(self, request: Request, _given: Document) -> Document:
        recharge = self._store.get(Kind.RECHARGE, request.path_params["attempt_id"])
        if recharge is None:
            raise Refused(404, "RECHARGE_NOT_FOUND", "充值单不存在")
        return self._describe(recharge)

    def _fail_where_down(self) -> None:
        if self._faults.take("issuer", among=frozenset({"down"})) != OK:
            raise Refused(500, "SYSTEM_ERROR", "系统异常")

    async def _deposit(self, _request: Request, _given: Document) -> Document:
        self._fail_where_down()
        spent = [each["cost_fen"] or 0 for each in self._store.where(Kind.RECHARGE, "state", "SUCCEEDED")]
        return {"available_fen": DEPOSIT_FEN - sum(spent)}

    async def _check_card(self, _request: Request, given: Document) -> Document:
        self._fail_where_down()
        reference = text(given, "reference", r"[0-9A-Za-z]{16,64}")
        number = self._card_number(member(given, "card_number"), reference)
        condition = {BLOCKED_TAIL: "BLOCKED", UNKNOWN_TAIL: "UNKNOWN_CARD"}.get(number[-4:], "USABLE")
        return {"reference": reference, "condition": condition, "owner": OWNER}

    async def _bill(self, request: Request) -> Response:
        """Answer with a file, which carries its own digest."""
        try:
            self._assert_signed(request, b"")
        except Refused as error:
            return Response(_error(error), error.status, media_type="application/json")
        fault = self._faults.take("issuer", among=BILL_FAULTS)
        if fault == "bill_not_ready":
            return Response(status_code=404)
        recharges = [each for state in SIGNS for each in self._store.where(Kind.RECHARGE, "state", state)]
        billed = of_day(recharges, request.path_params["day"])
        secret = self._keys.issuer_secret
        bill = write_bill(billed, secret=secret, digest="sha256", encoding="utf-8", fault=fault)
        return Response(bill, media_type="text/csv")

    async def _settle_later(self, attempt_id: str) -> None:
        recharge = self._store.get(Kind.RECHARGE, attempt_id)
        assert recharge is not None
        wait_s = (datetime.fromisoformat(recharge["settles_at"]) - utc_now()).total_seconds()
        await asyncio.sleep(max(0.0, wait_s))
        recharge = self._store.get(Kind.RECHARGE, attempt_id)
        if recharge is not None and recharge["state"] == "PROCESSING":
            self.settle(attempt_id, recharge["settles_as"])

    def settle(self, attempt_id: str, state: str) -> Document | None:
        """Bring a recharge to SUCCEEDED, REFUSED or REVERSED and say so in a callback with an id of its own.

        A settled one may be settled again, as an issuer that corrects or contradicts itself would. Only what has
        succeeded can be reversed: raises Refused. Returns nothing for an unknown recharge.
        """
        recharge = self._store.get(Kind.RECHARGE, attempt_id)
        if recharge is None:
            return None
        if state == "REVERSED" and recharge["state"] != "SUCCEEDED":
            raise Refused(409, "NOT_SUCCEEDED", "only a recharge that has succeeded can be reversed")
        if state != "REVERSED":
            margin = self._settings.issuer_margin_basis_points
            recharge["cost_fen"] = cost_fen(recharge["amount_fen"], margin) if state == "SUCCEEDED" else None
        recharge["state"], recharge["settled_at"] = state, utc_now().isoformat()
        recharge["reason"] = {"REFUSED": REFUSAL, "REVERSED": REVERSAL}.get(state, "")
        self._store.put(Kind.RECHARGE, attempt_id, recharge)
        if not recharge["silent"]:
            self._notify(recharge)
        return self._describe(recharge)

    def _notify(self, recharge: Document) -> None:
        nonce, associated_data = os.urandom(12), "recharge"
        document = {"partner_id": self._settings.issuer_partner_id, **self._describe(recharge)}
        plaintext = json.dumps(document, ensure_ascii=False).encode()
        event = f"RECHARGE.{recharge['state']}"
        envelope = {
            "id": f"IN{utc_now():%Y%m%d%H%M%S}{random_digits(14)}",
            "create_time": utc_now().isoformat(timespec="seconds"),
            "event_type": event,
            "resource": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": b64encode(nonce).decode(),
                "associated_data": associated_data,
                "ciphertext": seal(self._keys.issuer_secret, plaintext, nonce=nonce, associated_data=associated_data),
            },
        }
        self._courier.send(
            id=str(envelope["id"]),
            sender=SENDER,
            event=event,
            subject=recharge["attempt_id"],
            url=recharge["notify_url"],
            body=json.dumps(envelope, ensure_ascii=False).encode(),
        )

    def _card_number(self, sealed: Document, attempt_id: str) -> str:
        """Open the number, which is bound to its attempt, so that it cannot be moved into another request."""
        if sealed.get("algorithm") != "AEAD_AES_256_GCM" or sealed.get("associated_data") != attempt_id:
            raise Refused(400, "PARAM_ERROR", "card_number 不符合规则")
        try:
            nonce = b64decode(text(sealed, "nonce", r"[0-9A-Za-z+/]{16}"))
            ciphertext = text(sealed, "ciphertext", r"[0-9A-Za-z+/=]{1,1024}")
            secret = self._keys.issuer_secret
            return unseal(secret, ciphertext, nonce=nonce, associated_data=attempt_id).decode("ascii")
        except (NotOpenable, UnicodeDecodeError):
            raise Refused(400, "CARD_NUMBER_UNREADABLE", "卡号无法解密") from None

    def _describe(self, recharge: Document) -> Document:
        names = ("issuer_order_id", "state", "amount_fen", "cost_fen", "reason")
        return {"attempt_id": str(UUID(recharge["attempt_id"])), **{name: recharge[name] for name in names}}


def _error(error: Refused) -> bytes:
    return json.dumps({"code": error.code, "message": error.message}, ensure_ascii=False).encode()
