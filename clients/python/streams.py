"""One subscription over graphql-transport-ws, which goes on where it stood when its connection is lost.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from .errors import OperationFailed, SignInFailed, StreamEnded, code_of
from .retrying import MS, NOT_EXECUTED, Retry, Trouble, retry_after_s
from .wire import Operation

T = TypeVar("T")

SUBPROTOCOL = Subprotocol("graphql-transport-ws")
OPEN_WITHIN_S = 15.0
# The server says something in every interval of 25 s.
SILENCE_MAX_S = 60.0
ID = "1"
NOT_SIGNED_IN = 4403
# Its programmer has to look: another try would end in the same way.
HOPELESS = frozenset({1007, 1009, 4400, 4401, 4406, 4409})


class _Interrupted(Exception):
    """The connection is over, and a new one may go on."""

    def __init__(self, trouble: Trouble, *, signed_out: bool = False) -> None:
        super().__init__(trouble.reason)
        self.trouble, self.signed_out = trouble, signed_out


class Stream(Generic[T]):
    def __init__(
        self,
        url: str,
        operation: Operation[T],
        variables: dict[str, Any],
        *,
        token: Callable[..., Awaitable[str | None]],
        locale: str,
        retry: Retry,
        trust_env: bool,
    ) -> None:
        self._url, self._operation, self._variables = url.replace("http", "ws", 1), operation, variables
        self._token, self._locale, self._retry, self._trust_env = token, locale, retry, trust_env
        self._cursor: str | None = variables.get("after")
        self._named = True
        self._reconnect_after_s: float | None = None

    async def events(self) -> AsyncIterator[T]:
        """Yield the events. Raises OperationFailed, StreamEnded or SignInFailed."""
        failures, refused = 0, None
        while True:
            token = await self._token(refused=refused)
            refused = None
            try:
                async for event in self._connected(token):
                    failures = 0
                    yield event
                return
            except _Interrupted as interrupted:
                failures += 1
                trouble = interrupted.trouble
                wait_s = max(trouble.retry_after_s or 0.0, self._retry.wait_s(failures))
                if failures >= self._retry.attempts_max or wait_s > self._retry.wait_max_s:
                    raise StreamEnded(trouble.reason, cursor=self._cursor) from None
                # A token that was refused is not tried again.
                refused = token if interrupted.signed_out else None
            await asyncio.sleep(wait_s)

    async def _connected(self, token: str | None) -> AsyncIterator[T]:
        """Yield the events of one connection, until the server says that there are no more. Raises _Interrupted."""
        try:
            async with connect(
                self._url,
                subprotocols=[SUBPROTOCOL],
                open_timeout=OPEN_WITHIN_S,
                ping_interval=None,
                proxy=True if self._trust_env else None,
            ) as socket:
                await self._begin(socket, token)
                async for event in self._received(socket, token):
                    yield event
        except ConnectionClosed as closed:
            raise self._over(closed) from None
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise _Interrupted(Trouble(f"{type(error).__name__}: {error}")) from None
        except InvalidURI as error:
            raise StreamEnded(str(error), cursor=self._cursor) from None

    async def _begin(self, socket: ClientConnection, token: str | None) -> None:
        payload = {"locale": self._locale, **({"authorization": f"Bearer {token}"} if token else {})}
        await _send(socket, type="connection_init", payload=payload)
        async with asyncio.timeout(OPEN_WITHIN_S):
            while (message := json.loads(await socket.recv()))["type"] != "connection_ack":
                await self._answer_ping(socket, message, token)
        await self._subscribe(socket)

    async def _subscribe(self, socket: ClientConnection) -> None:
        variables = {**self._variables, **({"after": self._cursor} if self._cursor else {})}
        document = (
            {"documentId": f"sha256:{self._operation.sha256}"} if self._named else {"query": self._operation.text}
        )
        await _send(socket, id=ID, type="subscribe", payload={**document, "variables": variables})

    async def _received(self, socket: ClientConnection, token: str | None) -> AsyncIterator[T]:
        while True:
            async with asyncio.timeout(SILENCE_MAX_S):
                message = json.loads(await socket.recv())
            match message["type"]:
                case "next":
                    yield self._event(message["payload"])
                case "error":
                    await self._refused(socket, message["payload"])
                case "complete":
                    return
                case _:
                    await self._answer_ping(socket, message, token)

    def _event(self, payload: dict[str, Any]) -> T:
        """Raises OperationFailed, or _Interrupted where the stream has ended by an error that passes."""
        if payload.get("errors"):
            raise OperationFailed(payload["errors"], payload.get("data"))
        data = payload["data"][self._operation.field]
        self._cursor = data.get("cursor", self._cursor)
        return self._operation.read(data)

    async def _refused(self, socket: ClientConnection, errors: list[dict[str, Any]]) -> None:
        """Subscribe once more with the whole document, or raise what the errors say."""
        first = errors[0]
        code = code_of(first)
        if code == "PERSISTED_QUERY_NOT_FOUND" and self._named:
            self._named = False
            await self._subscribe(socket)
        elif code == "STREAM_OVERFLOW":
            self._resume_at(first)
            raise _Interrupted(Trouble(code, code))
        elif code in NOT_EXECUTED:
            self._resume_at(first)
            raise _Interrupted(Trouble(str(first.get("message")), code, retry_after_s=retry_after_s(first)))
        else:
            raise OperationFailed(errors)

    def _resume_at(self, error: dict[str, Any]) -> None:
        self._cursor = (error.get("extensions") or {}).get("cursor") or self._cursor

    async def _answer_ping(self, socket: ClientConnection, message: dict[str, Any], token: str | None) -> None:
        if message["type"] != "ping":
            return
        payload = message.get("payload") or {}
        await _send(socket, type="pong")
        if "reconnectAfterMs" in payload:
            self._reconnect_after_s = payload["reconnectAfterMs"] / MS
        if "expiresInMs" in payload and token is not None:
            # Where there is no newer token, the connection goes on until this one expires.
            with suppress(SignInFailed):
                newer = await self._token(refused=token)
                await _send(socket, type="ping", payload={"authorization": f"Bearer {newer}"})

    def _over(self, closed: ConnectionClosed) -> Exception:
        """Return what the end of a connection means."""
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "the connection was lost")
        if code in HOPELESS:
            return StreamEnded(f"{code} {reason}", cursor=self._cursor)
        after_s, self._reconnect_after_s = self._reconnect_after_s, None
        return _Interrupted(Trouble(f"{code} {reason}", retry_after_s=after_s), signed_out=code == NOT_SIGNED_IN)


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))
