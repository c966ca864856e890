"""The third parties of this deployment, with their keys read and their connections open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from pathlib import Path
from ssl import SSLContext
from typing import TypeVar

import httpx
from pydantic import SecretStr

from domain.orders.ports import ThirdParties
from domain.payments.ports import Channels
from gateways.assembly_platforms import find_platforms, open_platforms
from gateways.issuer import Issuer, IssuerKeys
from gateways.signing import KeyUnreadable, load_aes_key, load_private_key, load_public_key
from gateways.tc3 import Credentials
from gateways.tencent_face import TencentFace
from gateways.wechat_open import WeChatOpen
from gateways.wechat_pay import WeChatPay, WeChatPayKeys
from kernel.settings import Settings

WECHAT_PAY_URL = "https://api.mch.weixin.qq.com"
# The second domain that WeChat Pay names for the case that the first cannot be reached (备域名).
WECHAT_PAY_STANDBY_URL = "https://api2.mch.weixin.qq.com"
WECHAT_OPEN_URL = "https://api.weixin.qq.com"
TENCENT_FACE_URL = "https://faceid.tencentcloudapi.com"
# What says who we are and where we are found. Its defaults are the sandbox's, so production must say it.
OWN_SETTINGS = (
    "public_url",
    "wechat_pay_sp_appid",
    "wechat_pay_sp_mchid",
    "wechat_pay_sub_mchid",
    "wechat_open_app_id",
    "tencent_face_rule_id",
    "issuer_partner_id",
)
CONNECTIONS_MAX = 64
IDLE_CONNECTIONS_MAX = 16
IDLE_CONNECTION_LIFETIME_S = 30.0

K = TypeVar("K")


class ThirdPartySettingsWrong(Exception):
    """Settings of third parties that are missing or unreadable; the message names each of them."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("the third parties cannot be reached:\n  " + "\n  ".join(problems))


class KeySource:
    """Reads keys as the settings name them. In development the sandbox's own files stand in for what is not set."""

    def __init__(self, settings: Settings) -> None:
        self.problems: list[str] = []
        self._settings = settings
        self._sandbox_folder = settings.data_dir / "sandbox" / "keys"

    def url(self, name: str, real: str) -> str:
        given = str(getattr(self._settings, name))
        if given:
            return given
        if self._settings.development:
            return self._settings.sandbox_url
        return real or self.problem(name, "is not set", "")

    def text(self, name: str) -> str:
        given = getattr(self._settings, name)
        value = given.get_secret_value() if isinstance(given, SecretStr) else str(given)
        return value or self._from_sandbox(name, name)

    def require(self, *names: str) -> None:
        """Note each of the settings that is not given; in development the defaults do."""
        settings = self._settings
        for name in names:
            given = name in settings.model_fields_set and getattr(settings, name)
            if not given and not settings.development:
                self.problem(name, "is not set", None)

    def key(self, name: str, load: Callable[[bytes], K]) -> K | None:
        """Load the file that a `…_path` setting names."""
        path: Path | None = getattr(self._settings, name)
        try:
            pem = path.read_bytes() if path else self._from_sandbox(name, name.removesuffix("_path") + ".pem").encode()
            return load(pem) if pem else None
        except OSError as error:
            return self.problem(name, f"names {path}, which cannot be read: {error.strerror}", None)
        except KeyUnreadable as error:
            return self.problem(name, f"is {error}", None)

    def aes_key(self, name: str) -> bytes | None:
        value = self.text(name)
        try:
            return load_aes_key(value) if value else None
        except KeyUnreadable as error:
            return self.problem(name, f"is {error}", None)

    def _from_sandbox(self, name: str, file_name: str) -> str:
        if not self._settings.development:
            return self.problem(name, "is not set", "")
        path = self._sandbox_folder / file_name
        try:
            content = path.read_text("ascii").strip()
        except OSError:
            content = ""
        return content or self.problem(name, f"is not set, and {path} is not there: start the sandbox first", "")

    def problem(self, name: str, problem: str, stand_in: K) -> K:
        """Note what is wrong with a setting, and return what stands in for it until all are told."""
        self.problems.append(f"YOUKA_{name.upper()} {problem}")
        return stand_in


def wechat_pay_keys(source: KeySource) -> WeChatPayKeys | None:
    serial, platform_serial = source.text("wechat_pay_certificate_serial"), source.text("wechat_pay_platform_serial")
    merchant_key = source.key("wechat_pay_private_key_path", load_private_key)
    platform_key = source.key("wechat_pay_platform_key_path", load_public_key)
    api_v3_key = source.aes_key("wechat_pay_api_v3_key")
    if not (serial and platform_serial and merchant_key and platform_key and api_v3_key):
        return None
    return WeChatPayKeys(
        merchant_serial=serial,
        merchant_key=merchant_key,
        platform_keys={platform_serial: platform_key},
        api_v3_key=api_v3_key,
    )


def issuer_keys(source: KeySource) -> IssuerKeys | None:
    partner_key = source.key("issuer_private_key_path", load_private_key)
    issuer_key = source.key("issuer_public_key_path", load_public_key)
    secret = source.aes_key("issuer_secret")
    if not (partner_key and issuer_key and secret):
        return None
    return IssuerKeys(partner_key=partner_key, issuer_key=issuer_key, secret=secret)


