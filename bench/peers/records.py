"""What the peers in Python answer from, whatever the framework: reads by key, for data loaders, and the recharge.

Written as the documentation of Tortoise and of data loaders has it, without caches; nothing here knows how Youka does
it. A recharge writes the same rows as Youka's: order, idempotency key, transition, event with its stream, job.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import cos, radians
from typing import TypeVar
from uuid import UUID, uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from strawberry.dataloader import DataLoader
from tortoise.contrib.starlette import RegisterTortoise
from tortoise.functions import Sum
from tortoise.transactions import in_transaction

from domain.identity.tokens import TokenAuthority, authority
from domain.stations.geo import distance_m
from kernel.clock import start_of_business_day, utc_now
from kernel.ids import new_id
from kernel.settings import Settings, get_settings
from kernel.states import OrderState, Product, RefundState, ReviewState
from models import database
from models.cards import FuelCard
from models.events import Event, EventStream
from models.identity import User
from models.jobs import Job
from models.ledger import LedgerAccount
from models.orders import IdempotencyKey, OrderTransition, RechargeOrder
from models.pricing import Price, PriceZone
from models.stations import Station

METRES_PER_DEGREE = 111_000
OPERATION = "createRecharge"
UNPAID = (OrderState.PENDING_PAYMENT, OrderState.PAYING)

Row = TypeVar("Row", PriceZone, FuelCard)


def global_id(name: str, key: UUID) -> str:
    return base64.urlsafe_b64encode(f"{name}:{key}".encode()).decode().rstrip("=")


def key_of(value: str) -> UUID:
    return UUID(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode().partition(":")[2])


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unit_yuan(milliyuan: int) -> str:
    return f"{milliyuan / 1000:.3f}".removesuffix("0")


class Context:
    """What each request gets: who asks, and fresh loaders."""

    def __init__(self, user_id: UUID | None) -> None:
        self.user_id = user_id
        self.zones = DataLoader(load_fn=load_zones)
        self.prices = DataLoader(load_fn=load_prices)
        self.cards = DataLoader(load_fn=load_cards)


def context_of(tokens: TokenAuthority, authorization: str) -> Context:
    """Raises TokenRefused."""
    token = authorization.removeprefix("Bearer ")
    return Context(tokens.authenticate(token, now=utc_now()).user_id if token else None)


def in_order(rows: list[Row], keys: list[UUID]) -> list[Row]:
    found = {row.id: row for row in rows}
    return [found[key] for key in keys]


async def load_zones(keys: list[UUID]) -> list[PriceZone]:
    return in_order(await PriceZone.filter(id__in=keys), keys)


async def load_cards(keys: list[UUID]) -> list[FuelCard]:
    return in_order(await FuelCard.filter(id__in=keys), keys)


async def load_prices(zone_ids: list[UUID]) -> list[list[Price]]:
    rows = await Price.filter(zone_id__in=zone_ids, effective_from__lte=utc_now()).order_by("effective_from")
    latest: dict[UUID, dict[Product, Price]] = defaultdict(dict)
    for row in rows:
        latest[row.zone_id][row.product] = row
    return [[latest[zone_id][product] for product in Product if product in latest[zone_id]] for zone_id in zone_ids]


async def station_by_id(station_id: str) -> Station | None:
    return await Station.get_or_none(id=key_of(station_id))


@dataclass(frozen=True, slots=True)
class Nearest:
    """Stations with their distances in metres, the nearest first."""

    found: list[tuple[int, Station]]
    has_more: bool


async def nearest(*, latitude: float, longitude: float, radius_m: int, first: int) -> Nearest:
    height = radius_m / METRES_PER_DEGREE
    width = height / cos(radians(latitude))
    rows = await Station.filter(
        latitude__gte=latitude - height,
        latitude__lte=latitude + height,
        longitude__gte=longitude - width,
        longitude__lte=longitude + width,
    )
    found = []
    for row in rows:
        distance = distance_m(latitude, longitude, row.latitude, row.longitude)
        if distance <= radius_m:
            found.append((round(distance * 1000), row.id, distance, row))
    found.sort(key=lambda one: one[:2])
    return Nearest([(round(distance), row) for _, _, distance, row in found[:first]], len(found) > first)


async def user_by_id(user_id: UUID | None) -> User | None:
    return await User.get_or_none(id=user_id) if user_id else None


async def balance_fen_of(user_id: UUID) -> int:
    account = await LedgerAccount.get_or_none(code=f"customer_prepaid:{user_id}")
    return -account.balance_fen if account else 0


async def orders_of(user_id: UUID, first: int) -> tuple[list[RechargeOrder], bool]:
    """Return the newest orders, and whether there are more."""
    rows = await RechargeOrder.filter(user_id=user_id).order_by("-id").limit(first + 1)
    return rows[:first], len(rows) > first


@dataclass(frozen=True, slots=True)
class Refused:
    code: str
    message: str


async def create_recharge(
    *, user_id: UUID | None, card_id: str, amount_fen: int, idempotency_key: str
) -> RechargeOrder | Refused:
    """Raises PermissionError where nobody is signed in."""
    if user_id is None:
        raise PermissionError("sign in first")
    settings, now = get_settings(), utc_now()
    if not settings.recharge_amount_min_fen <= amount_fen <= settings.recharge_amount_max_fen:
        return Refused("AMOUNT_OUT_OF_RANGE", "The amount is out of range")
    async with in_transaction():
        user = await User.select_for_update().get(id=user_id)
        input_hash = hashlib.sha256(f"{card_id}:{amount_fen}".encode()).hexdigest()
        known = await IdempotencyKey.get_or_none(user=user, operation=OPERATION, key=idempotency_key)
        if known and known.input_hash != input_hash:
            return Refused("IDEMPOTENCY_CONFLICT", "The key was used with another input")
        if known:
            return await RechargeOrder.get(id=known.result_id)
        card = await FuelCard.get_or_none(id=key_of(card_id), user=user)
        if card is None:
            return Refused("CARD_NOT_FOUND", "There is no such card")
        if not await within_limits(user, amount_fen, settings, now):
            return Refused("LIMIT_REACHED", "A limit was reached")
        row = await write_order(user, card, amount_fen, settings, now)
        await IdempotencyKey.create(
            id=new_id(), user=user, operation=OPERATION, key=idempotency_key, input_hash=input_hash,
            result_id=row.id, created_at=now,
        )  # fmt: skip
    return row


async def within_limits(user: User, amount_fen: int, settings: Settings, now: datetime) -> bool:
    mine = RechargeOrder.filter(user=user)
    if await mine.filter(state__in=UNPAID).count() >= settings.unpaid_orders_per_user_max:
        return False
    today = mine.filter(created_at__gte=start_of_business_day(now), state__not=OrderState.FAILED)
    (spent,) = await today.annotate(total=Sum("amount_fen")).values("total")
    return (spent["total"] or 0) + amount_fen <= settings.recharge_daily_max_fen


async def write_order(user: User, card: FuelCard, amount_fen: int, settings: Settings, now: datetime) -> RechargeOrder:
    row = await RechargeOrder.create(
        id=new_id(), user=user, card=card, amount_fen=amount_fen, price_fen=amount_fen,
        state=OrderState.PENDING_PAYMENT, version=1, refund_state=RefundState.NONE, review_state=ReviewState.NONE,
        pay_deadline_at=now + timedelta(seconds=settings.payment_deadline_s),
        created_at=now, updated_at=now,
    )  # fmt: skip
    await OrderTransition.create(
        id=new_id(), order=row, user_id=user.id, version=1, rule=1, trigger="CREATE",
        from_state=None, to_state=row.state, actor=f"user:{user.id}", reason="",
        request_id=str(uuid4()), occurred_at=now,
    )  # fmt: skip
    stream = f"order:{row.id}"
    payload = {"order_id": str(row.id), "state": row.state.value, "version": 1}
    await EventStream.create(name=stream, position=1)
    await Event.create(stream=stream, position=1, type="order.changed", payload=payload, occurred_at=now)
    await Job.create(
        id=new_id(), kind="expire_order", key=str(row.id), payload={"order_id": str(row.id)},
        due_at=row.pay_deadline_at, attempts=0, created_at=now,
    )  # fmt: skip
    return row


def serve(routes: Callable[[TokenAuthority], list[BaseRoute]]) -> None:
    """Run a peer's application with the database open, until the process is asked to end."""
    settings = get_settings()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with RegisterTortoise(app, config=database.config(settings.database)):
            yield

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ok")

    app = Starlette(routes=[*routes(authority(settings)), Route("/readyz", ready)], lifespan=lifespan)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", access_log=False)
