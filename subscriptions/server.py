"""`/graphql` over HTTP, event streams and WebSocket: who asks, what is let in, and where it goes from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.contextvars import bind_contextvars, reset_contextvars

from kernel.headers import security_headers
from kernel.settings import Settings
from kernel.tagged_cache import TaggedCache
from schema.types.context import Context, Loaders, Services
from subscriptions import messages
from subscriptions.answers import answered, kept_or_answered, not_executed
from subscriptions.charging import Charging
from subscriptions.cohorts import Cohorts
from subscriptions.conversation import SUBPROTOCOL, Conversation, Desk
from subscriptions.deliveries import OperationRefused
from subscriptions.door import Door
from subscriptions.draining import Drain
from subscriptions.errors import internal_error
from subscriptions.execution import Executor, Prepared
from subscriptions.fragments import KeptFragments
from subscriptions.heads import Fixed, Head, RawHeaders, Reply, raw
from subscriptions.identity import viewer_of
from subscriptions.keeping import KeptAnswers
from subscriptions.limits import ConnectionLimitReached, ConnectionLimits, Place, ServerRestarting, address_of
from subscriptions.negotiation import EVENT_STREAM, locale_of, media_type_of, request_id_of, takes_events
from subscriptions.operations import Engine, Works
from subscriptions.origins import Origins
from subscriptions.reception import Reception
from subscriptions.refusals import check_allowed, failed, refused_entry
from subscriptions.requests import (
    Asked,
    PersistedDocuments,
    fields_of,
    query_of,
    read_asked,
    request_of,
)
from subscriptions.schemas import ExecutableSchema
from subscriptions.sse import EventStream, resumed
from subscriptions.wire import connection_of


class GraphQLApp:
    """The ASGI application behind `/graphql`.

    `loaders` builds the loaders of one operation; `documents` knows those that a request may name; `graphiql_page` is
    what a browser gets that asks for HTML, where the deployment has one. Answers are kept in `kept`, if that is there,
    and parts of them are taken from `fragments`.
    """

    def __init__(
        self,
        schema: ExecutableSchema,
        services: Services,
        *,
        loaders: Callable[[], Loaders],
        documents: PersistedDocuments,
        graphiql_page: Callable[[], Response] | None = None,
        kept: TaggedCache[Any] | None = None,
        fragments: KeptFragments | None = None,
    ) -> None:
        self._services, self._settings = services, services.settings
        self._graphiql_page = graphiql_page
        self._limits = ConnectionLimits(self._settings)
        self._origins = Origins(self._settings)
        self._connections = count()
        self._headers = Fixed(raw(security_headers(self._settings)))
        # Read for each request, and an attribute of the settings is looked for in many places.
        self._address_header = self._settings.client_address_header
        self._body_size_max = self._settings.request_body_size_max_bytes
        executor = Executor(schema, loaders=loaders, timeout_s=self._settings.operation_timeout_s, fragments=fragments)
        charging = Charging(schema, services.budgets, cost_of_refusal=self._settings.cost_of_refusal)
        self._reception = Reception(executor, documents, charging)
        self._engine = Engine(
            executor=executor,
            cohorts=Cohorts(executor, services.events, held_max=self._settings.subscription_queue_size_max),
            works=Works(),
            charging=charging,
            shows_cost=self._settings.cost_shown,
            kept=_kept_answers(kept, schema, self._settings),
        )
        self._desk = Desk(self._settings, self._engine, self._reception, self._origins)
        self.door = Door(
            services,
            self._engine,
            self._reception,
            self._origins,
            headers=self._headers,
            connections=self._connections,
        )
        self._drain = Drain(self._engine.works)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = WebSocket(scope, receive, send) if scope["type"] == "websocket" else Head(scope)
        context = self._context_of(connection)
        bound = bind_contextvars(request_id=context.request_id)
        try:
            if isinstance(connection, WebSocket):
                await self._converse(connection, context)
            else:
                await self._respond(connection, context, receive, send)
        except ClientDisconnect:
            return
        finally:
            reset_contextvars(**bound)

    def _context_of(self, connection: WebSocket | Head) -> Context:
        header = connection.headers.get
        return Context(
            services=self._services,
            locale=locale_of(header("accept-language", "")),
            request_id=request_id_of(header("x-request-id")),
            address=address_of(connection, header=self._address_header),
            connection=str(next(self._connections)),
        )

    def _identify(self, request: Head, context: Context) -> None:
        """Find out who asks, if anybody says so. Raises TokenRefused or OriginNotAllowed."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            context.viewer = viewer_of(authorization, context)
            self._origins.check(request, context.viewer)

    def _more(self, request: Head, context: Context) -> RawHeaders:
        """Return the headers that an answer has for its request."""
        return [(b"x-request-id", context.request_id.encode()), *raw(self._origins.headers(request))]

    async def drain(self) -> None:
        """Let nobody in any more, tell everybody when to come back, and end what is open, within `drain_patience_s`."""
        await self._drain.run(patience_s=self._settings.drain_patience_s)

    async def _converse(self, websocket: WebSocket, context: Context) -> None:
        if not self._origins.admits(websocket):
            await websocket.close()
            return
        try:
            place = self._enter(websocket)
        except (ConnectionLimitReached, ServerRestarting) as refused:
            await websocket.send_denial_response(refused_entry(refused, locale=context.locale).as_response)
            return
        begun = False
        try:
            if SUBPROTOCOL not in websocket.scope["subprotocols"]:
                await _refuse_subprotocol(websocket)
                return
            await websocket.accept(subprotocol=SUBPROTOCOL)
            conversation = Conversation(self._desk, websocket, context, place, on_lost=self._left)
            self._drain.attend(conversation)
            begun = True
            direct = connection_of(websocket)
            if direct is not None:
                direct.listen(conversation)
            else:
                await conversation.run()
        except WebSocketDisconnect:
            return
        except Exception as error:
            internal_error(error, locale=context.locale)
            with suppress(WebSocketDisconnect, RuntimeError):
                await websocket.close(messages.INTERNAL_SERVER_ERROR, "Internal error")
        finally:
            if not begun:
                place.leave()

    def _left(self, conversation: Conversation) -> None:
        self._drain.forget(conversation)
        conversation.place.leave()

    def _enter(self, connection: WebSocket | Head) -> Place:
        """Raises ConnectionLimitReached or ServerRestarting."""
        if self._drain.begun:
            raise ServerRestarting
        return self._limits.enter(address_of(connection, header=self._address_header))

    async def _respond(self, request: Head, context: Context, receive: Receive, send: Send) -> None:
        try:
            answer = self._origins.preflight(request) or await self._serve(request, context, receive)
        except ClientDisconnect:
            raise
        except Exception as error:
            answer = failed(error, locale=context.locale)
        more = self._more(request, context)
        if isinstance(answer, Reply):
            await answer.send(request.scope, send, more, self._headers)
            return
        for name, value in (*more, *self._headers.headers):
            answer.headers.setdefault(name.decode(), value.decode("latin-1"))
        await answer(request.scope, receive, send)

    async def _serve(self, request: Head, context: Context, receive: Receive) -> Reply | Response | EventStream:
        if self._graphiql_page and _asks_for_page(request):
            return self._graphiql_page()
        self._identify(request, context)
        letters = await read_asked(request, receive, body_size_max=self._body_size_max)
        accept = request.headers.get("accept", "")
        if takes_events(accept):
            asked = request_of(fields_of(request, letters))
            return await self._answer_or_stream(request, asked, context, media_type_of(accept))
        known = self._engine.answer_known(letters, context)
        if known is not None:
            return kept_or_answered(request, known, media_type=media_type_of(accept))
        asked = request_of(fields_of(request, letters))
        return await self.door.answer(request.method, letters, asked, context, media_type_of(accept), request)

    async def _answer_or_stream(
        self, request: Head, asked: Asked, context: Context, media_type: str
    ) -> Reply | EventStream:
        """Answer a client that takes event streams: a subscription always by one, the rest where it prefers them."""
        place = self._enter(request)
        streams = False
        try:
            if context.viewer:
                place.name(context.viewer.user_id)
            try:
                resuming = partial(resumed, request, tokens_max=self._settings.document_tokens_max)
                prepared = await self._reception.prepare(asked, context, resumed=resuming)
            except OperationRefused as refused:
                if media_type != EVENT_STREAM:
                    return not_executed(refused.errors, media_type=media_type)
                streams = True
                return self._stream(context, place, _refusing(refused))
            check_allowed(prepared, request.method, streams=True)
            if media_type == EVENT_STREAM or prepared.type is OperationType.SUBSCRIPTION:
                streams = True
                return self._stream(context, place, _ready(prepared))
            return answered(await self._engine.answer(prepared, context), media_type=media_type)
        finally:
            if not streams:
                place.leave()

    def _stream(self, context: Context, place: Place, prepare: Callable[[], Awaitable[Prepared]]) -> EventStream:
        return EventStream(
            self._engine, self._settings, context, place, prepare=prepare, attending=self._drain.attending
        )


def _kept_answers(cache: TaggedCache[Any] | None, schema: ExecutableSchema, settings: Settings) -> KeptAnswers | None:
    """Return the answers that are kept; None where none can be, so that nobody looks for them."""
    if cache is None or not cache.has_room:
        return None
    # Without Redis what other processes change is not always heard of.
    return KeptAnswers(cache, schema, lasts_s=settings.response_cache_lasts_s if settings.redis_url else 0)


def _asks_for_page(request: Head) -> bool:
    return (
        request.method == "GET"
        and "query" not in query_of(request)
        and "text/html" in request.headers.get("accept", "")
    )


async def _refuse_subprotocol(websocket: WebSocket) -> None:
    """A browser hides every close code but that of a connection which chose one of the subprotocols it offered."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=offered[0] if offered else None)
    await websocket.close(messages.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")


def _ready(prepared: Prepared) -> Callable[[], Awaitable[Prepared]]:
    async def prepare() -> Prepared:
        return prepared

    return prepare


def _refusing(refused: OperationRefused) -> Callable[[], Awaitable[Prepared]]:
    async def prepare() -> Prepared:
        raise refused

    return prepare
