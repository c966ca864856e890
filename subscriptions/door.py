"""Plain requests, from what their head says and their body to a whole answer, without ASGI between.

A server that can tell a head that it has read before (see `subscriptions.callers`) comes straight here. All others come
by `GraphQLApp`, which answers by the same rules.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from datetime import datetime
from itertools import count
from typing import Any

from starlette.types import Scope
from structlog.contextvars import bind_contextvars

from domain.identity.tokens import TokenRefused
from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from kernel.errors import YoukaError
from schema.types.context import Context, Services
from subscriptions.answers import answered, kept_or_answered, not_executed, whole
from subscriptions.callers import Asking, Caller
from subscriptions.deliveries import OperationRefused
from subscriptions.execution import Prepared
from subscriptions.heads import Fixed, Head, Reply, Whole, lines, raw
from subscriptions.limits import address_in, address_of_peer
from subscriptions.negotiation import bearer_token_of, locale_of, media_type_of, request_id_of, takes_events
from subscriptions.operations import Answer, Engine
from subscriptions.origins import Origins
from subscriptions.reception import Reception
from subscriptions.refusals import check_allowed, failed
from subscriptions.requests import Asked, decoded, is_json, request_of


class Door:
    """`headers` stand on every answer; `address_header` is the setting `client_address_header`."""

    def __init__(
        self,
        services: Services,
        engine: Engine,
        reception: Reception,
        origins: Origins,
        *,
        headers: Fixed,
        connections: count[int],
    ) -> None:
        self._services, self._tokens = services, services.tokens
        self._engine, self._reception, self._origins, self._headers = engine, reception, origins, headers
        self._connections = connections
        # Read for each request, and an attribute of the settings is looked for in many places.
        self._address_header = services.settings.client_address_header

    def caller_of(self, scope: Scope) -> Caller | None:
        """Return what the head of a POST says; None where it asks for what takes more than a plain answer."""
        head = Head(scope)
        header = head.headers.get
        accept = header("accept", "")
        if takes_events(accept) or not is_json(header("content-type", "")):
            return None
        authorization = header("authorization")
        return Caller(
            signed=authorization is not None,
            token=bearer_token_of(authorization) if authorization is not None else None,
            locale=locale_of(header("accept-language", "")),
            media_type=media_type_of(accept),
            address=address_in(header(self._address_header, "")) if self._address_header else None,
            request_id=header("x-request-id"),
            head=head if header("origin") is not None else None,
            more=lines(raw(self._origins.headers(head))),
        )

    def at_once(self, caller: Caller, peer: str, body: bytes) -> Whole | None:
        """Return an answer that is kept; None where it is not, or the request has to wait or may be refused."""
        if self._engine.kept is None:
            return None
        now, viewer = utc_now(), None
        if caller.signed:
            try:
                viewer = self._tokens.known(caller.token, now=now) if caller.token is not None else None
                if viewer is None:
                    return None
                self._check_origin(caller, viewer)
            except YoukaError:
                return None
        known = self._engine.answer_known(body, Asking(viewer, caller.locale, _address(caller, peer), now))
        if known is None:
            return None
        return whole(known, media_type=caller.media_type, more=self._more(caller, request_id_of(caller.request_id)))

    def begin(self, caller: Caller, peer: str, body: bytes) -> Whole | Coroutine[Any, Any, Whole]:
        """Return the answer, whatever it is, or what to await for it in a task that has the context of this call."""
        request_id = request_id_of(caller.request_id)
        more = self._more(caller, request_id)
        try:
            now = utc_now()
            viewer = self._viewer(caller, now) if caller.signed else None
            address = _address(caller, peer)
            if self._engine.kept is not None:
                known = self._engine.answer_known(body, Asking(viewer, caller.locale, address, now))
                if known is not None:
                    return whole(known, media_type=caller.media_type, more=more)
            bind_contextvars(request_id=request_id)
            context = Context(
                services=self._services,
                viewer=viewer,
                locale=caller.locale,
                request_id=request_id,
                address=address,
                connection=str(next(self._connections)),
            )
            return self._begun(caller, body, context, more)
        except OperationRefused as refused:
            reply = not_executed(refused.errors, media_type=caller.media_type)
        except Exception as error:
            bind_contextvars(request_id=request_id)
            reply = failed(error, locale=caller.locale)
        return reply.whole(more)

    def _begun(self, caller: Caller, body: bytes, context: Context, more: bytes) -> Whole | Coroutine[Any, Any, Whole]:
        """As `begin`, once it is known who asks. Raises what `begin` answers."""
        media_type = caller.media_type
        asked = request_of(decoded(body, "The body"))
        prepared = self._reception.prepare_here(asked, context)
        if prepared is None:
            return self._awaited(self.answer("POST", body, asked, context, media_type), context, media_type, more)
        check_allowed(prepared, "POST", streams=False)
        begun = self._engine.begin(prepared, context)
        if not isinstance(begun, Answer):
            return self._awaited(begun, context, media_type, more, (body, prepared))
        self._engine.know(body, prepared, begun, context)
        return whole(begun, media_type=media_type, more=more)

    async def _awaited(
        self,
        work: Awaitable[Answer | Reply],
        context: Context,
        media_type: str,
        more: bytes,
        known_by: tuple[bytes, Prepared] | None = None,
    ) -> Whole:
        """Return what comes of the work; an answer is known by the letters that it was asked by."""
        try:
            found = await work
            if isinstance(found, Reply):
                return found.whole(more)
            if known_by is not None:
                self._engine.know(*known_by, found, context)
            return whole(found, media_type=media_type, more=more)
        except Exception as error:
            return failed(error, locale=context.locale).whole(more)

    async def answer(
        self, method: str, letters: bytes, asked: Asked, context: Context, media_type: str, head: Head | None = None
    ) -> Reply:
        """Return the answer of an operation; `letters` are those that it was asked by. Raises what `failed` answers."""
        try:
            prepared = await self._reception.prepare(asked, context)
        except OperationRefused as refused:
            return not_executed(refused.errors, media_type=media_type)
        check_allowed(prepared, method, streams=False)
        answer = await self._engine.answer(prepared, context)
        if asked.automatic is None:
            self._engine.know(letters, prepared, answer, context)
        if head is None:
            return answered(answer, media_type=media_type)
        return kept_or_answered(head, answer, media_type=media_type)

    def _more(self, caller: Caller, request_id: str) -> bytes:
        """Return the lines of headers that every answer has."""
        return b"x-request-id: %b\r\n%b%b" % (request_id.encode(), caller.more, self._headers.lines)

    def _viewer(self, caller: Caller, now: datetime) -> Viewer:
        """Raises TokenRefused or OriginNotAllowed."""
        if caller.token is None:
            raise TokenRefused
        viewer = self._tokens.authenticate(caller.token, now=now)
        self._check_origin(caller, viewer)
        return viewer

    def _check_origin(self, caller: Caller, viewer: Viewer) -> None:
        """Raises OriginNotAllowed."""
        if caller.head is not None:
            self._origins.check(caller.head, viewer)


def _address(caller: Caller, peer: str) -> str:
    return caller.address or address_of_peer(peer)
