"""The platforms beside the road of an order: found in the settings first, and opened when every setting is right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from domain.messages.ports import TemplateOf
from domain.orders.platforms import Platforms
from gateways.bank import BankKeys, EnterpriseBank
from gateways.price_platform import PricePlatform
from gateways.signing import Signer, load_public_key
from gateways.sms import TencentSms
from gateways.tc3 import Credentials
from gateways.tencent_lbs import TencentLbs
from gateways.wechat_open_api import WeChatOpenApi
from gateways.wechat_open_messages import WeChatMessages
from gateways.wechat_open_phone import WeChatPhones
from gateways.wechat_open_token import AccessTokens
from kernel.settings import Settings
from kernel.states import MessageTemplate

TENCENT_LBS_URL = "https://apis.map.qq.com"

TENCENT_SMS_URL = "https://sms.tencentcloudapi.com"
SMS_SETTINGS = ("tencent_sms_sdk_app_id", "tencent_sms_sign_name", "tencent_sms_template_id")

OpenClient = Callable[[str, str], Awaitable[httpx.AsyncClient]]


class Source(Protocol):
    """What reads settings and notes what is wrong with them."""

    def url(self, name: str, real: str) -> str: ...

    def text(self, name: str) -> str: ...

    def require(self, *names: str) -> None: ...

    def signer(self, name: str) -> Signer | None: ...

    def key(self, name: str, load: Callable[[bytes], RSAPublicKey]) -> RSAPublicKey | None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """Where each platform is; an empty address is one that this deployment does without."""

    open_url: str
    app_secret: str = field(repr=False)
    price_url: str
    price_secret: str = field(repr=False)
    lbs_url: str
    lbs_key: str = field(repr=False)
    lbs_secret: str = field(repr=False)
    sms_url: str
    credentials: Credentials
    bank_url: str = ""
    bank_keys: BankKeys | None = field(default=None, repr=False)


def find_platforms(
    source: Source, settings: Settings, *, open_url: str, app_secret: str, credentials: Credentials
) -> Found:
    """Read what the settings say, noting what is wrong with it."""
    price_url = optional_url(settings, settings.price_platform_url)
    wants_lbs = settings.development or settings.tencent_lbs_url or settings.tencent_lbs_key.get_secret_value()
    lbs_url = source.url("tencent_lbs_url", TENCENT_LBS_URL) if wants_lbs else ""
    bank_url = optional_url(settings, settings.bank_url)
    wants_sms = settings.development or settings.tencent_sms_sdk_app_id
    if wants_sms:
        source.require(*SMS_SETTINGS)
    return Found(
        open_url=open_url,
        app_secret=app_secret,
        price_url=price_url,
        price_secret=source.text("price_platform_secret") if price_url else "",
        lbs_url=lbs_url,
        lbs_key=source.text("tencent_lbs_key") if lbs_url else "",
        lbs_secret=source.text("tencent_lbs_secret") if lbs_url else "",
        sms_url=source.url("tencent_sms_url", TENCENT_SMS_URL) if wants_sms else "",
        credentials=credentials,
        bank_url=bank_url,
        bank_keys=_bank_keys(source) if bank_url else None,
    )


def _bank_keys(source: Source) -> BankKeys | None:
    source.require("bank_customer_id")
    signer, bank_key = source.signer("bank_private_key"), source.key("bank_public_key_path", load_public_key)
    return BankKeys(signer=signer, bank_key=bank_key) if signer and bank_key else None


def optional_url(settings: Settings, given: str) -> str:
    """Return where an optional platform is: nowhere where production does not say so."""
    return given or (settings.sandbox_url if settings.development else "")


async def open_platforms(found: Found, settings: Settings, client: OpenClient) -> Platforms:
    api = await _wechat_open(found, settings, client)
    return Platforms(
        phones=WeChatPhones(api=api, app_id=settings.wechat_open_app_id),
        messages=_messages(api, settings),
        prices=await _prices(found, settings, client),
        places=await _places(found, settings, client),
        sms=await _sms(found, settings, client),
        bank=await _bank(found, settings, client),
    )


async def _wechat_open(found: Found, settings: Settings, client: OpenClient) -> WeChatOpenApi:
    # Calls with a token have a pool of their own, so that messages cannot keep anybody from signing in.
    connections = await client(found.open_url, "wechat_open")
    tokens = AccessTokens(
        client=connections,
        app_id=settings.wechat_open_app_id,
        app_secret=found.app_secret,
        timeout_s=settings.third_party_timeout_s,
    )
    return WeChatOpenApi(client=connections, tokens=tokens, timeout_s=settings.third_party_timeout_s)


async def _prices(found: Found, settings: Settings, client: OpenClient) -> PricePlatform | None:
    if not found.price_url:
        return None
    return PricePlatform(
        client=await client(found.price_url, "price_platform"),
        key_id=settings.price_platform_key_id,
        secret=found.price_secret,
        timeout_s=settings.third_party_timeout_s,
    )


async def _places(found: Found, settings: Settings, client: OpenClient) -> TencentLbs | None:
    if not found.lbs_url:
        return None
    return TencentLbs(
        client=await client(found.lbs_url, "tencent_lbs"),
        key=found.lbs_key,
        secret=found.lbs_secret,
        timeout_s=settings.tencent_lbs_timeout_s,
    )


async def _sms(found: Found, settings: Settings, client: OpenClient) -> TencentSms | None:
    if not found.sms_url:
        return None
    return TencentSms(
        client=await client(found.sms_url, "tencent_sms"),
        credentials=found.credentials,
        region=settings.tencent_sms_region,
        sdk_app_id=settings.tencent_sms_sdk_app_id,
        sign_name=settings.tencent_sms_sign_name,
        template_id=settings.tencent_sms_template_id,
        timeout_s=settings.third_party_timeout_s,
    )


async def _bank(found: Found, settings: Settings, client: OpenClient) -> EnterpriseBank | None:
    if not found.bank_url or found.bank_keys is None:
        return None
    return EnterpriseBank(
        client=await client(found.bank_url, "bank"),
        keys=found.bank_keys,
        customer_id=settings.bank_customer_id,
        timeout_s=settings.third_party_timeout_s,
        age_max_s=settings.callback_age_max_s,
    )


def _messages(api: WeChatOpenApi, settings: Settings) -> WeChatMessages | None:
    given = {
        MessageTemplate.ARRIVAL: TemplateOf(settings.arrival_template_id, settings.wechat_open_arrival_keywords),
        MessageTemplate.PRICE_CHANGE: TemplateOf(settings.price_template_id, settings.wechat_open_price_keywords),
    }
    templates = {template: template_of for template, template_of in given.items() if template_of.id}
    if not templates:
        return None
    return WeChatMessages(api=api, templates=templates, program_state=settings.wechat_open_program_state)
