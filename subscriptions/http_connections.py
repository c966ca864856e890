"""uvicorn's HTTP connection, which does not wait for ever.

uvicorn has one timeout, for a connection that is idle behind an answer. Here a request has a time in which its head
must be there and one for its body, the head has a largest size, and who does not read an answer is dropped. Deadlines
pass by the thousand and are rarely reached, so that one timer of a connection looks after all of them.

An answer whose whole is known is written at once: the scope has `WHOLE` among its extensions for that. An application
that has a door (see `DoorLike`) is asked first whether it can answer without waiting; then there is no task. A request
whose head was read before needs neither the parser nor ASGI.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from kernel.logs import get_logger
from kernel.settings import Settings
from subscriptions.callers import Caller, Callers, may_be_known
from subscriptions.heads import WHOLE, RawHeaders, Whole, lines

log = get_logger(__name__)

# A timer may go off by so much before its time.
CLOCK_RESOLUTION_S = 0.002
# A larger head than this is read each time, so that what is kept of heads is bounded by their number.
KNOWN_HEAD_SIZE_MAX_BYTES = 4_096

TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class DoorLike(Protocol):
    """What answers plain requests. An application has it as `door`, None while it has none, and the path of all POSTs
    that may come to it as `door_path`."""

    def caller_of(self, scope: Any) -> Caller | None:
        """Return what the head of a POST says; None where ASGI is what it needs."""

    def at_once(self, caller: Caller, peer: str, body: bytes) -> Whole | None:
        """Return the answer if nothing has to be waited for."""

    def begin(self, caller: Caller, peer: str, body: bytes) -> Whole | Coroutine[Any, Any, Whole]:
        """Return the answer, or what to await for it in a task that has the context of this call."""


class _Nobody:
    """What uvicorn wakes where nobody waits."""

    def set(self) -> None:
        """Do nothing."""


class Exchange:
    """A request that came by its known head, until it is answered: what uvicorn looks at of its own cycles."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "response_started", "task")
    message_event: ClassVar[_Nobody] = _Nobody()

    def __init__(self) -> None:
        self.disconnected = self.response_started = self.response_complete = False
        self.keep_alive = True
        # What works on the answer, where that takes waiting.
        self.task: asyncio.Task[None] | None = None


