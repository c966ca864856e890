"""The third parties of this deployment, with their keys read and their connections open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from domain.orders.ports import ThirdParties
from domain.payments.ports import Channels
from gateways.assembly_alipay import alipay, find_alipay
from gateways.assembly_issuers import find_issuers, open_issuers
from gateways.assembly_payments import open_wechat_pay, pay_routes, wechat_pay_keys
from gateways.assembly_platforms import find_platforms, open_platforms
from gateways.connections import open_client_of
from gateways.guard import guarding
from gateways.key_source import KeySource, ThirdPartySettingsWrong
from gateways.tc3 import Credentials
from gateways.tencent_face import TencentFace
from gateways.wechat_open import WeChatOpen
from kernel.settings import Settings

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
)


def face_credentials(source: KeySource) -> Credentials:
    return Credentials(secret_id=source.text("tencent_secret_id"), secret_key=source.text("tencent_secret_key"))


@asynccontextmanager
async def third_parties(settings: Settings) -> AsyncIterator[ThirdParties]:
    """Open the third parties for as long as the context lasts. Raises ThirdPartySettingsWrong, naming every setting."""
    source = KeySource(settings)
    source.require(*OWN_SETTINGS)
    pay_keys, credentials = wechat_pay_keys(source), face_credentials(source)
    app_secret = source.text("wechat_open_app_secret")
    routes, open_url = pay_routes(source, settings), source.url("wechat_open_url", WECHAT_OPEN_URL)
    issuers, face_url = find_issuers(source, settings), source.url("tencent_face_url", TENCENT_FACE_URL)
    by_alipay = find_alipay(source, settings)
    reached = find_platforms(source, settings, open_url=open_url, app_secret=app_secret, credentials=credentials)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(source.close)
        await source.prove_signers()
        if source.problems or pay_keys is None:
            raise ThirdPartySettingsWrong(source.problems)
        guards = await stack.enter_async_context(guarding(settings))

        async def client(url: str, party: str) -> httpx.AsyncClient:
            # Each third party, and each route, has a pool of its own, so that a slow one cannot starve the others.
            return await stack.enter_async_context(open_client_of(url, settings, guard=guards.of(party)))

        pay = await open_wechat_pay(stack, settings, pay_keys, routes, client)
        by_others = [
            alipay(settings, await client(url, party), found.keys)
            for found in ([by_alipay] if by_alipay else [])
            for party, url in found.urls
        ]
        login = WeChatOpen(
            client=await client(open_url, "wechat_login"),
            app_id=settings.wechat_open_app_id,
            app_secret=app_secret,
            timeout_s=settings.third_party_timeout_s,
        )
        face = TencentFace(
            client=await client(face_url, "tencent_face"),
            credentials=credentials,
            rule_id=settings.tencent_face_rule_id,
            redirect_url=settings.tencent_face_redirect_url or settings.base_url,
            timeout_s=settings.third_party_timeout_s,
        )
        platforms = await open_platforms(reached, settings, client)
        yield ThirdParties(
            issuers=await open_issuers(issuers, client),
            channels=Channels(
                (*pay.routes, *by_others),
                alipay_payers=by_others[0] if by_others else None,
                contracts=pay.contracts,
            ),
            login=login,
            face=face,
            platforms=platforms,
            contracts=pay.contracts,
            health=guards,
        )
