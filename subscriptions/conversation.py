"""One WebSocket that speaks graphql-transport-ws, from its handshake to its end.

The protocol is https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md; docs/protocols.md says what is ours.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from starlette.websockets import WebSocket

from kernel.errors import YoukaError
from kernel.settings import Settings
from schema.types.context import Context
from subscriptions import messages
from subscriptions.deliveries import Delivery
from subscriptions.errors import internal_error, refusal
from subscriptions.execution import Prepared
from subscriptions.identity import Expiry, identify, renewal_of, renewed
from subscriptions.limits import ConnectionLimitReached, MessageRate, Place, ServerRestarting, TooManyMessages
from subscriptions.messages import MessageMalformed
from subscriptions.operations import Engine, Operation
from subscriptions.origins import Origins
from subscriptions.outbox import Outbox
from subscriptions.reception import Reception
from subscriptions.requests import (
    NESTING_MAX,
    RequestMalformed,
    RequestRefused,
    nested_deeper_than,
    request_of,
)
from subscriptions.wire import wire_of

SUBPROTOCOL = "graphql-transport-ws"
RESTARTING = "Server restarting"
# Clients count their operations, so thousands have the same few names; who has another one has it written anew.
MESSAGES_KEPT_MAX = 8


class OperationLimitReached(YoukaError):
    code = "SUBSCRIPTION_LIMIT_REACHED"
    messages = {
        "zh-CN": "每个连接最多同时进行 {maximum} 个操作",
        "en": "A connection may have at most {maximum} operations at a time",
    }


@dataclass(frozen=True, slots=True)
class Desk:
    """What every conversation of the process shares."""

    settings: Settings
    engine: Engine
    reception: Reception
    origins: Origins


class _Frames:
    __slots__ = ("_id",)

    def __init__(self, id: str) -> None:
        self._id = id

    def next(self, delivery: Delivery) -> bytes:
        written = delivery.messages.get(self._id)
        if written is None:
            written = messages.next_of(self._id, delivery.payload)
            if len(delivery.messages) < MESSAGES_KEPT_MAX:
                delivery.messages[self._id] = written
        return written

    def error(self, errors: list[dict[str, Any]]) -> bytes:
        return messages.error_of(self._id, errors)

    def complete(self) -> bytes:
        return messages.complete_of(self._id)


class Conversation:
    """An accepted WebSocket. Everything it holds is released by `_leave`, which runs once, when the peer has gone or
    the connection is closed."""

    __slots__ = (
        "_acknowledged", "_beat_timer", "_closed", "_context", "_desk", "_expiry", "_heard_at", "_init_timer",
        "_initialised", "_loop", "_on_lost", "_operations", "_outbox", "_rate", "_retiring", "_stopped",
        "_websocket", "_wire", "place",
    )  # fmt: skip

    def __init__(
        self,
        desk: Desk,
        websocket: WebSocket,
        context: Context,
        place: Place,
        *,
        on_lost: Callable[[Conversation], None],
    ) -> None:
        settings = desk.settings
        self._desk, self._context, self.place, self._on_lost = desk, context, place, on_lost
        # Until it is known who speaks; there are kilobytes in it.
        self._websocket: WebSocket | None = websocket
        self._loop = asyncio.get_running_loop()
        self._wire = wire_of(websocket)
        self._outbox = Outbox(
            self._wire,
            queue_size_max=settings.subscription_queue_size_max,
            patience_s=settings.slow_reader_patience_s,
            on_stalled=self._stalled,
        )
        self._operations: dict[str, Operation] = {}
        # Mutations that the client has given up while they ran; they count as long as they run.
        self._stopped: list[Operation] = []
        self._rate = MessageRate(per_second=settings.messages_per_second_max, burst=settings.messages_burst_max)
        self._expiry = Expiry(warning_s=settings.token_expiry_warning_s, on_warning=self._warn, on_over=self._over)
        self._initialised = self._acknowledged = self._closed = self._retiring = False
        self._heard_at = self._loop.time()
        self._init_timer = self._loop.call_later(settings.connection_init_timeout_s, self._init_late)
        self._beat_timer = self._loop.call_later(settings.websocket_ping_interval_s, self._beat)

    def hear(self, text: str | None) -> None:
        """Take one message; None is one of bytes."""
        if not self._closed:
            self._hear(text)
            self._outbox.watch()

    def lost(self) -> None:
        """The peer has gone; this is said once."""
        self._leave()
        self._on_lost(self)

    async def run(self) -> None:
        """Read until the peer has gone. Where it does not read what we write, we do not read on either.

        Only a connection that is not of our own class is read like this.
        """
        websocket = self._websocket
        assert websocket is not None, "nobody has spoken yet"
        try:
            while True:
                event = await websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                if not self._closed:
                    self._hear(event.get("text"))
                if not self._wire.writable:
                    await self._room()
        finally:
            self.lost()

    async def _room(self) -> None:
        try:
            async with asyncio.timeout(self._desk.settings.slow_reader_patience_s):
                await self._wire.room()
        except TimeoutError:
            self._stalled()

    def close(self, code: int, reason: str) -> None:
        """End the connection and everything on it."""
        if not self._closed:
            self._leave()
            self._wire.close(code, reason)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent, and no answer is being worked on."""
        return self._closed or (self._outbox.idle and not any(each.under_way for each in self._operations.values()))

    def retire(self) -> None:
        """Tell the client when to come back, and start nothing more. Streams go on until `close`."""
        if self._closed or self._retiring:
            return
        self._retiring = True
        # Whoever waits for an acknowledgement will not have it in time; the close code says the rest.
        delay_ms = random.randrange(self._desk.settings.reconnect_spread_ms)  # noqa: S311 -- it only spreads the load.
        self._outbox.write(messages.ping({"reconnectAfterMs": delay_ms}))

    def _hear(self, text: str | None) -> None:
        self._heard_at = self._loop.time()
        if not self._rate.take():
            self.close(messages.TOO_MANY_REQUESTS, TooManyMessages.code)
            return
        try:
            self._answer(messages.read_message(text))
        except MessageMalformed as error:
            self.close(messages.BAD_REQUEST, str(error))
        except Exception as error:
            internal_error(error, locale=self._context.locale)
            self.close(messages.INTERNAL_SERVER_ERROR, "Internal error")

    def _answer(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                self._initialise(message.get("payload") or {})
            case "ping":
                self._pong(message.get("payload"))
            case "subscribe":
                self._subscribe(message["id"], message["payload"])
            case "complete":
                self._complete(message["id"])
            case _:
                assert message["type"] == "pong"

    def _initialise(self, parameters: dict[str, Any]) -> None:
        if self._initialised:
            self.close(messages.TOO_MANY_REQUESTS, "Too many initialisation requests")
            return
        self._initialised = True
        self._init_timer.cancel()
        try:
            identify(self._context, parameters)
            assert self._websocket is not None, "this happens once"
            self._desk.origins.check(self._websocket, self._context.viewer)
            self._websocket = None
            if self._context.viewer:
                self.place.name(self._context.viewer.user_id)
        except ConnectionLimitReached as refused:
            self.close(messages.TOO_MANY_REQUESTS, refused.code)
            return
        except YoukaError as refused:
            self.close(messages.FORBIDDEN, refused.code)
            return
        self._outbox.write(messages.ACKNOWLEDGED)
        self._acknowledged = True
        self._expiry.set(self._context)

    def _pong(self, payload: dict[str, Any] | None) -> None:
        authorization = renewal_of(payload or {})
        if authorization is None:
            if nested_deeper_than(NESTING_MAX, payload):
                raise MessageMalformed(f"`payload` may be nested {NESTING_MAX} levels deep")
            self._outbox.write(messages.pong(payload))
        elif not self._acknowledged:
            self.close(messages.UNAUTHORIZED, "Unauthorized")
        else:
            self._renew(authorization)

    def _renew(self, authorization: object) -> None:
        """Go on under a newer token of the same user; what is open stays open."""
        try:
            viewer = renewed(self._context, authorization)
        except YoukaError as refused:
            self.close(messages.FORBIDDEN, refused.code)
            return
        self._context.viewer = viewer
        left_ms = self._expiry.set(self._context)
        expires_at = viewer.expires_at.astimezone(UTC).isoformat()
        self._outbox.write(messages.pong({"expiresInMs": left_ms, "expiresAt": expires_at}))

    def _subscribe(self, id: str, payload: dict[str, Any]) -> None:
        if not self._acknowledged:
            self.close(messages.UNAUTHORIZED, "Unauthorized")
            return
        if id in self._operations:
            self.close(messages.SUBSCRIBER_EXISTS, f"Subscriber for {id} already exists")
            return
        try:
            self._admit()
            asked = request_of(payload)
        except RequestMalformed as error:
            raise MessageMalformed(error.message) from None
        except RequestRefused as error:
            refused = {"message": error.message, "extensions": {"code": error.code}}
            self._outbox.write(messages.error_of(id, [refused]))
            return
        except YoukaError as error:
            self._outbox.write(messages.error_of(id, [refusal(error, locale=self._context.locale)]))
            return
        context = self._context

        async def prepare() -> Prepared:
            return await self._desk.reception.prepare(asked, context)

        operation = Operation(self._desk.engine, self._outbox, _Frames(id), context, on_end=lambda: self._forget(id))
        self._operations[id] = operation
        operation.start(prepare, name=id)

    def _admit(self) -> None:
        """Raises OperationLimitReached or ServerRestarting."""
        if self._retiring:
            raise ServerRestarting
        self._stopped = [each for each in self._stopped if each.under_way]
        maximum = self._desk.settings.subscriptions_per_connection_max
        if len(self._operations) + len(self._stopped) >= maximum:
            raise OperationLimitReached(maximum=maximum)

    def _complete(self, id: str) -> None:
        operation = self._operations.pop(id, None)
        if operation is not None:
            operation.stop()
            if operation.under_way:
                self._stopped.append(operation)

    def _forget(self, id: str) -> None:
        self._operations.pop(id, None)

    def _init_late(self) -> None:
        self.close(messages.INITIALISATION_TIMEOUT, "Connection initialisation timeout")

    def _beat(self) -> None:
        """Ask for a sign of life; a peer that gave none for two intervals has gone without a word."""
        interval_s = self._desk.settings.websocket_ping_interval_s
        if self._loop.time() - self._heard_at >= 2 * interval_s:
            self.close(messages.PEER_SILENT, "No sign of life")
            return
        # Where the last one has not gone out yet, another would not either.
        if self._wire.writable:
            self._outbox.write(messages.ping())
        self._beat_timer = self._loop.call_later(interval_s, self._beat)

    def _warn(self, left_ms: int) -> None:
        self._outbox.write(messages.ping({"expiresInMs": left_ms}))

    def _over(self, why: YoukaError) -> None:
        self.close(messages.FORBIDDEN, why.code)

    def _stalled(self) -> None:
        self.close(messages.READER_TOO_SLOW, "The reader is too slow")

    def _leave(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._init_timer.cancel()
        self._beat_timer.cancel()
        self._expiry.cancel()
        operations = list(self._operations.values())
        self._operations.clear()
        for operation in operations:
            operation.stop()
        self._outbox.close()
