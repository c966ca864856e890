"""Listeners, signers, meddlers on the line and factories of requests that the gateways' tests share."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from domain.cards.ports import RechargeRequest
from domain.payments.ports import PaymentChannel, PrepayRequest, RefundRequest
from gateways.assembly_issuers import issuer, issuer_keys
from gateways.assembly_payments import wechat_pay, wechat_pay_keys, wires_of
from gateways.issuer import Issuer
from gateways.key_source import KeySource
from gateways.wechat_pay import WeChatPay
from kernel.ids import new_id, numbered
from kernel.settings import Settings
from kernel.states import CardBrand
from tests.sandbox_fixtures import Sandbox

CARD_NUMBER = "1000111234567890123"
AMOUNT_FEN = 50_000
TIMEOUT_S = 20.0
SHORT_TIMEOUT_S = 0.3
POLL_INTERVAL_S = 0.005
ARRIVAL_TIMEOUT_S = 60.0

# Reading the certificate authorities takes longer than most of these tests, and none of them speaks TLS.
TLS = httpx.create_ssl_context()


@dataclass
class Delivery:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Listener:
    """Stands where our callback endpoints would: remembers what arrives, answers with the statuses that it is given.

    It runs in threads of its own, which end before the listener does, so that no delivery is cut off with the loop of a
    test.
    """

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    _arrived: Condition = field(default_factory=Condition)

    async def wait_for(self, count: int) -> list[Delivery]:
        assert await asyncio.to_thread(self._wait_for, count), f"{len(self.deliveries)} of {count} callbacks came"
        return list(self.deliveries)

    def _wait_for(self, count: int) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.deliveries) >= count, ARRIVAL_TIMEOUT_S)

    async def one(self) -> Delivery:
        return (await self.wait_for(1))[0]

    def take(self, delivery: Delivery) -> int:
        with self._arrived:
            self.deliveries.append(delivery)
            self._arrived.notify_all()
        return self.statuses.pop(0) if self.statuses else 204


class Handler(BaseHTTPRequestHandler):
    listener: Listener
    timeout = 5

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.listener.take(Delivery(self.path, headers, body)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing; the deliveries are remembered."""


@contextmanager
def listening() -> Iterator[Listener]:
    class BoundHandler(Handler):
        listener = Listener()

    with ThreadingHTTPServer(("127.0.0.1", 0), BoundHandler) as server:
        server.daemon_threads = False
        listener = BoundHandler.listener
        listener.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(POLL_INTERVAL_S,))
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Signer:
    """Signs and seals as a third party does, with its own private key."""

    key: RSAPrivateKey
    secret: bytes = field(repr=False)
    serial: str

    def signature(self, *parts: str) -> str:
        message = "".join(f"{part}\n" for part in parts).encode()
        return b64encode(self.key.sign(message, PKCS1v15(), SHA256())).decode()

    def pay_headers(
        self, body: bytes, *, timestamp: int | str | None = None, nonce: str | None = None
    ) -> dict[str, str]:
        stamp, nonce = str(timestamp if timestamp is not None else int(time.time())), nonce or secrets.token_hex(16)
        return {
            "Wechatpay-Serial": self.serial,
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": self.signature(stamp, nonce, body.decode()),
        }

    def issuer_headers(
        self, body: bytes, *, timestamp: int | str | None = None, nonce: str | None = None
    ) -> dict[str, str]:
        stamp, nonce = str(timestamp if timestamp is not None else int(time.time())), nonce or secrets.token_hex(16)
        return {
            "Issuer-Timestamp": stamp,
            "Issuer-Nonce": nonce,
            "Issuer-Signature": self.signature(stamp, nonce, body.decode()),
        }

    def pay_notice(self, event: str, document: Any, *, kind: str = "transaction", **changes: Any) -> bytes:
        nonce = secrets.token_hex(6)
        resource = {
            "original_type": kind,
            "algorithm": "AEAD_AES_256_GCM",
            "associated_data": kind,
            "nonce": nonce,
            "ciphertext": self._seal(document, nonce.encode(), kind),
        }
        return json.dumps({"id": "EV-1", "event_type": event, "resource": resource, **changes}).encode()

    def issuer_notice(self, event: str, document: Any, **changes: Any) -> bytes:
        nonce = secrets.token_bytes(12)
        resource = {
            "algorithm": "AEAD_AES_256_GCM",
            "associated_data": "recharge",
            "nonce": b64encode(nonce).decode(),
            "ciphertext": self._seal(document, nonce, "recharge"),
        }
        return json.dumps({"id": "IN-1", "event_type": event, "resource": resource, **changes}).encode()

    def _seal(self, document: Any, nonce: bytes, associated_data: str) -> str:
        sealed = AESGCM(self.secret).encrypt(nonce, json.dumps(document).encode(), associated_data.encode())
        return b64encode(sealed).decode()


