"""A server on a real port with a small schema, and a client that speaks graphql-transport-ws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

import strawberry
import uvicorn
import websockets
from graphql import GraphQLError
from joserfc.jwk import ECKey
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.config import StrawberryConfig
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from domain.budgets.operations import Budgets
from domain.events.ports import EventSource
from domain.events.queries import head
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.orders.policy import Policy
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.sealing import Sealer
from kernel.settings import Settings
from resolvers import loaders
from schema.extensions.documents import Schema
from schema.extensions.limits import Limits
from schema.types import enums as _enums  # noqa: F401 -- importing it registers them.
from schema.types.alerts import AlertStreamEvent
from schema.types.context import Info, Services
from schema.types.delivery import (
    LATEST_FOR_EVERYONE,
    LOSSLESS_FOR_VIEWER,
    DeliveryAudience,
    DeliveryDirective,
    DeliveryPolicy,
)
from schema.types.notices import ArrivalStreamEvent
from schema.types.order_events import OrderStreamEvent
from schema.types.price_events import PriceStreamEvent
from schema.types.relay import decode_cursor, encode_cursor
from schema.types.scalars import SCALARS, Yuan
from subscriptions import streams
from subscriptions.draining import Server
from subscriptions.frames import WebSocketConnection
from subscriptions.http_connections import http_connection
from subscriptions.requests import PersistedDocuments
from subscriptions.server import GraphQLApp
from tests.factories import SCOPES
from tests.services import find_free_port
from tests.subscriptions.documents import documents_of
from tests.subscriptions.support import eventually

TRANSPORT_WS = "graphql-transport-ws"
TIMEOUT_S = 60.0

TOKENS = TokenAuthority(
    key=ECKey.generate_key("P-256"), issuer="tests", audience="tests", lifetime=timedelta(seconds=3_600)
)


class TooMuch(YoukaError):
    code = "TOO_MUCH"
    messages = {"zh-CN": "最多 {maximum}", "en": "At most {maximum}"}


COUNTED: list[str] = []


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def whoami(self, info: Info) -> str | None:
        return str(info.context.viewer.user_id) if info.context.viewer else None

    @strawberry.field
    def locale(self, info: Info) -> str:
        return info.context.locale

    @strawberry.field
    def request_id(self, info: Info) -> str:
        return info.context.request_id

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("the password is hunter2")

    @strawberry.field
    def echo(self, times: int) -> str:
        return "0123456789" * times

    @strawberry.field
    async def slow(self) -> str:
        COUNTED.append("begun")
        await asyncio.sleep(30)
        COUNTED.append("once")
        return "at last"

    @strawberry.field
    def nothing(self) -> str:
        return cast(str, None)

    @strawberry.field
    def refused(self) -> str | None:
        raise TooMuch(maximum=5)

    @strawberry.field
    def meant(self) -> str | None:
        raise GraphQLError("as intended", extensions={"code": "MEANT", "minimum": 1})

    @strawberry.field
    def pay(self, amount: Yuan) -> str:
        return str(amount)

    @strawberry.field
    def extension(self, info: Info) -> str | None:
        return str((info.input_extensions or {}).get("name"))


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def count(self, waits_s: float = 0) -> int:
        if waits_s:
            COUNTED.append("begun")
            await asyncio.sleep(waits_s)
        COUNTED.append("once")
        return len(COUNTED)


async def ticks(info: Info, to: int, every_s: float = 0.0, breaks_at: int | None = None) -> AsyncGenerator[int, None]:
    for number in range(1, to + 1):
        if number == breaks_at:
            raise RuntimeError("the password is hunter2")
        yield number
        await asyncio.sleep(every_s)


@strawberry.type
class Entry:
    """One event of a stream that every test may write to."""

    cursor: str
    number: int
    padding: str

    @strawberry.field
    def read_by(self, info: Info) -> str | None:
        return str(info.context.viewer.user_id) if info.context.viewer else None


JOURNAL = "journal"


async def journal(info: Info, after: str | None = None) -> AsyncGenerator[Entry, None]:
    return _entries(info, await head(JOURNAL) if after is None else decode_cursor(after, str, int)[1])


async def own_journal(info: Info, after: str | None = None) -> AsyncGenerator[Entry, None]:
    return await journal(info, after)


async def _entries(info: Info, after: int) -> AsyncGenerator[Entry, None]:
    async for event in info.context.services.events.follow(JOURNAL, after=after):
        cursor = encode_cursor(event.stream, event.position)
        yield Entry(cursor=cursor, number=event.position, padding=event.payload.get("padding", ""))


async def locked(info: Info) -> AsyncGenerator[int, None]:
    raise TooMuch(maximum=5)


LOSSLESS_FOR_EVERYONE = DeliveryDirective(policy=DeliveryPolicy.LOSSLESS, audience=DeliveryAudience.EVERYONE)


@strawberry.type
class Subscription:
    # Type checkers take the attribute for what its resolver returns, which for a subscription is never so.
    ticks: Any = strawberry.subscription(resolver=ticks, graphql_type=int)
    # Of the journal nothing is left out; `ownJournal` is the same, shown to each user apart.
    journal: Any = strawberry.subscription(resolver=journal, graphql_type=Entry, directives=[LOSSLESS_FOR_EVERYONE])
    own_journal: Any = strawberry.subscription(
        resolver=own_journal, graphql_type=Entry, directives=[LOSSLESS_FOR_VIEWER]
    )
    locked: Any = strawberry.subscription(resolver=locked, graphql_type=int)
    arrivals: Any = strawberry.subscription(
        resolver=streams.arrivals, graphql_type=ArrivalStreamEvent, directives=[LOSSLESS_FOR_VIEWER]
    )
    order_updated: Any = strawberry.subscription(
        resolver=streams.order_updated, graphql_type=OrderStreamEvent, directives=[LOSSLESS_FOR_VIEWER]
    )
    price_changes: Any = strawberry.subscription(
        resolver=streams.price_changes, graphql_type=PriceStreamEvent, directives=[LATEST_FOR_EVERYONE]
    )
    alerts: Any = strawberry.subscription(
        resolver=streams.alerts, graphql_type=AlertStreamEvent, directives=[LOSSLESS_FOR_VIEWER]
    )


@lru_cache
def schema_with(limits: Limits) -> Schema:
    config = StrawberryConfig(scalar_map=SCALARS)
    return Schema(limits=limits, query=Query, mutation=Mutation, subscription=Subscription, config=config)


SCHEMA = schema_with(Limits())


class Silence:
    """An event source in which nothing happens."""

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[Any, None]:
        await asyncio.Event().wait()
        yield None


def token_of(user_id: UUID, *, now: datetime | None = None) -> str:
    return TOKENS.issue(user_id=user_id, client_id="tests", scopes=SCOPES, now=now or utc_now())


def bearer(viewer: Viewer) -> dict[str, str]:
    token = TOKENS.issue(user_id=viewer.user_id, client_id=viewer.client_id, scopes=viewer.scopes, now=utc_now())
    return {"Authorization": f"Bearer {token}"}


def bearer_of(user_id: UUID) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(user_id)}"}


def journal_cursor(position: int) -> str:
    """Return the cursor of the entry at a position of the journal."""
    return encode_cursor(JOURNAL, position)


def services_of(events: EventSource | None = None, **values: Any) -> Services:
    settings, stations = Settings(**{"cost_shown": False, **values}), StationIndex()
    return Services(
        settings=settings,
        third_parties=cast(Any, None),
        policy=Policy.of(settings),
        sealer=Sealer(bytes(32)),
        tokens=TOKENS,
        events=events or Silence(),
        stations=stations,
        prices=PriceFeed(stations),
        budgets=Budgets.of(settings),
    )


class Application:
    """`/graphql` without a router around it, as in the product."""

    def __init__(self, graphql: GraphQLApp) -> None:
        self.graphql, self.door, self.door_path = graphql, graphql.door, "/graphql"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["path"] == "/graphql"
        await self.graphql(scope, receive, send)


class Served(str):
    """`host:port` of a server that runs in this process."""

    server: Server
    graphql: GraphQLApp

    @property
    def cohorts(self) -> int:
        """How many different subscriptions are under way."""
        return self.graphql._engine.cohorts.size

    def listeners(self, stream: str) -> int:
        """How many operations have caught up with a stream and hear of its next event."""
        cohorts = [cohort for cohort, _ in self.graphql._engine.cohorts._cohorts.values()]
        return sum(member.live for cohort in cohorts if cohort.stream == stream for member in cohort.members)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def cut(self) -> int:
        """Break every connection the way a lost network does, and return how many there were."""
        connections = list(self.server.server_state.connections)
        for connection in connections:
            connection.transport.abort()
        return len(connections)


def application(
    services: Services, *, with_page: bool = False, documents: PersistedDocuments | None = None
) -> Application:
    def page() -> Response:
        return HTMLResponse("<title>GraphiQL</title>")

    graphql = GraphQLApp(
        schema_with(Limits.of(services.settings)),
        services,
        loaders=loaders.build,
        documents=documents or documents_of(services.settings),
        graphiql_page=page if with_page else None,
    )
    return Application(graphql)


@asynccontextmanager
async def serving(
    services: Services, *, documents: PersistedDocuments | None = None, **options: Any
) -> AsyncIterator[Served]:
    """Serve `/graphql` by uvicorn; the value is `host:port`."""
    port, app = find_free_port(), application(services, documents=documents)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        http=http_connection(services.settings),
        ws=WebSocketConnection,
        ws_max_size=services.settings.websocket_frame_size_max_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        timeout_graceful_shutdown=5,
        **{"proxy_headers": False, **options},
    )
    server = Server(config, drain=app.graphql.drain)
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        served = Served(f"127.0.0.1:{port}")
        served.server, served.graphql = server, app.graphql
        yield served
    finally:
        server.should_exit = True
        await running


class Client:
    """One connection; messages come one by one, each within TIMEOUT_S."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S):
            return cast(dict[str, Any], json.loads(await self.connection.recv()))

    async def initialise(self, payload: dict[str, Any] | None = None) -> None:
        await self.send({"type": "connection_init", **({} if payload is None else {"payload": payload})})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, *, id: str = "1", **payload: Any) -> None:
        await self.send({"id": id, "type": "subscribe", "payload": {"query": query, **payload}})

    async def data(self) -> Any:
        """Return the next answer's data; anything else fails the test."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def error_code(self) -> str:
        message = await self.receive()
        assert message["type"] == "error", message
        return cast(str, message["payload"][0]["extensions"]["code"])

    async def closed(self) -> tuple[int, str]:
        """Return the code and reason with which the server ends the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.connection.wait_closed()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def connecting(
    address: str, *, protocols: tuple[str, ...] = (TRANSPORT_WS,), **options: Any
) -> AsyncIterator[Client]:
    async with websockets.connect(
        f"ws://{address}/graphql", subprotocols=[Subprotocol(name) for name in protocols] or None, **options
    ) as connection:
        yield Client(connection)
