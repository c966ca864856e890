"""The payment channels of this deployment: their keys and their routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from gateways.key_source import KeySource
from gateways.wechat_pay import WeChatPay
from gateways.wechat_pay_bills import BillLimits, WeChatPayBills
from gateways.wechat_pay_contracts import WeChatPayContracts
from gateways.wechat_pay_keyring import Keyring, KeysUnavailable, PlatformKey, read_given_key
from gateways.wechat_pay_wire import WeChatPayKeys, WeChatPayWire
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn

WECHAT_PAY_URL = "https://api.mch.weixin.qq.com"
# The second domain that WeChat Pay names for the case that the first cannot be reached (备域名).
WECHAT_PAY_STANDBY_URL = "https://api2.mch.weixin.qq.com"
# Each route fails by itself, so each has a guard of its own.
MAIN_PARTY, SECOND_PARTY, BACKUP_PARTY = "wechat_pay", "wechat_pay_second", "wechat_pay_backup"

OpenClient = Callable[[str, str], Awaitable[httpx.AsyncClient]]


@dataclass(frozen=True, slots=True)
class WeChatPayParties:
    """What stands for WeChat Pay: the routes in the order in which they are tried, and the contracts."""

    routes: tuple[WeChatPay, ...]
    contracts: WeChatPayContracts | None


def wechat_pay_keys(source: KeySource) -> WeChatPayKeys | None:
    serial = source.text("wechat_pay_certificate_serial")
    signer = source.signer("wechat_pay_private_key")
    api_v3_key = source.aes_key("wechat_pay_api_v3_key")
    given = [
        _given_key(source, "wechat_pay_platform_serial", "wechat_pay_platform_key_path"),
        _given_key(source, "wechat_pay_public_key_id", "wechat_pay_public_key_path"),
    ]
    if not (serial and signer and api_v3_key):
        return None
    return WeChatPayKeys(
        merchant_serial=serial,
        signer=signer,
        platform_keys=tuple(key for key in given if key),
        api_v3_key=api_v3_key,
    )


def _given_key(source: KeySource, serial_name: str, path_name: str) -> PlatformKey | None:
    """Read a key of the platform that is given by hand. It may be missing whole, since certificates are downloaded."""
    if not source.is_expected(serial_name, path_name):
        return None
    serial = source.text(serial_name)
    return source.key(path_name, lambda pem: read_given_key(serial, pem)) if serial else None


def pay_routes(source: KeySource, settings: Settings) -> list[tuple[str, str, str]]:
    """Return the guard, the sub-merchant and the address of each route, in the order in which they are tried."""
    main, backup = settings.wechat_pay_sub_mchid, settings.backup_sub_mchid
    routes = [(MAIN_PARTY, main, source.url("wechat_pay_url", WECHAT_PAY_URL))]
    if settings.wechat_pay_second_url:
        routes.append((SECOND_PARTY, main, settings.wechat_pay_second_url))
    if not backup:
        if settings.wechat_pay_backup_url:
            source.problem("wechat_pay_backup_sub_mchid", "is not set, but YOUKA_WECHAT_PAY_BACKUP_URL is", None)
        return routes
    if backup == main:
        source.problem("wechat_pay_backup_sub_mchid", "is the main route's; a backup is another merchant", None)
    return [*routes, (BACKUP_PARTY, backup, source.url("wechat_pay_backup_url", WECHAT_PAY_STANDBY_URL))]


def wires_of(
    settings: Settings, keys: WeChatPayKeys, clients: list[httpx.AsyncClient]
) -> tuple[Keyring, list[WeChatPayWire]]:
    """Return a wire for each client, and the keyring that they share: what one route learns every route knows."""
    wires: list[WeChatPayWire] = []

    async def download() -> list[PlatformKey]:
        problem = KeysUnavailable("there is no route")
        for wire in wires:
            try:
                return await wire.download_certificates()
            except KeysUnavailable as error:
                problem = error
        raise problem

    keyring = Keyring(download=download, given=keys.platform_keys)
    wires += [
        WeChatPayWire(
            client=client,
            keys=keys,
            keyring=keyring,
            mchid=settings.wechat_pay_sp_mchid,
            timeout_s=settings.third_party_timeout_s,
            age_max_s=settings.callback_age_max_s,
        )
        for client in clients
    ]
    return keyring, wires


def wechat_pay(settings: Settings, wire: WeChatPayWire, *, sub_mchid: str, sub_mchids: frozenset[str]) -> WeChatPay:
    """Return the route by one sub-merchant; `sub_mchids` are those of every route."""
    limits = BillLimits(size_max_bytes=settings.bill_size_max_bytes, timeout_s=settings.bill_timeout_s)
    return WeChatPay(
        wire=wire,
        bills=WeChatPayBills(wire=wire, sub_mchid=sub_mchid, limits=limits),
        app_id=settings.wechat_pay_sp_appid,
        sub_mchid=sub_mchid,
        sub_mchids=sub_mchids,
        notify_url=f"{settings.base_url}/callbacks/wechat-pay",
    )


def wechat_pay_contracts(settings: Settings, wire: WeChatPayWire) -> WeChatPayContracts | None:
    """Return the contracts of the main sub-merchant, or None where it has no plan for them."""
    if settings.plan_id is None:
        return None
    return WeChatPayContracts(
        wire=wire,
        app_id=settings.wechat_pay_sp_appid,
        sub_mchid=settings.wechat_pay_sub_mchid,
        plan_id=settings.plan_id,
        notify_url=f"{settings.base_url}/callbacks/wechat-pay-contract",
    )


async def open_wechat_pay(
    stack: AsyncExitStack,
    settings: Settings,
    keys: WeChatPayKeys,
    routes: list[tuple[str, str, str]],
    client: OpenClient,
) -> WeChatPayParties:
    """Open every route, and keep the platform's certificates fresh until the stack is left."""
    clients = [await client(url, party) for party, _, url in routes]
    keyring, wires = wires_of(settings, keys, clients)
    fresh = spawn(
        keyring.keep_fresh(interval_s=settings.wechat_pay_certificates_interval_s), name="platform certificates"
    )
    stack.push_async_callback(keyring.close)
    stack.push_async_callback(cancel_and_wait, fresh)
    sub_mchids = frozenset(sub_mchid for _, sub_mchid, _ in routes)
    opened = [
        wechat_pay(settings, wire, sub_mchid=sub_mchid, sub_mchids=sub_mchids)
        for wire, (_, sub_mchid, _) in zip(wires, routes, strict=True)
    ]
    return WeChatPayParties(tuple(opened), wechat_pay_contracts(settings, wires[0]))
