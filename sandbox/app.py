"""The sandbox as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from kernel.settings import Settings
from sandbox.control import Control
from sandbox.courier import Courier
from sandbox.faults import Faults
from sandbox.issuer import IssuerSandbox
from sandbox.keys import load_or_create
from sandbox.price_platform import PricePlatformSandbox
from sandbox.sms import SmsSandbox
from sandbox.store import Store
from sandbox.tencent_face import TencentFaceSandbox
from sandbox.tencent_lbs import TencentLbsSandbox
from sandbox.wechat_open import WeChatOpenSandbox
from sandbox.wechat_open_calls import WeChatOpenCallsSandbox
from sandbox.wechat_pay import WeChatPaySandbox, merchants_of
from sandbox.wire_log import WireLog


def create_app(settings: Settings) -> Starlette:
    """Build the sandbox. Its keys and its memory are below `data_dir / "sandbox"`; both are opened when it starts."""
    routes: list[Route] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        folder = settings.data_dir / "sandbox"
        keys = load_or_create(folder / "keys")
        store = Store(folder / "sandbox.db")
        faults = Faults(store, merchants=merchants_of(settings))
        courier = Courier(store, faults)
        pay = WeChatPaySandbox(settings=settings, keys=keys, store=store, faults=faults, courier=courier)
        issuer = IssuerSandbox(settings=settings, keys=keys, store=store, faults=faults, courier=courier)
        login = WeChatOpenSandbox(settings=settings, keys=keys, store=store)
        face = TencentFaceSandbox(settings=settings, keys=keys, store=store, faults=faults)
        calls = WeChatOpenCallsSandbox(settings=settings, keys=keys, store=store, faults=faults, login=login)
        prices = PricePlatformSandbox(settings=settings, keys=keys, store=store, faults=faults)
        maps = TencentLbsSandbox(keys=keys, faults=faults)
        sms = SmsSandbox(settings=settings, keys=keys, store=store, faults=faults, otherwise=face.answer)
        platforms = (calls, prices, maps, sms)
        control = Control(
            store=store,
            faults=faults,
            courier=courier,
            pay=pay,
            issuer=issuer,
            login=login,
            face=face,
            more=[platform.state for platform in platforms],
        )
        for party in (pay, issuer, login, *platforms, face, control):
            app.router.routes.extend(party.routes())
        for part in (courier, pay, issuer):
            part.resume()
        try:
            yield
        finally:
            await courier.stop()
            store.close()

    log = Middleware(WireLog, path=settings.data_dir / "sandbox" / "wire.jsonl")
    return Starlette(routes=routes, lifespan=lifespan, middleware=[log])
