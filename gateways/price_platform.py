"""The price platform of a province: `GET /price-platform/v1/documents`, signed both ways.

We know of no such platform whose protocol is public, so this one is ours (docs/price-platform.md): a request and its
answer each carry an HMAC-SHA256 over the bytes that count, with a secret that both sides hold.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from datetime import date
from decimal import Decimal
from typing import Any

import httpx

from domain.pricing.ports import PriceDocumentRefused, PriceSourceUnavailable, PublishedPrices
from domain.pricing.records import PriceRecord, RecordRefused
from domain.pricing.rules import milliyuan_of
from gateways.documents import Document, Malformed, child, text
from gateways.exchange import Answer, Unsettled, exchange
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.states import Product

PATH = "/price-platform/v1/documents"
KEY_HEADER, TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER = (
    "X-Price-Key",
    "X-Price-Timestamp",
    "X-Price-Nonce",
    "X-Price-Signature",
)
NONCE_LENGTH_BYTES = 16
CLOCK_SKEW_MAX_S = 300
ZONES_MAX = 200
PRICES_PER_ZONE_MAX = 20
VERSION_MAX = 2**53

log = get_logger(__name__)


def request_signature(secret: str, *, target: str, timestamp: str, nonce: str) -> str:
    return _mac(secret, f"GET\n{target}\n{timestamp}\n{nonce}\n".encode())


def answer_signature(secret: str, *, nonce: str, timestamp: str, body: bytes) -> str:
    """The answer repeats the request's nonce in what it signs, so that an old answer fits no other request."""
    return _mac(secret, f"{nonce}\n{timestamp}\n".encode() + body)


class PricePlatform:
    """Implements `domain.pricing.ports.PriceSource`."""

    def __init__(self, *, client: httpx.AsyncClient, key_id: str, secret: str, timeout_s: float) -> None:
        self._client, self._key_id, self._secret, self._timeout_s = client, key_id, secret, timeout_s

    async def documents(self, *, province_code: str, since_version: int, limit: int) -> list[PublishedPrices]:
        """Return the province's documents from a version on. Raises PriceSourceUnavailable or PriceDocumentRefused."""
        parameters = {"province": province_code, "since": str(since_version), "limit": str(limit)}
        try:
            answer = await exchange(self._client, lambda: self._request(parameters), budget_s=self._timeout_s)
            if answer.refused:
                raise Unsettled(f"status {answer.status}")
            self._verify(answer)
        except Unsettled as error:
            log.warning("price_platform.unavailable", reason=str(error))
            raise PriceSourceUnavailable from None
        try:
            documents = [_read(each, province_code) for each in _listed(answer.body, limit)]
        except (Malformed, RecordRefused, ValueError) as error:
            log.error("price_platform.document_refused", reason=str(error))
            raise PriceDocumentRefused(reason=str(error)) from None
        versions = [each.version for each in documents]
        if versions != sorted(set(versions)) or any(version < since_version for version in versions):
            raise PriceDocumentRefused(reason="the versions are not in order")
        return documents

    def _request(self, parameters: dict[str, str]) -> httpx.Request:
        request = self._client.build_request("GET", PATH, params=parameters)
        timestamp, nonce = str(int(utc_now().timestamp())), os.urandom(NONCE_LENGTH_BYTES).hex()
        request.headers[KEY_HEADER] = self._key_id
        request.headers[TIMESTAMP_HEADER], request.headers[NONCE_HEADER] = timestamp, nonce
        request.headers[SIGNATURE_HEADER] = request_signature(
            self._secret, target=request.url.raw_path.decode(), timestamp=timestamp, nonce=nonce
        )
        return request

    def _verify(self, answer: Answer) -> None:
        """Raises Unsettled where the answer is not the platform's answer to this request, now."""
        timestamp = answer.headers.get(TIMESTAMP_HEADER, "")
        signature = answer_signature(
            self._secret, nonce=answer.sent[NONCE_HEADER], timestamp=timestamp, body=answer.body
        )
        if not hmac.compare_digest(signature, answer.headers.get(SIGNATURE_HEADER, "")):
            raise Unsettled("the answer is not signed by the platform")
        current = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= len(str(VERSION_MAX))
        if not current or abs(utc_now().timestamp() - int(timestamp)) > CLOCK_SKEW_MAX_S:
            raise Unsettled("the answer is not of this moment")


def _listed(body: bytes, limit: int) -> list[Any]:
    try:
        # Prices are exact: a float would be another price.
        document = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except ValueError:
        raise Malformed("not JSON") from None
    listed = document.get("documents") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > limit:
        raise Malformed("documents is not a list of the length asked for")
    return listed


def _read(document: Any, province_code: str) -> PublishedPrices:
    if not isinstance(document, dict):
        raise Malformed("a document is not an object")
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or not 0 < version <= VERSION_MAX:
        raise Malformed("version is not a positive whole number")
    if text(document, "province_code") != province_code:
        raise Malformed("province_code is another one than was asked for")
    source = child(document, "source")
    name, url = text(source, "name"), text(source, "url")
    prices = [
        PriceRecord(province_code, text(zone, "code"), product, milliyuan, name, url)
        for zone in _objects(document, "zones", ZONES_MAX)
        for product, milliyuan in map(_price, _objects(zone, "prices", PRICES_PER_ZONE_MAX))
    ]
    if len({(each.zone_code, each.product) for each in prices}) != len(prices) or not prices:
        raise Malformed("a price is there twice, or none is")
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return PublishedPrices(
        province_code=province_code,
        version=version,
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
        adjusted_on=date.fromisoformat(text(document, "adjusted_on")),
        prices=prices,
    )


def _price(document: Document) -> tuple[Product, int]:
    return Product(text(document, "product")), milliyuan_of(document.get("yuan_per_litre"))


def _objects(document: Document, name: str, count_max: int) -> list[Document]:
    value = document.get(name)
    if not isinstance(value, list) or not 0 < len(value) <= count_max or not all(isinstance(x, dict) for x in value):
        raise Malformed(f"{name} is not a list of 1 to {count_max} objects")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _mac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
