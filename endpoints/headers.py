"""Headers that every answer has, and the end of requests whose sender has gone."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.logs import get_logger

log = get_logger(__name__)


class SecurityHeaders:
    """ASGI middleware. An answer that has one of the headers keeps its own, as a page does that loads scripts."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            # It may have been dropped because it was too slow; either way there is nobody to answer.
            log.info("request.sender_gone", path=scope["path"])
