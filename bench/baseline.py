"""The baseline as a server: the recharge mutation, `strawberry.asgi.GraphQL` on Starlette, and uvicorn.

A recharge writes the same rows as Youka's: order, idempotency key, transition, event with the head of its stream, job.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig
from tortoise.contrib.starlette import RegisterTortoise
from tortoise.functions import Sum
from tortoise.transactions import in_transaction

from bench.baseline_schema import SCALARS, Context, Info, Order, Query, Yuan, key_of, order
from domain.identity.tokens import TokenAuthority
from kernel.clock import start_of_business_day, utc_now
from kernel.ids import new_id
from kernel.keys import token_key
from kernel.settings import Settings, get_settings
from kernel.states import OrderState, RefundState, ReviewState
from models import database
from models.cards import FuelCard
from models.events import Event, EventStream
from models.identity import User
from models.jobs import Job
from models.orders import IdempotencyKey, OrderTransition, RechargeOrder

OPERATION = "createRecharge"
UNPAID = (OrderState.PENDING_PAYMENT, OrderState.PAYING)


@strawberry.input
class CreateRechargeInput:
    card_id: strawberry.ID
    amount: Yuan
    idempotency_key: str


@strawberry.interface
class UserError:
    code: str
    message: str


@strawberry.type
class RechargeRefused(UserError):
    pass


@strawberry.type
class CreateRechargeSuccess:
    order: Order


CreateRechargePayload = Annotated[CreateRechargeSuccess | RechargeRefused, strawberry.union("CreateRechargePayload")]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def create_recharge(self, info: Info, input: CreateRechargeInput) -> CreateRechargePayload:
        if info.context.user_id is None:
            raise PermissionError("sign in first")
        settings, now = get_settings(), utc_now()
        amount_fen = int(input.amount * 100)
        if not settings.recharge_amount_min_fen <= amount_fen <= settings.recharge_amount_max_fen:
            return RechargeRefused(code="AMOUNT_OUT_OF_RANGE", message="The amount is out of range")
        async with in_transaction():
            user = await User.select_for_update().get(id=info.context.user_id)
            input_hash = hashlib.sha256(f"{input.card_id}:{amount_fen}".encode()).hexdigest()
            known = await IdempotencyKey.get_or_none(user=user, operation=OPERATION, key=input.idempotency_key)
            if known and known.input_hash != input_hash:
                return RechargeRefused(code="IDEMPOTENCY_CONFLICT", message="The key was used with another input")
            if known:
                return CreateRechargeSuccess(order=order(await RechargeOrder.get(id=known.result_id)))
            card = await FuelCard.get_or_none(id=key_of(input.card_id), user=user)
            if card is None:
                return RechargeRefused(code="CARD_NOT_FOUND", message="There is no such card")
            if not await within_limits(user, amount_fen, settings, now):
                return RechargeRefused(code="LIMIT_REACHED", message="A limit was reached")
            row = await write_order(user, card, amount_fen, settings, now)
            await IdempotencyKey.create(
                id=new_id(), user=user, operation=OPERATION, key=input.idempotency_key, input_hash=input_hash,
                result_id=row.id, created_at=now,
            )  # fmt: skip
        return CreateRechargeSuccess(order=order(row))


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


class Server(GraphQL[Context, None]):
    def __init__(self, schema: strawberry.Schema, tokens: TokenAuthority) -> None:
        super().__init__(schema, graphql_ide=None)
        self._tokens = tokens

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        return Context(self._user_id(request.headers.get("authorization", "")))

    def _user_id(self, authorization: str) -> UUID | None:
        token = authorization.removeprefix("Bearer ")
        return self._tokens.authenticate(token, now=utc_now()).user_id if token else None


def create_app(settings: Settings) -> Starlette:
    tokens = TokenAuthority(
        key=token_key(settings),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        lifetime=timedelta(seconds=settings.token_lifetime_s),
    )
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map=SCALARS))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with RegisterTortoise(app, config=database.config(settings.database)):
            yield

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(
        routes=[Route("/graphql", Server(schema, tokens)), Route("/readyz", ready)],
        lifespan=lifespan,
    )


if __name__ == "__main__":
    given = get_settings()
    uvicorn.run(create_app(given), host=given.host, port=given.port, log_level="warning", access_log=False)
