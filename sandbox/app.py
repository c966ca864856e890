"""The sandbox as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from kernel.settings import Settings
from sandbox.aggregators import World
from sandbox.alipay import AlipaySandbox
from sandbox.answers import Silence, told_of_silence
from sandbox.bank import BankSandbox
from sandbox.control import Control
from sandbox.courier import Courier
from sandbox.faults import Faults
from sandbox.fulu import FuluSandbox
from sandbox.issuer import IssuerSandbox
from sandbox.juhe import JuheSandbox
from sandbox.keys import load_or_create
from sandbox.ofpay import OfpaySandbox
from sandbox.price_platform import PricePlatformSandbox
from sandbox.sms import SmsSandbox
from sandbox.store import Store
from sandbox.tencent_face import TencentFaceSandbox
from sandbox.tencent_lbs import TencentLbsSandbox
from sandbox.wechat_open import WeChatOpenSandbox
from sandbox.wechat_open_calls import WeChatOpenCallsSandbox
from sandbox.wechat_pay import WeChatPaySandbox
from sandbox.wechat_pay_bills import WeChatPayBillsSandbox
from sandbox.wechat_pay_contracts import WeChatPayContractsSandbox
from sandbox.wechat_pay_desk import Desk, merchants_of
from sandbox.wechat_pay_hand import Hand
from sandbox.wechat_pay_platform import WeChatPayPlatformSandbox
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
        desk = Desk(settings=settings, keys=keys, hand=Hand(keys, store), faults=faults, courier=courier)
        pay = WeChatPaySandbox(desk=desk, store=store)
        pay_keys = WeChatPayPlatformSandbox(desk=desk, store=store, faults=faults)
        bills, contracts = (
            WeChatPayBillsSandbox(desk=desk, store=store),
            WeChatPayContractsSandbox(desk=desk, store=store),
        )
        issuer = IssuerSandbox(settings=settings, keys=keys, store=store, faults=faults, courier=courier)
        login = WeChatOpenSandbox(settings=settings, keys=keys, store=store)
        face = TencentFaceSandbox(settings=settings, keys=keys, store=store, faults=faults)
        calls = WeChatOpenCallsSandbox(settings=settings, keys=keys, store=store, faults=faults, login=login)
        prices = PricePlatformSandbox(settings=settings, keys=keys, store=store, faults=faults)
        maps = TencentLbsSandbox(keys=keys, faults=faults)
        sms = SmsSandbox(settings=settings, keys=keys, store=store, faults=faults, otherwise=face.answer)
        alipay = AlipaySandbox(settings=settings, keys=keys, store=store, faults=faults, courier=courier)
        bank = BankSandbox(settings=settings, keys=keys, store=store, faults=faults)
        world = World(settings=settings, store=store, faults=faults, courier=courier)
        ofpay, juhe, fulu = (
            OfpaySandbox(world=world, keys=keys),
            JuheSandbox(world=world, keys=keys),
            FuluSandbox(world=world, keys=keys),
        )
        books = (ofpay.books, juhe.books, fulu.books)
        platforms = (calls, prices, maps, sms, pay_keys, contracts, alipay, bank)
        control = Control(
            store=store,
            faults=faults,
            courier=courier,
            pay=pay,
            issuer=issuer,
            login=login,
            face=face,
            aggregators=books,
            more=[platform.state for platform in (*platforms, *books)],
        )
        for party in (pay, bills, issuer, login, ofpay, juhe, fulu, *platforms, face, control):
            app.router.routes.extend(party.routes())
        for part in (courier, pay, contracts, issuer, *books):
            part.resume()
        try:
            yield
        finally:
            await courier.stop()
            store.close()

    log = Middleware(WireLog, path=settings.data_dir / "sandbox" / "wire.jsonl")
    silence = {Silence: told_of_silence}
    return Starlette(routes=routes, lifespan=lifespan, middleware=[log], exception_handlers=silence)