@lru_cache
def read_private_key(path: Path) -> RSAPrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


class Altering(httpx.AsyncBaseTransport):
    """The real connection to the sandbox, with a hand on the line that changes what comes back."""

    def __init__(self, alter: Callable[[httpx.Headers, bytes], bytes]) -> None:
        self._alter, self._inner = alter, httpx.AsyncHTTPTransport(verify=TLS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        await response.aclose()
        headers = httpx.Headers(response.headers)
        altered = self._alter(headers, body)
        headers["Content-Length"] = str(len(altered))
        return httpx.Response(response.status_code, headers=headers, content=altered)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def channel_on(
    settings: Settings, transport: httpx.AsyncBaseTransport, *, url: str = ""
) -> AsyncIterator[WeChatPay]:
    keys = wechat_pay_keys(KeySource(settings))
    assert keys is not None
    async with httpx.AsyncClient(base_url=url or settings.sandbox_url, transport=transport, trust_env=False) as client:
        _, (wire,) = wires_of(settings, keys, [client])
        sub_mchids = frozenset({settings.wechat_pay_sub_mchid, settings.backup_sub_mchid})
        yield wechat_pay(settings, wire, sub_mchid=settings.wechat_pay_sub_mchid, sub_mchids=sub_mchids)


@asynccontextmanager
async def issuer_on(settings: Settings, transport: httpx.AsyncBaseTransport) -> AsyncIterator[Issuer]:
    keys = issuer_keys(KeySource(settings))
    assert keys is not None
    async with httpx.AsyncClient(base_url=settings.sandbox_url, transport=transport, trust_env=False) as client:
        yield issuer(settings, client, keys)


def now() -> datetime:
    return datetime.now(UTC)


def create_prepay(**changes: Any) -> PrepayRequest:
    values: dict[str, Any] = {
        "out_trade_no": numbered(new_id(), 1),
        "amount_fen": AMOUNT_FEN,
        "description": "中石化加油卡充值 500.00 元",
        "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        "expires_at": now() + timedelta(minutes=15),
    }
    return PrepayRequest(**{**values, **changes})


async def create_paid_order(sandbox: Sandbox, channel: PaymentChannel) -> PrepayRequest:
    request = create_prepay()
    sandbox.pay(await channel.prepay(request))
    return request


def create_refund(paid: PrepayRequest, **changes: Any) -> RefundRequest:
    values: dict[str, Any] = {
        "out_trade_no": paid.out_trade_no,
        "out_refund_no": numbered(new_id(), 2),
        "amount_fen": paid.amount_fen,
        "total_fen": paid.amount_fen,
        "reason": "充值失败，原路退回",
    }
    return RefundRequest(**{**values, **changes})


def create_recharge(**changes: Any) -> RechargeRequest:
    values: dict[str, Any] = {
        "attempt_id": new_id(),
        "brand": CardBrand.SINOPEC,
        "card_number": CARD_NUMBER,
        "amount_fen": AMOUNT_FEN,
    }
    return RechargeRequest(**{**values, **changes})


def recharge_document(attempt_id: UUID) -> dict[str, Any]:
    return {
        "partner_id": "youka",
        "attempt_id": str(attempt_id),
        "issuer_order_id": "IC20260101000000",
        "state": "SUCCEEDED",
        "amount_fen": AMOUNT_FEN,
        "cost_fen": 49_750,
        "reason": "",
    }
