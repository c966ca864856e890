"""The front door: settings, then what lives as long as the process, then routes. It composes and decides nothing."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from domain.identity.tokens import authority
from domain.orders.policy import Policy
from domain.stations.driving import DrivingDistances
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from domain.webhooks.policy import Policy as WebhookPolicy
from endpoints import callbacks, graphiql, health, oauth
from gateways.assembly import ThirdPartySettingsWrong, third_parties
from gateways.webhooks import sending
from jobs.assembly import relaying, working
from jobs.wakes import forwarding_wakes
from kernel import keys
from kernel.logs import configure_logging, get_logger
from kernel.pubsub import ShardingUnsupported, require_sharding
from kernel.settings import Settings, get_settings
from models.database import connected
from resolvers import loaders
from schema import root
from schema.extensions.trusted import TrustedDocuments
from schema.types.context import Services, Webhooks
from subscriptions.broadcasting import create_broadcast
from subscriptions.draining import REQUESTS_PATIENCE_S, Server
from subscriptions.frames import WebSocketConnection
from subscriptions.hub import Hub
from subscriptions.server import GraphQLApp
from subscriptions.webhook_admission import SchemaAdmission
from subscriptions.webhooks import delivering_webhooks

log = get_logger(__name__)

GRAPHQL_PATH = "/graphql"
# As uvicorn ends where it cannot start.
STARTUP_FAILED = 3


class NotStarted(RuntimeError):
    """A request came before the lifespan began or after it ended."""


class House:
    """Holds what lives as long as the application, for routes that are made before it does."""

    def __init__(self) -> None:
        self._schema = root.build()
        self._services: Services | None = None
        self._graphql: GraphQLApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application behind `/graphql`."""
        if self._graphql is None:
            raise NotStarted
        await self._graphql(scope, receive, send)

    async def drain(self) -> None:
        """End what is open behind `/graphql`."""
        if self._graphql is not None:
            await self._graphql.drain()

    @property
    def services(self) -> Services:
        if self._services is None:
            raise NotStarted
        return self._services

    @asynccontextmanager
    async def opened(self, settings: Settings) -> AsyncIterator[None]:
        """Open everything in the order of need; leaving closes it in the reverse order."""
        sealer = keys.sealer(settings)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(connected(settings.database))
            parties = await stack.enter_async_context(third_parties(settings))
            broadcast = await stack.enter_async_context(create_broadcast(settings))
            hub = Hub(broadcast, settings)
            stack.push_async_callback(hub.close)
            await stack.enter_async_context(relaying(broadcast, settings))
            await stack.enter_async_context(forwarding_wakes(settings.redis_url))
            if settings.runs_worker:
                await stack.enter_async_context(working(settings, parties, sealer))
            stations = StationIndex()
            await stations.current()
            sender = await stack.enter_async_context(sending(settings))
            poked = asyncio.Event()
            documents = TrustedDocuments.read(only=settings.trusted_documents_only)
            self._services = services = Services(
                settings=settings,
                third_parties=parties,
                policy=Policy.of(settings),
                sealer=sealer,
                tokens=authority(settings),
                events=hub,
                stations=stations,
                prices=PriceFeed(stations),
                driving=DrivingDistances(
                    parties.platforms.places,
                    keep_s=settings.driving_distances_keep_s,
                    keep_max=settings.driving_distances_kept_max,
                    pause_s=settings.tencent_lbs_pause_s,
                ),
                webhooks=Webhooks(
                    admission=SchemaAdmission(
                        self._schema, loaders=loaders.build, documents=documents, services=lambda: self.services
                    ),
                    sender=sender,
                    policy=WebhookPolicy.of(settings),
                    poke=poked.set,
                ),
            )
            await stack.enter_async_context(
                delivering_webhooks(self._schema, services=services, loaders=loaders.build, sender=sender, poked=poked)
            )
            self._graphql = GraphQLApp(
                self._schema,
                services,
                loaders=loaders.build,
                documents=documents,
                graphiql_page=graphiql.page if settings.development else None,
            )
            log.info("server.started", worker=settings.runs_worker)
            yield
            self._graphql = self._services = None


class Application(Starlette):
    """The routes, and before them `/graphql`: a connection that is kept for hours does not keep a router with it."""

    def __init__(self, house: House, **options: Any) -> None:
        super().__init__(**options)
        self.house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and scope["path"] == GRAPHQL_PATH:
            await self.house(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> Application:
    house = House()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with house.opened(settings):
            yield

    routes: list[BaseRoute] = [
        *callbacks.routes(lambda: house.services.third_parties, settings),
        *health.routes,
    ]
    if settings.development:
        routes += graphiql.routes()
        routes += oauth.routes(lambda: house.services.tokens, lambda: house.services.third_parties.login)
    return Application(house, routes=routes, lifespan=lifespan)


app = create_app(get_settings())


async def check(settings: Settings) -> None:
    """Read every key before anything starts.

    Raises KeyMissing, ThirdPartySettingsWrong or ShardingUnsupported, which name the settings.
    """
    keys.sealer(settings)
    keys.token_key(settings)
    await require_sharding(settings)
    async with third_parties(settings):
        pass


def main() -> int:
    settings = get_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    try:
        asyncio.run(check(settings))
    except (ThirdPartySettingsWrong, ShardingUnsupported, keys.KeyMissing) as error:
        sys.stderr.write(f"youka: {error}\n")
        return 2
    # What is loaded by now stays; a full collection that walks it would stop every request for a tenth of a second.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        ws=WebSocketConnection,
        ws_max_size=settings.websocket_frame_size_max_bytes,
        ws_per_message_deflate=False,
        # Conversations ask for signs of life themselves, by messages that a browser can answer.
        ws_ping_interval=None,
        timeout_graceful_shutdown=REQUESTS_PATIENCE_S,
        server_header=False,
    )
    server = Server(config, drain=app.house.drain)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else STARTUP_FAILED


if __name__ == "__main__":
    sys.exit(main())
