"""GraphQL over server-sent events, in distinct connections mode: one HTTP answer, one operation.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md; docs/protocols.md says what is ours.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

import orjson
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.types import Receive, Scope, Send

from kernel.errors import YoukaError
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn
from schema.types.context import Context
from subscriptions.deliveries import Delivery
from subscriptions.errors import refusal
from subscriptions.execution import Prepared
from subscriptions.heads import Head
from subscriptions.identity import Expiry
from subscriptions.limits import Place
from subscriptions.negotiation import EVENT_STREAM
from subscriptions.operations import Engine, Operation
from subscriptions.outbox import Outbox
from subscriptions.requests import GraphQLRequest, RequestRefused
from subscriptions.wire import SendingWire

LAST_EVENT_ID = "last-event-id"
RESUME_VARIABLE = "after"
CURSOR_LENGTH_MAX = 1_024
ABORTED_WITHIN_S = 2.0
COMMENT = b":\n\n"
# EventSource hands on no event without data, so there is an empty line of it.
COMPLETE = b"event: complete\ndata:\n\n"


def resumed(request: Head, asked: GraphQLRequest, *, tokens_max: int) -> GraphQLRequest:
    """Return the request with the header `Last-Event-ID` as its variable `after`, where it is a subscription's.

    The header wins over the variable: EventSource comes back with the address that it began with. Raises RequestRefused
    where the document does not declare the variable, since the client would silently miss what lies between.
    """
    cursor = request.headers.get(LAST_EVENT_ID, "")
    if not cursor:
        return asked
    try:
        operation = _operation(parse(asked.query, max_tokens=tokens_max, no_location=True), asked.operation_name)
    except GraphQLError:
        return asked
    if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
        return asked
    declared = {each.variable.name.value for each in operation.variable_definitions or ()}
    if RESUME_VARIABLE not in declared:
        message = f"To resume by Last-Event-ID the subscription must declare the variable ${RESUME_VARIABLE}."
        raise RequestRefused(400, "RESUME_UNSUPPORTED", message)
    if len(cursor) > CURSOR_LENGTH_MAX:
        raise RequestRefused(400, "BAD_REQUEST", f"Last-Event-ID may have at most {CURSOR_LENGTH_MAX} characters.")
    return asked._replace(variables={**(asked.variables or {}), RESUME_VARIABLE: cursor})


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    named = [each for each in operations if name is None or (each.name and each.name.value == name)]
    return named[0] if len(named) == 1 else None


class Events:
    """An operation's messages as events. JSON has no line break in it, so each is one line of data."""

    def next(self, delivery: Delivery) -> bytes:
        # A cursor with a line break in it would begin another field.
        known = b"" if delivery.cursor is None else b"id: " + b"".join(delivery.cursor.encode().splitlines()) + b"\n"
        return b"event: next\n" + known + b"data: " + delivery.payload + b"\n\n"

    def error(self, errors: list[dict[str, Any]]) -> bytes:
        payload = orjson.dumps({"errors": errors}, default=str)
        return b"event: next\ndata: " + payload + b"\n\n" + COMPLETE

    def complete(self) -> bytes:
        return COMPLETE


class EventWire(SendingWire):
    """The body of an HTTP answer, which ends behind `complete`."""

    def __init__(self, send: Send) -> None:
        async def send_text(text: bytes) -> None:
            await send({"type": "http.response.body", "body": text, "more_body": True})

        async def finish(_code: int, _reason: str) -> None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            self.ended.set()

        super().__init__(send_text, finish)
        self.ended = asyncio.Event()
        self.aborted = False
        # uvicorn's request knows its transport.
        self._transport = getattr(getattr(send, "__self__", None), "transport", None)

    @property
    def idle(self) -> bool:
        return self.closed or self._unsent_bytes == 0

    def write(self, text: bytes) -> None:
        super().write(text)
        if text.endswith(COMPLETE):
            self.close(0, "")

    def abort(self) -> None:
        """Give the peer up; closing would wait until it has read what it does not read."""
        self.drop()
        self.aborted = True
        self.ended.set()
        if self._transport is not None:
            self._transport.abort()


class EventStream:
    """The answer to one request: an operation whose results are events. It is an ASGI application, run once."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        context: Context,
        place: Place,
        *,
        prepare: Callable[[], Awaitable[Prepared]],
        attending: Callable[[Any], AbstractContextManager[None]],
    ) -> None:
        self.headers = {
            "content-type": f"{EVENT_STREAM}; charset=utf-8",
            "cache-control": "no-store, no-transform",
            "x-accel-buffering": "no",
            "x-content-type-options": "nosniff",
        }
        self._engine, self._settings, self._context, self._place = engine, settings, context, place
        self._prepare, self._attending = prepare, attending
        self._loop = asyncio.get_running_loop()
        self._heartbeat: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._settings
        self._wire = EventWire(send)
        self._outbox = Outbox(
            self._wire,
            queue_size_max=settings.subscription_queue_size_max,
            patience_s=settings.slow_reader_patience_s,
            on_stalled=self._stalled,
        )
        self._operation = Operation(self._engine, self._outbox, Events(), self._context, on_end=lambda: None)
        expiry = Expiry(warning_s=settings.token_expiry_warning_s, on_warning=lambda left_ms: None, on_over=self._over)
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        watcher = spawn(self._watch(receive), name="events:watch")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            with self._attending(self):
                self._outbox.write(self._retry())
                self._beat()
                expiry.set(self._context)
                self._operation.start(self._prepare, name="events")
                await self._wire.ended.wait()
            if self._wire.aborted:
                # The server is told first that the peer is gone, or it would complain about half an answer.
                await asyncio.wait([watcher], timeout=ABORTED_WITHIN_S)
        finally:
            self._place.leave()
            expiry.cancel()
            if self._heartbeat:
                self._heartbeat.cancel()
            self._operation.stop()
            await cancel_and_wait(watcher)

    @property
    def idle(self) -> bool:
        return self._wire.closed or (self._outbox.idle and self._wire.idle)

    def retire(self) -> None:
        """Say when to come back."""
        self._outbox.write(self._retry())

    def close(self, code: int, reason: str) -> None:
        """End the answer without `complete`, so that the client comes back with the last id."""
        self._operation.stop()
        self._wire.close(code, reason)

    def _retry(self) -> bytes:
        """Return when to come back after a break, in milliseconds, another for each client."""
        return f"retry: {1 + random.randrange(self._settings.reconnect_spread_ms)}\n\n".encode()  # noqa: S311

    def _beat(self) -> None:
        if self._heartbeat is not None and self._wire.writable:
            self._outbox.write(COMMENT)
        self._heartbeat = self._loop.call_later(self._settings.sse_heartbeat_interval_s, self._beat)

    def _over(self, why: YoukaError) -> None:
        self._operation.stop()
        self._outbox.write(Events().error([refusal(why, locale=self._context.locale)]))

    def _stalled(self) -> None:
        self._operation.stop()
        self._wire.abort()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._wire.abort()
