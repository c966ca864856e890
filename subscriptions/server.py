"""`/graphql` over HTTP, event streams and WebSocket: who asks, what is let in, and where it goes from here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.http.websocket_origin import is_same_origin, normalize_origin
from structlog.contextvars import bound_contextvars

from domain.identity.tokens import TokenRefused
from kernel.errors import YoukaError
from schema.types.context import Context, Loaders, Services
from subscriptions import messages
from subscriptions.answers import answered, not_executed, response
from subscriptions.cohorts import Cohorts
from subscriptions.conversation import SUBPROTOCOL, Conversation, Desk
from subscriptions.deliveries import OperationRefused
from subscriptions.draining import Drain
from subscriptions.errors import internal_error, refusal
from subscriptions.execution import ExecutableSchema, Executor, Prepared
from subscriptions.identity import viewer_of
from subscriptions.limits import ConnectionLimitReached, ConnectionLimits, Place, ServerRestarting, address_of
from subscriptions.negotiation import EVENT_STREAM, JSON, locale_of, media_type_of, request_id_of, takes_events
from subscriptions.operations import Engine, Works
from subscriptions.requests import Documents, GraphQLRequest, RequestRefused, read_fields, request_of
from subscriptions.sse import EventStream, resumed

RETRY_AFTER_S = "5"


class GraphQLApp:
    """The ASGI application behind `/graphql`.

    `loaders` builds the loaders of one operation; `documents` knows those that a request may name; `graphiql_page` is
    what a browser gets that asks for HTML, where the deployment has one.
    """

    def __init__(
        self,
        schema: ExecutableSchema,
        services: Services,
        *,
        loaders: Callable[[], Loaders],
        documents: Documents,
        graphiql_page: Callable[[], Response] | None = None,
    ) -> None:
        self._services, self._settings = services, services.settings
        self._documents = documents
        self._graphiql_page = graphiql_page
        self._limits = ConnectionLimits(self._settings)
        executor = Executor(schema, loaders=loaders)
        self._engine = Engine(
            executor=executor,
            cohorts=Cohorts(executor, services.events, held_max=self._settings.subscription_queue_size_max),
            works=Works(),
        )
        self._desk = Desk(self._settings, self._engine, documents)
        self._drain = Drain(self._engine.works)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = WebSocket(scope, receive, send) if scope["type"] == "websocket" else Request(scope, receive)
        context = Context(
            services=self._services,
            locale=locale_of(connection.headers.get("accept-language", "")),
            request_id=request_id_of(connection.headers.get("x-request-id")),
            address=address_of(connection, header=self._settings.client_address_header),
        )
        with bound_contextvars(request_id=context.request_id):
            if isinstance(connection, WebSocket):
                await self._converse(connection, context)
                return
            try:
                answer = await self._respond(connection, context)
            except ClientDisconnect:
                return
            answer.headers["x-request-id"] = context.request_id
            await answer(scope, receive, send)

    async def drain(self) -> None:
        """Let nobody in any more, tell everybody when to come back, and end what is open, within `drain_patience_s`."""
        await self._drain.run(patience_s=self._settings.drain_patience_s)

    async def _converse(self, websocket: WebSocket, context: Context) -> None:
        if not self._may_come_from(websocket):
            await websocket.close()
            return
        try:
            place = self._enter(websocket)
        except (ConnectionLimitReached, ServerRestarting) as refused:
            await websocket.send_denial_response(_refused_entry(refused, context))
            return
        try:
            if SUBPROTOCOL not in websocket.scope["subprotocols"]:
                await _refuse_subprotocol(websocket)
                return
            await websocket.accept(subprotocol=SUBPROTOCOL)
            conversation = Conversation(self._desk, websocket, context, place)
            with self._drain.attending(conversation):
                await conversation.run()
        except WebSocketDisconnect:
            return
        except Exception as error:
            internal_error(error, locale=context.locale)
            with suppress(WebSocketDisconnect, RuntimeError):
                await websocket.close(messages.INTERNAL_SERVER_ERROR, "Internal error")
        finally:
            place.leave()

    def _enter(self, connection: WebSocket | Request) -> Place:
        """Raises ConnectionLimitReached or ServerRestarting."""
        if self._drain.begun:
            raise ServerRestarting
        return self._limits.enter(address_of(connection, header=self._settings.client_address_header))

    async def _respond(self, request: Request, context: Context) -> Response | EventStream:
        try:
            if self._graphiql_page and _asks_for_page(request):
                return self._graphiql_page()
            authorization = request.headers.get("authorization")
            if authorization is not None:
                context.viewer = viewer_of(authorization, context)
            fields = await read_fields(request, body_size_max=self._settings.request_body_size_max_bytes)
            asked = request_of(fields, self._documents)
            if takes_events(request.headers.get("accept", "")):
                return await self._answer_or_stream(request, asked, context)
            return await self._answer(request, asked, context)
        except RequestRefused as error:
            body = {"message": error.message, "extensions": {"code": error.code}}
            return response({"errors": [body]}, status=error.status, headers=error.headers)
        except TokenRefused as error:
            headers = {"www-authenticate": 'Bearer error="invalid_token"'}
            return response({"errors": [refusal(error, locale=context.locale)]}, status=401, headers=headers)
        except (ConnectionLimitReached, ServerRestarting) as error:
            return _refused_entry(error, context)
        except YoukaError as error:
            return response({"errors": [refusal(error, locale=context.locale)]}, status=400)
        except ClientDisconnect:
            raise
        except Exception as error:
            return response({"errors": [internal_error(error, locale=context.locale)]}, status=500)

    async def _answer(self, request: Request, asked: GraphQLRequest, context: Context) -> Response:
        media_type = media_type_of(request.headers.get("accept", ""))
        try:
            prepared = self._engine.executor.prepare(asked, context)
        except OperationRefused as refused:
            return not_executed(refused.errors, media_type=media_type)
        _check_allowed(prepared, request.method, streams=False)
        return answered(await self._engine.executor.answer(prepared, context), media_type=media_type)

    async def _answer_or_stream(
        self, request: Request, asked: GraphQLRequest, context: Context
    ) -> Response | EventStream:
        """Answer a client that takes event streams: a subscription always by one, the rest where it prefers them."""
        place = self._enter(request)
        streams = False
        try:
            if context.viewer:
                place.name(context.viewer.user_id)
            media_type = media_type_of(request.headers.get("accept", ""))
            try:
                prepared = self._engine.executor.prepare(resumed(request, asked), context)
            except OperationRefused as refused:
                if media_type != EVENT_STREAM:
                    return not_executed(refused.errors, media_type=media_type)
                streams = True
                return self._stream(context, place, _refusing(refused))
            _check_allowed(prepared, request.method, streams=True)
            if media_type == EVENT_STREAM or prepared.type is OperationType.SUBSCRIPTION:
                streams = True
                return self._stream(context, place, lambda: prepared)
            return answered(await self._engine.executor.answer(prepared, context), media_type=media_type)
        finally:
            if not streams:
                place.leave()

    def _stream(self, context: Context, place: Place, prepare: Callable[[], Prepared]) -> EventStream:
        return EventStream(
            self._engine, self._settings, context, place, prepare=prepare, attending=self._drain.attending
        )

    def _may_come_from(self, websocket: WebSocket) -> bool:
        """Browsers name the origin of the page at every handshake; who does not is no browser and has no cookies."""
        origin, allowed = websocket.headers.get("origin"), self._settings.allowed_origins
        if origin is None or "*" in allowed or is_same_origin(origin, websocket.headers.get("host")):
            return True
        return normalize_origin(origin) in allowed


def _asks_for_page(request: Request) -> bool:
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and "text/html" in request.headers.get("accept", "")
    )


async def _refuse_subprotocol(websocket: WebSocket) -> None:
    """A browser hides every close code but that of a connection which chose one of the subprotocols it offered."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=offered[0] if offered else None)
    await websocket.close(messages.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")


def _refused_entry(error: YoukaError, context: Context) -> Response:
    """Return what is answered instead of a stream or a handshake: 429 is for the one who asks, 503 for everybody."""
    everybody = isinstance(error, ServerRestarting) or error.values.get("scope") == "SERVER"
    return response(
        {"errors": [refusal(error, locale=context.locale)]},
        status=503 if everybody else 429,
        media_type=JSON,
        headers={"retry-after": RETRY_AFTER_S},
    )


def _check_allowed(prepared: Prepared, method: str, *, streams: bool) -> None:
    """Raises RequestRefused."""
    if prepared.type is OperationType.MUTATION and method == "GET":
        raise RequestRefused(405, "OPERATION_NOT_ALLOWED", "Send mutations with POST.", headers={"allow": "POST"})
    if prepared.type is OperationType.SUBSCRIPTION and not streams:
        message = "Send subscriptions over the WebSocket, or accept text/event-stream."
        raise RequestRefused(400, "OPERATION_NOT_ALLOWED", message)


def _refusing(refused: OperationRefused) -> Callable[[], Prepared]:
    def prepare() -> Prepared:
        raise refused

    return prepare