def face_credentials(source: KeySource) -> Credentials:
    return Credentials(secret_id=source.text("tencent_secret_id"), secret_key=source.text("tencent_secret_key"))


def pay_routes(source: KeySource, settings: Settings) -> list[tuple[str, str]]:
    """Return the sub-merchant and the address of each route of WeChat Pay, in the order in which they are tried."""
    main, backup = settings.wechat_pay_sub_mchid, settings.backup_sub_mchid
    routes = [(main, source.url("wechat_pay_url", WECHAT_PAY_URL))]
    if not backup:
        if settings.wechat_pay_backup_url:
            source.problem("wechat_pay_backup_sub_mchid", "is not set, but YOUKA_WECHAT_PAY_BACKUP_URL is", None)
        return routes
    if backup == main:
        source.problem("wechat_pay_backup_sub_mchid", "is the main route's; a backup is another merchant", None)
    return [*routes, (backup, source.url("wechat_pay_backup_url", WECHAT_PAY_STANDBY_URL))]


@asynccontextmanager
async def third_parties(settings: Settings) -> AsyncIterator[ThirdParties]:
    """Open the third parties for as long as the context lasts. Raises ThirdPartySettingsWrong, naming every setting."""
    source = KeySource(settings)
    source.require(*OWN_SETTINGS)
    pay_keys, card_keys, credentials = wechat_pay_keys(source), issuer_keys(source), face_credentials(source)
    app_secret = source.text("wechat_open_app_secret")
    routes, open_url = pay_routes(source, settings), source.url("wechat_open_url", WECHAT_OPEN_URL)
    issuer_url, face_url = source.url("issuer_url", ""), source.url("tencent_face_url", TENCENT_FACE_URL)
    reached = find_platforms(source, settings, open_url=open_url, app_secret=app_secret, credentials=credentials)
    if source.problems or pay_keys is None or card_keys is None:
        raise ThirdPartySettingsWrong(source.problems)
    async with AsyncExitStack() as stack:

        async def client(url: str) -> httpx.AsyncClient:
            # Each third party, and each route, has a pool of its own, so that a slow one cannot starve the others.
            return await stack.enter_async_context(open_client_of(url, settings))

        sub_mchids = frozenset(sub_mchid for sub_mchid, _ in routes)
        channels = [
            wechat_pay(settings, await client(url), pay_keys, sub_mchid=sub_mchid, sub_mchids=sub_mchids)
            for sub_mchid, url in routes
        ]
        issuer = Issuer(
            client=await client(issuer_url),
            keys=card_keys,
            partner_id=settings.issuer_partner_id,
            notify_url=f"{settings.base_url}/callbacks/issuer",
            timeout_s=settings.third_party_timeout_s,
            age_max_s=settings.callback_age_max_s,
        )
        login = WeChatOpen(
            client=await client(open_url),
            app_id=settings.wechat_open_app_id,
            app_secret=app_secret,
            timeout_s=settings.third_party_timeout_s,
        )
        face = TencentFace(
            client=await client(face_url),
            credentials=credentials,
            rule_id=settings.tencent_face_rule_id,
            redirect_url=settings.tencent_face_redirect_url or settings.base_url,
            timeout_s=settings.third_party_timeout_s,
        )
        platforms = await open_platforms(reached, settings, client)
        yield ThirdParties(
            channels=Channels(routes=tuple(channels)), issuer=issuer, login=login, face=face, platforms=platforms
        )


def wechat_pay(
    settings: Settings, client: httpx.AsyncClient, keys: WeChatPayKeys, *, sub_mchid: str, sub_mchids: frozenset[str]
) -> WeChatPay:
    """Return the route by one sub-merchant; `sub_mchids` are those of every route."""
    return WeChatPay(
        client=client,
        keys=keys,
        app_id=settings.wechat_pay_sp_appid,
        mchid=settings.wechat_pay_sp_mchid,
        sub_mchid=sub_mchid,
        sub_mchids=sub_mchids,
        notify_url=f"{settings.base_url}/callbacks/wechat-pay",
        timeout_s=settings.third_party_timeout_s,
        age_max_s=settings.callback_age_max_s,
    )


@lru_cache(maxsize=1)
def _tls() -> SSLContext:
    # Reading the certificate authorities takes tens of milliseconds, so that is done once.
    return httpx.create_ssl_context(trust_env=False)


def open_client_of(url: str, settings: Settings) -> httpx.AsyncClient:
    """Return a client that ignores the machine's proxy settings, follows nothing and asks for uncompressed answers."""
    return httpx.AsyncClient(
        base_url=url,
        headers={"User-Agent": "youka", "Accept-Encoding": "identity"},
        timeout=settings.third_party_timeout_s,
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=IDLE_CONNECTIONS_MAX,
            keepalive_expiry=IDLE_CONNECTION_LIFETIME_S,
        ),
        verify=_tls(),
        trust_env=False,
    )
