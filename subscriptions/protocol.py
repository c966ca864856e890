"""graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md), strictly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    SubscribeMessage,
    SubscribeMessagePayload,
)
from strawberry.types.execution import ExecutionResult

from kernel.errors import YoukaError
from kernel.logs import get_logger
from kernel.tasks import spawn
from schema.types.context import Context
from subscriptions.errors import internal_error, present

if TYPE_CHECKING:
    from subscriptions.server import GraphQLApp

log = get_logger(__name__)

CLOSE_REASON_SIZE_MAX_BYTES = 123
OPERATION_ID_LENGTH_MAX = 128

# Close codes of the protocol.
INTERNAL_SERVER_ERROR = 4500
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITIALISATIONS = 4429


class MessageMalformed(Exception):
    """The message is not one of the protocol; what is wrong, for the close frame."""


class WebSocketAdapter(ASGIWebSocketAdapter):
    """Frames as JSON, with every way of being disconnected told in one way."""

    closed = False

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        while not self.closed:
            event = await self.ws.receive()
            if event["type"] == "websocket.disconnect":
                self.closed = True
                return
            text = event.get("text")
            if text is None:
                raise NonTextMessageReceived
            try:
                message = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise NonJsonMessageReceived from error
            yield message

    async def send_json(self, message: Mapping[str, object]) -> None:
        if self.closed:
            raise WebSocketDisconnected
        try:
            await self.ws.send_text(orjson.dumps(message, default=str).decode())
        except (WebSocketDisconnect, RuntimeError) as error:
            # A RuntimeError is how starlette and uvicorn say that the connection has been closed in the meantime.
            self.closed = True
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        cut = reason.encode()[:CLOSE_REASON_SIZE_MAX_BYTES].decode(errors="ignore")
        try:
            await self.ws.close(code=code, reason=cut)
        except (WebSocketDisconnect, RuntimeError) as error:
            log.debug("websocket.closed_before", error=type(error).__name__)


class GraphQLOperation(Operation[Context, None]):
    """One operation of a connection, whose errors are presented as over HTTP."""

    __slots__ = ("extensions",)

    def __init__(self, handler: TransportHandler, id: str, payload: SubscribeMessagePayload) -> None:
        super().__init__(handler, id, payload["query"], payload.get("variables"), payload.get("operationName") or None)
        self.extensions: dict[str, Any] | None = payload.get("extensions")

    async def send_initial_errors(self, errors: list[GraphQLError]) -> None:
        await self._send_error(present(errors, locale=self.handler.context.locale))

    async def send_next(self, execution_result: ExecutionResult) -> None:
        payload: dict[str, Any] = {"data": execution_result.data}
        if execution_result.errors:
            payload["errors"] = present(execution_result.errors, locale=self.handler.context.locale)
        if execution_result.extensions:
            payload["extensions"] = execution_result.extensions
        message: Any = {"id": self.id, "type": "next", "payload": payload}
        await self.send_operation_message(message)

    async def send_internal_error(self, error: Exception) -> None:
        await self._send_error([internal_error(error, locale=self.handler.context.locale)])

    async def _send_error(self, presented: list[dict[str, Any]]) -> None:
        message: Any = {"id": self.id, "type": "error", "payload": presented}
        await self.send_operation_message(message)


class TransportHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One connection: who is there, what runs, and when it has to end."""

    view: GraphQLApp
    _expiry: asyncio.TimerHandle | None = None
    _expiring: asyncio.Task[None] | None = None

    async def handle_message(self, message: object) -> None:
        try:
            await self._handle(_checked(message))
        except MessageMalformed as error:
            await self.websocket.close(BAD_REQUEST, str(error))

    async def _handle(self, message: Any) -> None:
        match message["type"]:
            case "connection_init":
                await self.handle_connection_init(message)
            case "ping":
                await self.send_message({"type": "pong"})
            case "subscribe":
                await self.handle_subscribe(message)
            case "complete":
                await self.cleanup_operation(message["id"])
            case _:
                assert message["type"] == "pong"

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        if self.connection_timed_out:
            return
        if self.connection_init_received:
            await self.websocket.close(TOO_MANY_INITIALISATIONS, "Too many initialisation requests")
            return
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        try:
            self.view.identify(self.context, message.get("payload") or {})
        except YoukaError as refusal:
            await self.websocket.close(FORBIDDEN, refusal.code)
            return
        except Exception as error:
            internal_error(error, locale=self.context.locale)
            await self.websocket.close(INTERNAL_SERVER_ERROR, "Internal error")
            return
        await self.send_message({"type": "connection_ack"})
        self.connection_acknowledged = True
        if self.context.viewer:
            self._end_at(self.context.viewer.expires_at)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        operation_id = message["id"]
        if not self.connection_acknowledged:
            await self.websocket.close(UNAUTHORIZED, "Unauthorized")
            return
        if operation_id in self.operations:
            await self.websocket.close(SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
            return
        limit = self.max_subscriptions_per_connection
        if limit is not None and len(self.operations) >= limit:
            error = {
                "message": f"A connection may have at most {limit} operations at a time.",
                "extensions": {"code": "SUBSCRIPTION_LIMIT_REACHED", "maximum": limit},
            }
            refused: Any = {"id": operation_id, "type": "error", "payload": [error]}
            await self.send_message(refused)
            return
        operation = GraphQLOperation(self, operation_id, message["payload"])
        self.operations[operation_id] = operation
        operation.task = spawn(self.run_operation(operation), name=f"operation:{operation_id}")
        operation.task.add_done_callback(self._task_done)

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        assert isinstance(operation, GraphQLOperation)
        try:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.view.context_of_operation(self.context),
                operation_name=operation.operation_name,
                operation_extensions=operation.extensions,
            )
            async with aclosing(results):
                await self._send_result_stream(operation, results)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except WebSocketDisconnected:
            pass
        except Exception as error:
            with suppress(WebSocketDisconnected):
                await operation.send_internal_error(error)
        finally:
            self._forget(operation)

    async def shutdown(self) -> None:
        if self._expiry:
            self._expiry.cancel()
        await super().shutdown()

    async def handle_connection_init_timeout(self) -> None:
        await asyncio.sleep(self.connection_init_wait_timeout.total_seconds())
        self.connection_timed_out = True
        await self.websocket.close(code=4408, reason="Connection initialisation timeout")

    def forget_id(self, id: str) -> None:
        self.operations.pop(id, None)

    def _forget(self, operation: GraphQLOperation) -> None:
        if self.operations.get(operation.id) is operation:
            del self.operations[operation.id]

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """Never close: a document that does not parse is one operation's error, and others may be running."""
        return None

    def _end_at(self, moment: datetime) -> None:
        """Close the connection when the token that opened it expires; the client comes back with a new one."""
        left_s = max(0.0, (moment - self.context.now).total_seconds())
        self._expiry = asyncio.get_running_loop().call_later(left_s, self._expire)

    def _expire(self) -> None:
        self._expiring = spawn(self.websocket.close(FORBIDDEN, "TOKEN_EXPIRED"), name="websocket:expired")


def _checked(message: object) -> dict[str, Any]:
    """Return the message where its shape is the protocol's. Raises MessageMalformed."""
    if not isinstance(message, dict):
        raise MessageMalformed("A message must be an object")
    kind, payload = message.get("type"), message.get("payload")
    # Tuples, since a set cannot be asked for what cannot be hashed, such as a list.
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(payload, dict | None):
            raise MessageMalformed("`payload` must be an object")
    elif kind in ("subscribe", "complete"):
        identifier = message.get("id")
        if not isinstance(identifier, str) or not 1 <= len(identifier) <= OPERATION_ID_LENGTH_MAX:
            raise MessageMalformed(f"`id` must be a string of 1 to {OPERATION_ID_LENGTH_MAX} characters")
        if kind == "subscribe":
            _check_payload(payload)
    else:
        raise MessageMalformed("Unknown message type")
    return message


def _check_payload(payload: object) -> None:
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        raise MessageMalformed("`payload.query` must be a string")
    if not isinstance(payload.get("operationName"), str | None):
        raise MessageMalformed("`payload.operationName` must be a string")
    for name in ("variables", "extensions"):
        if not isinstance(payload.get(name), dict | None):
            raise MessageMalformed(f"`payload.{name}` must be an object")
