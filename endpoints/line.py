"""The line in front of the authorization server: who asks for a token waits here before anything is done for them."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endpoints.oauth_requests import AddressLimit, AddressLimited, TemporarilyUnavailable, refused
from endpoints.turns import Pace
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings

TOKEN_PATH = "/oauth/token"  # noqa: S105 -- where tokens are given.

log = get_logger(__name__)


class Line:
    """ASGI middleware. A rush is hundreds of requests at once: each that is routed and has its form read before it
    waits costs the loop as much as a query, there and then. One that waits here has cost little but its head.

    An address that is refused anyway does not wait, and whoever has gone meanwhile takes nobody's place.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, refusals: AddressLimit, address_of: Callable[[HTTPConnection], str]
    ) -> None:
        self._app, self._refusals, self._address_of = app, refusals, address_of
        self._pace = Pace(settings.sign_ins_per_s_max, settings.sign_ins_burst_max, settings.sign_ins_waiting_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != TOKEN_PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            self._refusals.check(self._address_of(HTTPConnection(scope)), now_s=monotonic())
            await self._pace.step()
        except (AddressLimited, TemporarilyUnavailable) as error:
            await refused(error, now=utc_now())(scope, receive, send)
            return
        first = await receive()
        if first["type"] == "http.disconnect":
            log.info("sign_in.gone_from_line")
            self._pace.step_back()
            return
        await self._app(scope, beginning_with(first, receive), send)


def beginning_with(first: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives what was received already before what is still to come."""
    waiting = [first]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
