"""The peer in Python: strawberry's own ASGI application and subscriptions, as its documentation shows them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL

from bench.fanout.wire import FIRST_MILLIYUAN, PUBLISH_PATH, READY_PATH, SOURCE
from bench.processes import HOST
from kernel.clock import utc_now


@strawberry.type
class UnitPrice:
    milliyuan: int

    @strawberry.field
    def text(self) -> str:
        return f"¥{self.milliyuan // 1000}.{self.milliyuan % 1000:03d}/L"


@strawberry.type
class Price:
    product: str
    unit_price: UnitPrice
    effective_from: datetime
    source: str


@strawberry.type
class PriceChangeEvent:
    cursor: str
    price: Price
    previous: UnitPrice | None


SUBSCRIBERS: set[asyncio.Queue[int]] = set()


async def follow() -> AsyncGenerator[PriceChangeEvent, None]:
    queue: asyncio.Queue[int] = asyncio.Queue()
    SUBSCRIBERS.add(queue)
    try:
        while True:
            number = await queue.get()
            price = Price(
                product="GASOLINE_92",
                unit_price=UnitPrice(milliyuan=FIRST_MILLIYUAN + number),
                effective_from=utc_now(),
                source=SOURCE,
            )
            yield PriceChangeEvent(
                cursor=f"prices:{number}", price=price, previous=UnitPrice(milliyuan=FIRST_MILLIYUAN - 1)
            )
    finally:
        SUBSCRIBERS.discard(queue)


@strawberry.type
class Query:
    hello: str = "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def price_changes(self) -> AsyncGenerator[PriceChangeEvent, None]:
        async for event in follow():
            yield event


async def publish(request: Request) -> Response:
    number = int((await request.json())["number"])
    for queue in SUBSCRIBERS:
        queue.put_nowait(number)
    return JSONResponse({"number": number})


async def ready(_request: Request) -> Response:
    return PlainTextResponse("ready")


def main() -> int:
    graphql = GraphQL[None, None](strawberry.Schema(query=Query, subscription=Subscription))
    routes = [
        Route("/graphql", graphql),
        WebSocketRoute("/graphql", graphql),
        Route(PUBLISH_PATH, publish, methods=["POST"]),
        Route(READY_PATH, ready),
    ]
    uvicorn.run(
        Starlette(routes=routes),
        host=HOST,
        port=int(os.environ["PORT"]),
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
