"""The bank of the escrow accounts: transfers by reference, each carried out once, and money that arrives by hand."""

from __future__ import annotations

import json
import uuid

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel.settings import Settings
from sandbox.answers import Refused, json_endpoint, keep_silent, member, parse, positive, target_of, text
from sandbox.crypto import is_current, signature_matches, signature_of, unix_time
from sandbox.faults import Faults
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store

SHOWN_MAX = 50
OWN_ACCOUNTS = ("operating", "reserve")
REFERENCE = r"[A-Za-z0-9:_.-]{4,96}"
END_STATES = ("DONE", "REFUSED")
SENDING = frozenset({"timeout", "error_500", "error_500_after", "refuse", "pending"})
ANSWERING = frozenset({"forged", "old_answer"})
ASKING = frozenset({"down"})


class BankSandbox:
    def __init__(self, *, settings: Settings, keys: Keys, store: Store, faults: Faults) -> None:
        self._settings, self._keys, self._store, self._faults = settings, keys, store, faults

    def routes(self) -> list[Route]:
        return [
            Route("/bank/v1/transfers", self._transfer, methods=["POST"]),
            Route("/bank/v1/transfers/{reference}", self._query, methods=["GET"]),
            Route("/bank/v1/arrivals/{reference}", self._arrival, methods=["GET"]),
            Route("/control/bank-arrival", json_endpoint(self._arrive), methods=["POST"]),
            Route("/control/bank-transfer", json_endpoint(self._settle), methods=["POST"]),
        ]

    def state(self) -> Document:
        return {
            "bank_transfers": self._store.newest(Kind.BANK_TRANSFER, SHOWN_MAX),
            "bank_arrivals": self._store.newest(Kind.BANK_ARRIVAL, SHOWN_MAX),
        }

    def _arrive(self, given: Document) -> Document:
        """Have money arrive on the operating account: `{"reference": …, "amount_fen": n}`."""
        reference = text(given, "reference", REFERENCE)
        arrival = {
            "reference": reference,
            "bank_reference": f"A{uuid.uuid4().hex}",
            "amount_fen": positive(given, "amount_fen"),
        }
        self._store.put(Kind.BANK_ARRIVAL, reference, arrival)
        return arrival

    def _settle(self, given: Document) -> Document:
        """Bring a transfer to its end: `{"reference": …, "state": "DONE" or "REFUSED"}`."""
        reference, state = text(given, "reference", REFERENCE), given.get("state")
        known = self._store.get(Kind.BANK_TRANSFER, reference)
        if known is None or state not in END_STATES:
            raise Refused(404, "NOT_FOUND", f"a reference that is known; state: {', '.join(END_STATES)}")
        self._store.put(Kind.BANK_TRANSFER, reference, {**known, "state": state, "reason": ""})
        return {**known, "state": state}

    async def _transfer(self, request: Request) -> Response:
        body = await request.body()
        fault = self._faults.take("bank", among=SENDING)
        if fault == "error_500":
            return Response("Internal Server Error", 500)
        if not self._is_signed(request, body):
            return self._answer(request, {"code": "UNSIGNED"}, 401)
        try:
            document = self._accept(parse(body), fault)
        except Refused as error:
            return self._answer(request, {"code": error.code, "message": error.message}, error.status)
        if fault == "timeout":
            await keep_silent(request)
        if fault in {"timeout", "error_500_after"}:
            return Response("Internal Server Error", 500)
        return self._answer(request, document)

    def _accept(self, given: Document, fault: str) -> Document:
        """Carry a transfer out, or find it again under its reference; another content under it is refused."""
        reference, source = text(given, "reference", REFERENCE), text(given, "source", "|".join(OWN_ACCOUNTS))
        target = text(given, "target", "|".join((*OWN_ACCOUNTS, "payee")))
        wanted: Document = {"source": source, "target": target, "amount_fen": positive(given, "amount_fen")}
        if target == "payee":
            payee = member(given, "payee")
            text(payee, "name", r".{1,64}")
            text(payee, "bank_code", r"\d{12}")
            wanted["payee_tail"] = text(payee, "account", r"\d{8,30}")[-4:]
        known = self._store.get(Kind.BANK_TRANSFER, reference)
        if known is not None:
            if any(known.get(name) != value for name, value in wanted.items()):
                raise Refused(409, "REFERENCE_USED", "该流水号已用于另一笔转账")
            return {**known, "times_sent": self._count(known)}
        state = {"refuse": "REFUSED", "pending": "PENDING"}.get(fault, "DONE")
        document = {
            **wanted,
            "reference": reference,
            "bank_reference": f"B{uuid.uuid4().hex}",
            "state": state,
            "reason": "收款账户已销户" if state == "REFUSED" else "",
            "times_sent": 1,
        }
        self._store.put(Kind.BANK_TRANSFER, reference, document)
        return document

    def _count(self, known: Document) -> int:
        times = int(known["times_sent"]) + 1
        self._store.put(Kind.BANK_TRANSFER, known["reference"], {**known, "times_sent": times})
        return times

    async def _query(self, request: Request) -> Response:
        return self._find(request, Kind.BANK_TRANSFER, "TRANSFER_NOT_FOUND")

    async def _arrival(self, request: Request) -> Response:
        return self._find(request, Kind.BANK_ARRIVAL, "ARRIVAL_NOT_FOUND")

    def _find(self, request: Request, kind: Kind, unknown: str) -> Response:
        if self._faults.take("bank", among=ASKING) == "down":
            return Response("Internal Server Error", 500)
        if not self._is_signed(request, b""):
            return self._answer(request, {"code": "UNSIGNED"}, 401)
        document = self._store.get(kind, request.path_params["reference"])
        return self._answer(request, document) if document else self._answer(request, {"code": unknown}, 404)

    def _is_signed(self, request: Request, body: bytes) -> bool:
        timestamp, nonce = request.headers.get("X-Bank-Timestamp", ""), request.headers.get("X-Bank-Nonce", "")
        message = f"{request.method}\n{target_of(request)}\n{timestamp}\n{nonce}\n{body.decode()}\n"
        return (
            request.headers.get("X-Bank-Customer") == self._settings.bank_customer_id
            and is_current(timestamp)
            and signature_matches(self._keys.bank_customer_key, message, request.headers.get("X-Bank-Signature", ""))
        )

    def _answer(self, request: Request, document: Document, status: int = 200) -> Response:
        fault = self._faults.take("bank", among=ANSWERING)
        nonce = "another" if fault == "old_answer" else request.headers.get("X-Bank-Nonce", "")
        body, timestamp = json.dumps(document, ensure_ascii=False), unix_time()
        signature = signature_of(self._keys.bank_key, f"{nonce}\n{timestamp}\n{status}\n{body}\n")
        if fault == "forged":
            body = (
                body.replace('"PENDING"', '"DONE"')
                .replace('"REFUSED"', '"DONE"')
                .replace('"amount_fen": ', '"amount_fen": 1')
            )
        headers = {"X-Bank-Timestamp": timestamp, "X-Bank-Signature": signature}
        return Response(body, status, media_type="application/json", headers=headers)
