"""Alipay in this deployment: found in the settings first, and opened when every setting is right."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from gateways.alipay import Alipay
from gateways.alipay_bills import AlipayBills, BillLimits
from gateways.alipay_gateway import AlipayGateway, AlipayKeys
from gateways.key_source import KeySource
from gateways.signing import load_public_key
from kernel.settings import Settings

ALIPAY_URL = "https://openapi.alipay.com"


@dataclass(frozen=True, slots=True)
class FoundAlipay:
    """The guard and the address of each line, in the order in which they are tried, and the keys."""

    urls: tuple[tuple[str, str], ...]
    keys: AlipayKeys


def find_alipay(source: KeySource, settings: Settings) -> FoundAlipay | None:
    """Read what the settings say, noting what is wrong with it. None where Alipay is not offered."""
    if not settings.alipay_app:
        return None
    source.require("alipay_seller_id")
    signer = source.signer("alipay_private_key")
    alipay_key = source.key("alipay_public_key_path", load_public_key)
    url = source.url("alipay_url", ALIPAY_URL)
    if signer is None or alipay_key is None:
        return None
    second = (("alipay_second", settings.alipay_second_url),) if settings.alipay_second_url else ()
    return FoundAlipay(urls=(("alipay", url), *second), keys=AlipayKeys(signer=signer, alipay_key=alipay_key))


def alipay(settings: Settings, client: httpx.AsyncClient, keys: AlipayKeys) -> Alipay:
    gateway = AlipayGateway(
        client=client, keys=keys, app_id=settings.alipay_app, timeout_s=settings.third_party_timeout_s
    )
    sandbox_host = urlsplit(settings.sandbox_url).netloc
    bills = AlipayBills(
        client=client,
        hosts=frozenset({settings.alipay_bill_host, *((sandbox_host,) if settings.development else ())}),
        plain_http=settings.development,
        limits=BillLimits(settings.alipay_bill_size_max_bytes, settings.alipay_bill_timeout_s),
    )
    return Alipay(
        gateway=gateway,
        bills=bills,
        seller_id=settings.alipay_seller,
        notify_url=f"{settings.base_url}/callbacks/alipay",
        notice_age_max_s=settings.alipay_notice_age_max_s,
        notice_ahead_max_s=settings.callback_age_max_s,
    )
