"""What the tests of Alipay's gateway share: the channel on another connection, and notices in Alipay's own hand."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from domain.payments.ports import PrepayRequest
from gateways.alipay import Alipay
from gateways.assembly_alipay import alipay, find_alipay
from gateways.key_source import KeySource
from kernel.clock import SHANGHAI
from kernel.ids import new_id
from kernel.settings import SANDBOX_ALIPAY_APP_ID, SANDBOX_ALIPAY_SELLER_ID, Settings
from tests.gateways.stand_ins import create_prepay, now
from tests.sandbox_fixtures import Sandbox

PAYER = "2088102177777777"
HASHES: dict[str, HashAlgorithm] = {"RSA2": SHA256(), "RSA": SHA1()}  # noqa: S303


@asynccontextmanager
async def alipay_on(settings: Settings, transport: httpx.AsyncBaseTransport) -> AsyncIterator[Alipay]:
    found = find_alipay(KeySource(settings), settings)
    assert found is not None
    async with httpx.AsyncClient(base_url=settings.sandbox_url, transport=transport, trust_env=False) as client:
        yield alipay(settings, client, found.keys)


def shanghai(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Hand:
    """Alipay's own hand: it signs notices as the documentation says, without the code under test."""

    key: RSAPrivateKey

    def sign(self, message: bytes, sign_type: str = "RSA2") -> str:
        return b64encode(self.key.sign(message, PKCS1v15(), HASHES[sign_type])).decode()

    def form(self, **changes: str) -> dict[str, str]:
        at = shanghai(now())
        form = {
            "notify_id": new_id().hex,
            "notify_type": "trade_status_sync",
            "notify_time": at,
            "app_id": SANDBOX_ALIPAY_APP_ID,
            "seller_id": SANDBOX_ALIPAY_SELLER_ID,
            "out_trade_no": "order-1",
            "trade_no": "2026112922001400000000000001",
            "trade_status": "TRADE_SUCCESS",
            "total_amount": "500.00",
            "subject": "油卡充值 & 更多",
            "gmt_payment": at,
        }
        return form | changes

    def notice(self, form: Mapping[str, str], *, sign_type: str = "RSA2", said: str | None = "RSA2") -> bytes:
        """Return a signed notice; `said` is what it says of its signature."""
        pairs = sorted((name, value) for name, value in form.items() if value)
        signature = self.sign("&".join(f"{name}={value}" for name, value in pairs).encode(), sign_type)
        return urlencode({**form, **({"sign_type": said} if said is not None else {}), "sign": signature}).encode()


def old(days: float) -> str:
    return shanghai(now() - timedelta(days=days))


async def create_paid_trade(sandbox: Sandbox, channel: Alipay, **changes: Any) -> PrepayRequest:
    request = create_prepay(openid=PAYER, **changes)
    sandbox.pay_alipay(await channel.prepay(request))
    return request