class HttpConnection(HttpToolsProtocol):
    """Give what `http_connection` makes of it to uvicorn as `http`. A WebSocket's connection is another from its
    handshake on."""

    settings: Settings
    # Read so often that they are not looked for in the settings.
    head_timeout_s: float
    body_timeout_s: float
    head_size_max_bytes: int
    callers: Callers

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # When the head or the body has to be there, and when an idle connection ends; 0 where that is not awaited.
        self._late_at_s = self._idle_at_s = 0.0
        # Looks not later than at the first of these, and may find that there is nothing to do.
        self._timer: asyncio.TimerHandle | None = None
        self._writing_timer: asyncio.TimerHandle | None = None
        self._head_size_bytes = 0
        # From a request's first byte to the end of its head, and from there to the end of its body.
        self._in_head = self._in_body = False
        # Whether bytes are read just now, and what is to answer a request whose head is among them.
        self._feeding = False
        self._held: Any = None
        # What is read just now, where it begins with a request.
        self._begun_with: bytes | None = None
        self._peer = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._resume()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._at_rest:
            if self._answered_unread(data):
                return
            self._begun_with = data
        if not self._in_body:
            self._head_size_bytes += len(data)
        self._feeding = True
        try:
            super().data_received(data)
        finally:
            self._feeding, self._begun_with = False, None
        if self._held is not None:
            self._begin()
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._end()
            return
        if not self._in_body and self._head_size_bytes > self.head_size_max_bytes:
            self._refuse(HEAD_TOO_LARGE)
        elif not self._late_at_s and not self._answering:
            # Line breaks before a request are skipped, and would keep an idle connection open.
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if not self._late_at_s:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body, self._head_size_bytes = False, True, 0
        self._late_at_s = self.loop.time() + self.body_timeout_s
        self._look_at(self._late_at_s)
        before: Any = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            # The request has a task by now, which begins when this is over.
            extensions: Any = {WHOLE: partial(_write_whole, self.cycle)}
            self.scope["extensions"] = extensions

    def on_message_complete(self) -> None:
        self._late_at_s = 0.0
        self._in_body = False
        super().on_message_complete()
        if self._held is not None and not self._answered_at_once(self._held):
            self._begin()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """As uvicorn has it, but a body that may be among the bytes that are being read is looked for first."""
        if self._feeding and cycle is self.cycle and cycle.more_body:
            self._held = app
        else:
            super()._start_asgi_task(cycle, app)

    def _begin(self) -> None:
        app, self._held = self._held, None
        if not self.transport.is_closing():
            super()._start_asgi_task(self.cycle, app)

    @property
    def _at_rest(self) -> bool:
        """Whether the next byte is the first of a request, which nothing is in the way of."""
        return not (self._in_head or self._in_body or self._head_size_bytes or self.access_log or self._answering)

    def _answered_unread(self, data: bytes) -> bool:
        """See to a request whose head is known, and return whether it is one."""
        door: DoorLike | None = getattr(self.app, "door", None)
        if door is None or self.flow.write_paused or self.transport.is_closing():
            return False
        found = self.callers.find(data)
        if found is None:
            return False
        caller, body = found
        self._late_at_s = self._idle_at_s = 0.0
        exchange: Any = Exchange()
        self.cycle = exchange
        context = copy_context()
        answer = context.run(door.begin, caller, self._peer, body)
        if isinstance(answer, Whole):
            self._end_exchange(exchange, answer)
            return True
        exchange.task = self.loop.create_task(self._respond(exchange, answer), context=context)
        self.tasks.add(exchange.task)
        return True

    async def _respond(self, exchange: Exchange, work: Awaitable[Whole]) -> None:
        try:
            self._end_exchange(exchange, await work)
        except BaseException as error:
            if isinstance(error, Exception):
                log.exception("http.answer_failed")
            self.transport.close()
            raise
        finally:
            # As the last thing that the task does, which spares it a callback.
            task, exchange.task = exchange.task, None
            assert task is not None, "it is there before it begins"
            self.tasks.discard(task)

    def _end_exchange(self, exchange: Exchange, answer: Whole) -> None:
        exchange.response_started = exchange.response_complete = True
        if not exchange.disconnected:
            self.transport.write(_as_sent(self.server_state.default_headers, exchange.keep_alive, *answer))
            if not exchange.keep_alive:
                self.transport.close()
        self.on_response_complete()

    def _answered_at_once(self, app: Any) -> bool:
        """Answer a request that was read if that can be done without waiting, and know its head the next time."""
        cycle, door = self.cycle, getattr(app, "door", None)
        scope: Any = cycle.scope
        if door is None or cycle.flow.write_paused or cycle.access_log:
            return False
        if scope["method"] != "POST" or scope["path"] != app.door_path:
            return False
        try:
            caller = door.caller_of(scope)
            if caller is None:
                return False
            if self._begun_with is not None and cycle.keep_alive and may_be_known(scope["headers"]):
                self.callers.keep(self._begun_with, caller)
            answer = door.at_once(caller, self._peer, bytes(cycle.body))
            if answer is None:
                return False
            _write_whole(cycle, *answer)
        except Exception:
            # What went wrong goes wrong again where it is answered and told of, unless it is answered.
            if not cycle.response_started:
                return False
            log.exception("http.answer_failed")
        self._held = None
        return True

    def on_response_complete(self) -> None:
        """As uvicorn has it, but for its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_at_s = self.loop.time() + self.timeout_keep_alive
            self._look_at(self._idle_at_s)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_at_s = 0.0

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing_timer is None:
            self._writing_timer = self.loop.call_later(self.settings.slow_reader_patience_s, self._unread)

    def resume_writing(self) -> None:
        self._resume()
        super().resume_writing()

    @property
    def _answering(self) -> bool:
        # None before the first request, whatever its type says.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        self._late_at_s = self.loop.time() + self.head_timeout_s
        self._look_at(self._late_at_s)

    def _look_at(self, at_s: float) -> None:
        """Have a timer that looks at that time at the latest."""
        if self._timer is None:
            self._timer = self.loop.call_at(at_s, self._look)
        elif at_s < self._timer.when():
            self._timer.cancel()
            self._timer = self.loop.call_at(at_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self.loop.time() + CLOCK_RESOLUTION_S
        if self._late_at_s and self._late_at_s <= now_s:
            self._refuse(TIMED_OUT)
        elif self._idle_at_s and self._idle_at_s <= now_s:
            self._end()
            self.timeout_keep_alive_handler()
        elif self._late_at_s or self._idle_at_s:
            self._look_at(min(each for each in (self._late_at_s, self._idle_at_s) if each))

    def _end(self) -> None:
        """Wait for nothing any more."""
        self._late_at_s = self._idle_at_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resume(self) -> None:
        if self._writing_timer is not None:
            self._writing_timer.cancel()
            self._writing_timer = None

    def _unread(self) -> None:
        self._writing_timer = None
        log.info("http.reader_too_slow")
        self.transport.abort()

    def _refuse(self, answer: bytes) -> None:
        """End the connection, with an answer where none has begun and the request has."""
        self._end()
        if self.transport.is_closing():
            return
        log.info("http.refused", status=int(answer[9:12]))
        # Behind the head of a pipelined request there may be the answer to the one before it.
        begun = self.cycle.response_started if self._in_body else self._answering
        if (self._in_head or self._in_body) and not begun and not self.pipeline:
            self.transport.write(answer)
        if self.transport.get_write_buffer_size():
            # What is not read now would keep the connection open.
            self.transport.abort()
        else:
            self.transport.close()


def _write_whole(cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> bool:
    """Answer a request at once, or say that it has to be answered as any other. `head` has its headers as lines."""
    if cycle.response_started or cycle.flow.write_paused or cycle.access_log or cycle.scope["method"] == "HEAD":
        return False
    if not cycle.disconnected:
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(_as_sent(cycle.default_headers, cycle.keep_alive, status, head, body))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
    return True


def _as_sent(defaults: RawHeaders, keep_alive: bool, status: int, head: bytes, body: bytes) -> bytes:
    close = b"" if keep_alive else b"connection: close\r\n"
    return b"".join((STATUS_LINE[status], _default_lines(defaults), head, close, b"\r\n", body))


class _Defaults:
    """The headers that uvicorn puts before all others; it makes them anew each second."""

    headers: RawHeaders | None = None
    lines = b""


def _default_lines(headers: RawHeaders) -> bytes:
    if _Defaults.headers is not headers:
        _Defaults.headers, _Defaults.lines = headers, lines(headers)
    return _Defaults.lines


def http_connection(settings: Settings) -> type[HttpConnection]:
    """Return the class of connections with these limits."""
    values = {
        "settings": settings,
        "head_timeout_s": settings.request_head_timeout_s,
        "body_timeout_s": settings.request_body_timeout_s,
        "head_size_max_bytes": settings.request_head_size_max_bytes,
        "callers": Callers(
            kept_max=settings.request_heads_kept_max,
            size_max_bytes=KNOWN_HEAD_SIZE_MAX_BYTES,
            body_size_max_bytes=settings.request_body_size_max_bytes,
        ),
    }
    return type("HttpConnection", (HttpConnection,), values)
