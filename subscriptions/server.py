"""`/graphql` over HTTP and WebSocket: who asks, what is executed, and what an answer looks like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.exceptions import MissingQueryError
from strawberry.schema.base import BaseSchema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType
from structlog.contextvars import bound_contextvars

from domain.identity.tokens import TokenRefused
from domain.identity.viewer import Viewer
from schema.types.context import Context, Loaders, Services
from subscriptions.errors import internal_error, is_internal, present, refusal
from subscriptions.negotiation import (
    GRAPHQL_RESPONSE,
    JSON,
    bearer_token_of,
    locale_of,
    media_type_of,
    request_id_of,
)
from subscriptions.protocol import INTERNAL_SERVER_ERROR, TransportHandler, WebSocketAdapter
from subscriptions.requests import GraphQLRequest, RequestRefused, read_request

QUERIES = frozenset({OperationType.QUERY})
QUERIES_AND_MUTATIONS = frozenset({OperationType.QUERY, OperationType.MUTATION})
# These say that nothing was chosen to be executed, whatever media type the client accepts.
NOT_EXECUTABLE = {"OPERATION_NAME_REQUIRED"}


class GraphQLApp(GraphQL[Context, None]):
    """The ASGI application behind `/graphql`.

    `loaders` builds the loaders of one operation; `graphiql_page` is what a browser gets that asks for HTML, where the
    deployment has one.
    """

    websocket_adapter_class = WebSocketAdapter
    graphql_transport_ws_handler_class = TransportHandler

    def __init__(
        self,
        schema: BaseSchema,
        services: Services,
        *,
        loaders: Callable[[], Loaders],
        graphiql_page: Callable[[], Response] | None = None,
    ) -> None:
        settings = services.settings
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=settings.connection_init_timeout_s),
            max_subscriptions_per_connection=settings.subscriptions_per_connection_max,
            allowed_origins=settings.allowed_origins,
        )
        self._services = services
        self._loaders = loaders
        self._graphiql_page = graphiql_page
        self._body_size_max = settings.request_body_size_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = WebSocket(scope, receive, send) if scope["type"] == "websocket" else Request(scope, receive)
        context = Context(
            services=self._services,
            loaders=self._loaders(),
            locale=locale_of(connection.headers.get("accept-language", "")),
            request_id=request_id_of(connection.headers.get("x-request-id")),
        )
        with bound_contextvars(request_id=context.request_id):
            if isinstance(connection, WebSocket):
                await self._converse(connection, context)
                return
            try:
                response = await self._respond(connection, context)
            except ClientDisconnect:
                return
            response.headers["x-request-id"] = context.request_id
            await response(scope, receive, send)

    async def _converse(self, connection: WebSocket, context: Context) -> None:
        try:
            await self.run(connection, context=context)
        except Exception as error:
            internal_error(error, locale=context.locale)
            with suppress(WebSocketDisconnect, RuntimeError):
                await connection.close(INTERNAL_SERVER_ERROR, "Internal error")

    def context_of_operation(self, connection: Context) -> Context:
        """Give each operation loaders of its own."""
        return dataclasses.replace(connection, loaders=self._loaders())

    def identify(self, context: Context, parameters: dict[str, Any]) -> None:
        """Read the parameters of `connection_init` into the context. Raises TokenRefused.

        `Authorization` (any case) is as in HTTP; without it nobody is signed in. `locale` is `zh-CN` or `en`.
        """
        context.connection_params = parameters
        given = {str(name).lower(): value for name, value in parameters.items()}
        if isinstance(given.get("locale"), str):
            context.locale = locale_of(given["locale"])
        if given.get("authorization") is not None:
            context.viewer = self._viewer(given["authorization"], context)

    def _viewer(self, authorization: object, context: Context) -> Viewer:
        token = bearer_token_of(authorization) if isinstance(authorization, str) else None
        if token is None:
            raise TokenRefused
        return self._services.tokens.authenticate(token, now=context.now)

    async def _respond(self, request: Request, context: Context) -> Response:
        try:
            if self._graphiql_page and _asks_for_page(request):
                return self._graphiql_page()
            authorization = request.headers.get("authorization")
            if authorization is not None:
                context.viewer = self._viewer(authorization, context)
            asked = await read_request(request, body_size_max=self._body_size_max)
            return await self._execute(request, asked, context)
        except RequestRefused as error:
            body = {"message": error.message, "extensions": {"code": error.code}}
            return _response({"errors": [body]}, status=error.status, headers=error.headers)
        except TokenRefused as error:
            headers = {"www-authenticate": 'Bearer error="invalid_token"'}
            return _response({"errors": [refusal(error, locale=context.locale)]}, status=401, headers=headers)
        except ClientDisconnect:
            raise
        except Exception as error:
            return _response({"errors": [internal_error(error, locale=context.locale)]}, status=500)

    async def _execute(self, request: Request, asked: GraphQLRequest, context: Context) -> Response:
        try:
            result = await self.schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation_name,
                operation_extensions=asked.extensions,
                allowed_operation_types=QUERIES if request.method == "GET" else QUERIES_AND_MUTATIONS,
            )
        except InvalidOperationTypeError as error:
            raise _not_allowed(error.operation_type, request.method) from None
        except (CannotGetOperationTypeError, MissingQueryError):
            raise RequestRefused(400, "OPERATION_NOT_FOUND", "The document has no such operation.") from None
        return self._answer(result, context, media_type_of(request.headers.get("accept", "")))

    def _answer(self, result: ExecutionResult, context: Context, media_type: str) -> Response:
        errors = present(result.errors or [], locale=context.locale)
        body: dict[str, Any] = {}
        status = 200
        if isinstance(result, PreExecutionError) or _was_not_executed(result):
            status = _request_error_status(errors, media_type)
        else:
            body["data"] = result.data
        if errors:
            body["errors"] = errors
        if result.extensions:
            body["extensions"] = result.extensions
        return _response(body, status=status, media_type=media_type)


def _asks_for_page(request: Request) -> bool:
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and "text/html" in request.headers.get("accept", "")
    )


def _not_allowed(operation: OperationType, method: str) -> RequestRefused:
    if operation is OperationType.MUTATION and method == "GET":
        return RequestRefused(405, "OPERATION_NOT_ALLOWED", "Send mutations with POST.", headers={"allow": "POST"})
    return RequestRefused(400, "OPERATION_NOT_ALLOWED", "Send subscriptions over the WebSocket.")


def _was_not_executed(result: ExecutionResult) -> bool:
    """Whether the variables were refused: execution then has no data and no field to blame."""
    return result.data is None and all(error.path is None for error in result.errors or [])


def _request_error_status(errors: list[dict[str, Any]], media_type: str) -> int:
    """Return the status of a request that was not executed; before graphql-response+json this was 200."""
    if any(is_internal(error) for error in errors):
        return 500
    if any(error["extensions"]["code"] in NOT_EXECUTABLE for error in errors):
        return 400
    return 400 if media_type == GRAPHQL_RESPONSE else 200


def _response(
    body: dict[str, Any], *, status: int, media_type: str = JSON, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        orjson.dumps(body, default=str),
        status_code=status,
        headers={
            "content-type": f"{media_type}; charset=utf-8",
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **(headers or {}),
        },
    )
