"""A province's price platform: documents that somebody publishes by hand, and the ways in which they can be wrong."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kernel.clock import business_day, utc_now
from kernel.settings import Settings
from sandbox.answers import Refused, json_endpoint, keep_silent, target_of
from sandbox.crypto import is_current
from sandbox.faults import Faults
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store

PATH = "/price-platform/v1/documents"
LIMIT_MAX = 100
DRIFT_YUAN = 0.01
JUMP = 3
SOURCE = {"name": "沙箱价格平台", "url": "https://prices.example/notices"}


class PricePlatformSandbox:
    def __init__(self, *, settings: Settings, keys: Keys, store: Store, faults: Faults) -> None:
        self._settings, self._keys, self._store, self._faults = settings, keys, store, faults

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self._documents, methods=["GET"]),
            Route("/control/prices", json_endpoint(self._publish), methods=["POST"]),
        ]

    def state(self) -> Document:
        return {"price_documents": self._store.newest(Kind.PRICE_DOCUMENT, LIMIT_MAX)}

    def _publish(self, given: Document) -> Document:
        """Publish the next version: `{"province_code": …, "zones": {"A": {"92": 7.85}}, "adjusted_on": …}`."""
        province, zones = given.get("province_code"), given.get("zones")
        if not isinstance(province, str) or not isinstance(zones, dict) or not zones:
            raise Refused(400, "PARAM_ERROR", "province_code is a text; zones: codes with prices by product")
        known = self._store.where(Kind.PRICE_DOCUMENT, "province_code", province)
        document: Document = {
            "version": max((each["version"] for each in known), default=0) + 1,
            "province_code": province,
            "adjusted_on": str(given.get("adjusted_on") or business_day(utc_now()).isoformat()),
            "source": SOURCE,
            "zones": [
                {
                    "code": code,
                    "prices": [{"product": product, "yuan_per_litre": price} for product, price in prices.items()],
                }
                for code, prices in zones.items()
            ],
        }
        self._store.put(Kind.PRICE_DOCUMENT, f"{province}:{document['version']}", document)
        return document

    async def _documents(self, request: Request) -> Response:
        modes = frozenset({"timeout", "error_500", "garbage", "forged", "drift", "jump", "old_answer"})
        fault = self._faults.take("price_platform", among=modes)
        if fault == "timeout":
            await keep_silent(request)
        if fault in {"timeout", "error_500"}:
            return Response("Internal Server Error", 500)
        if not self._is_signed(request):
            return JSONResponse({"code": "UNSIGNED"}, 401)
        query = request.query_params
        since, limit = int(query.get("since", "0")), min(int(query.get("limit", "20")), LIMIT_MAX)
        found = self._store.where(Kind.PRICE_DOCUMENT, "province_code", query.get("province"))
        listed = [each for each in found if each["version"] >= since][:limit]
        if fault in {"drift", "jump"}:
            listed = [_altered(each, fault) for each in listed]
        body = json.dumps({"documents": listed}, ensure_ascii=False).encode()
        if fault == "garbage":
            body = b'{"documents": [{"version": 1, "zones": "\xe4\xbb\xb7'
        return self._signed(request, body, fault)

    def _is_signed(self, request: Request) -> bool:
        timestamp, nonce = request.headers.get("X-Price-Timestamp", ""), request.headers.get("X-Price-Nonce", "")
        message = f"GET\n{target_of(request)}\n{timestamp}\n{nonce}\n".encode()
        return (
            request.headers.get("X-Price-Key") == self._settings.price_platform_key_id
            and is_current(timestamp)
            and hmac.compare_digest(self._mac(message), request.headers.get("X-Price-Signature", ""))
        )

    def _signed(self, request: Request, body: bytes, fault: str) -> Response:
        nonce = "another" if fault == "old_answer" else request.headers["X-Price-Nonce"]
        timestamp = str(int(utc_now().timestamp()))
        signature = self._mac(f"{nonce}\n{timestamp}\n".encode() + body)
        if fault == "forged":
            body = body.replace(b'"yuan_per_litre": ', b'"yuan_per_litre": 1')
        headers = {"X-Price-Timestamp": timestamp, "X-Price-Signature": signature}
        return Response(body, media_type="application/json", headers=headers)

    def _mac(self, message: bytes) -> str:
        return hmac.new(self._keys.price_platform_secret.encode(), message, hashlib.sha256).hexdigest()


def _altered(document: Document, fault: str) -> Document:
    """Return the document with every price a little off, or far off."""

    def price(given: Any) -> Any:
        return round(given * JUMP, 2) if fault == "jump" else round(given + DRIFT_YUAN, 2)

    zones = [
        {**zone, "prices": [{**each, "yuan_per_litre": price(each["yuan_per_litre"])} for each in zone["prices"]]}
        for zone in document["zones"]
    ]
    return {**document, "zones": zones}
