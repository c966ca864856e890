"""The front door: settings, then what lives as long as the process, then routes. It composes and decides nothing."""

from __future__ import annotations

import kernel.collector  # isort: skip -- it is for what the others load.
import models  # noqa: F401  # isort: skip -- it must be there before Tortoise is.

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config

from domain.budgets.operations import Budgets
from domain.identity.tokens import authority
from domain.orders.policy import Policy
from domain.organisations.watching import membership_watch
from domain.stations.driving import DrivingDistances
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from domain.switches.switchboard import switchboard
from domain.webhooks.policy import Policy as WebhookPolicy
from endpoints import callbacks, device_page, finance_report, graphiql, health, metrics, oauth, sdl, sign_in
from endpoints.headers import SecurityHeaders
from endpoints.line import Line
from endpoints.oauth_requests import AddressLimit
from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from gateways.webhooks import sending
from jobs.assembly import relaying, watching, working
from jobs.wakes import forwarding_wakes
from kernel import keys
from kernel.headers import security_headers
from kernel.logs import configure_logging, get_logger
from kernel.pubsub import ShardingUnsupported, require_sharding
from kernel.resident import letting_go
from kernel.settings import Settings, get_settings
from kernel.shared_buckets import opened_buckets
from models.database import connected
from resolvers import loaders
from schema import root
from schema.extensions.limits import Limits
from schema.extensions.persisted import Persisted
from schema.extensions.persisted_stores import opened_store
from schema.extensions.trusted import TrustedDocuments
from schema.types.context import Services, Webhooks
from subscriptions.access import keeping_access
from subscriptions.broadcasting import create_broadcast
from subscriptions.door import Door
from subscriptions.draining import REQUESTS_PATIENCE_S, Server
from subscriptions.fragments import keeping_fragments, stations_of
from subscriptions.frames import WebSocketConnection
from subscriptions.http_connections import http_connection
from subscriptions.limits import address_of
from subscriptions.purging import hearing
from subscriptions.server import GraphQLApp
from subscriptions.usage import counting_usage
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

    def __init__(self, settings: Settings) -> None:
        self._schema = root.build(
            Limits.of(settings),
            page_size_max=settings.page_size_max,
            cache_size_max_bytes=settings.operation_cache_size_max_bytes,
            compiles=settings.compiled_execution,
        )
        self._loaders = partial(loaders.build, joined=settings.joined_loads)
        self._services: Services | None = None
        self._graphql: GraphQLApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application behind `/graphql`."""
        if self._graphql is None:
            raise NotStarted
        await self._graphql(scope, receive, send)

    @property
    def door(self) -> Door | None:
        """What answers plain requests to `/graphql`, as long as anything does."""
        return self._graphql.door if self._graphql is not None else None

    async def drain(self) -> None:
        """End what is open behind `/graphql`."""
        if self._graphql is not None:
            await self._graphql.drain()

    @property
    def services(self) -> Services:
        if self._services is None:
            raise NotStarted
        return self._services

    @property
    def access(self) -> oauth.Access:
        """What the authorization server uses of it."""
        services = self.services
        parties = services.third_parties
        return oauth.Access(services.tokens, parties.login, services.sealer, parties.platforms.sms)

    @asynccontextmanager
    async def opened(self, settings: Settings) -> AsyncIterator[None]:
        """Open everything in the order of need; leaving closes it in the reverse order."""
        sealer = keys.sealer(settings)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(connected(settings.database))
            parties = watching(await stack.enter_async_context(third_parties(settings)), settings)
            broadcast = await stack.enter_async_context(create_broadcast(settings))
            fragments = stations_of(settings)
            hub, kept = await stack.enter_async_context(hearing(broadcast, settings, fragments=fragments))
            await stack.enter_async_context(relaying(broadcast, settings))
            await stack.enter_async_context(forwarding_wakes(settings.redis_url))
            if settings.runs_worker:
                await stack.enter_async_context(working(settings, parties, sealer))
            board = switchboard(hub, poll_interval_s=settings.switch_poll_interval_ms / 1_000)
            switches = await stack.enter_async_context(board)
            memberships = await stack.enter_async_context(membership_watch(hub))
            stations = StationIndex()
            await stations.current()
            sender = await stack.enter_async_context(sending(settings))
            poked = asyncio.Event()
            tokens = authority(settings)
            budgets = Budgets.of(settings, await stack.enter_async_context(opened_buckets(settings)))
            await stack.enter_async_context(keeping_access(tokens, settings, sealer, budgets))
            usage = await stack.enter_async_context(counting_usage(settings))
            documents = TrustedDocuments.read(only=settings.trusted_documents_only)
            self._services = services = Services(
                settings=settings,
                third_parties=parties,
                policy=Policy.of(settings),
                sealer=sealer,
                tokens=tokens,
                events=hub,
                stations=stations,
                prices=PriceFeed(stations),
                switches=switches,
                memberships=memberships,
                budgets=budgets,
                estimates=self._schema,
                usage=usage,
                driving=DrivingDistances(
                    parties.platforms.places,
                    keep_s=settings.driving_distances_keep_s,
                    keep_max=settings.driving_distances_kept_max,
                    pause_s=settings.tencent_lbs_pause_s,
                ),
                webhooks=Webhooks(
                    admission=SchemaAdmission(
                        self._schema, loaders=self._loaders, documents=documents, services=lambda: self.services
                    ),
                    sender=sender,
                    policy=WebhookPolicy.of(settings),
                    poke=poked.set,
                ),
            )
            await stack.enter_async_context(
                delivering_webhooks(self._schema, services=services, loaders=self._loaders, sender=sender, poked=poked)
            )
            store = await stack.enter_async_context(opened_store(settings))
            self._graphql = GraphQLApp(
                self._schema,
                services,
                loaders=self._loaders,
                documents=Persisted(documents, store, size_max_bytes=settings.persisted_query_size_max_bytes),
                graphiql_page=graphiql.page if settings.development else None,
                kept=kept,
                fragments=await stack.enter_async_context(keeping_fragments(fragments, settings)),
            )
            log.info("server.started", worker=settings.runs_worker)
            yield
            self._graphql = self._services = None


class Application(Starlette):
    """The routes, and before them `/graphql`: a connection that is kept for hours does not keep a router with it."""

    def __init__(self, house: House, **options: Any) -> None:
        super().__init__(**options)
        self.house, self.door_path = house, GRAPHQL_PATH

    @property
    def door(self) -> Door | None:
        """What a server may ask by itself for the answer to a POST to `door_path`."""
        return self.house.door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and scope["path"] == GRAPHQL_PATH:
            await self.house(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> Application:
    house = House(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # Where the application is one of several in a process, what that holds is for others to say.
        async with house.opened(settings), letting_go() if __name__ == "__main__" else nullcontext():
            yield

    def address(request: HTTPConnection) -> str:
        return address_of(request, header=settings.client_address_header)

    refusals = AddressLimit(maximum=settings.oauth_refusals_per_address_max, window_s=settings.oauth_window_s)
    routes: list[BaseRoute] = [
        *callbacks.routes(lambda: house.services.third_parties, settings),
        *health.routes,
        *oauth.routes(lambda: house.access, settings, address, refusals),
        *sign_in.routes(lambda: house.services.sealer, settings, address),
        *device_page.routes(settings),
        *finance_report.routes(lambda: house.services.tokens, settings),
        *metrics.routes(settings),
        *sdl.routes(settings, tokens=lambda: house.services.tokens),
    ]
    if settings.development:
        routes += graphiql.routes()
    headers = Middleware(SecurityHeaders, headers=security_headers(settings))
    line = Middleware(Line, settings=settings, refusals=refusals, address_of=address)
    return Application(house, routes=routes, lifespan=lifespan, middleware=[headers, line])


app = create_app(get_settings())
kernel.collector.loaded(for_good=__name__ == "__main__")


async def check(settings: Settings) -> None:
    """Read every key before anything starts.

    Raises KeyMissing, KeyUnusable, ThirdPartySettingsWrong or ShardingUnsupported, which name the settings.
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
    except (ThirdPartySettingsWrong, ShardingUnsupported, keys.KeyMissing, keys.KeyUnusable) as error:
        sys.stderr.write(f"youka: {error}\n")
        return 2
    # What is there by now stays; a full collection that walks it would stop every request for a tenth of a second.
    gc.collect()
    gc.freeze()
    config = Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        http=http_connection(settings),
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
