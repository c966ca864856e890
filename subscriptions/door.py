"""Plain requests, from what their head says and their body to a whole answer, without ASGI between.

A server that can tell a head that it has read before (see `subscriptions.callers`) comes straight here. All others come
by `GraphQLApp`, which answers by the same rules.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from itertools import count
from typing import Any

from starlette.types import Scope
from structlog.contextvars import bind_contextvars

from domain.identity.tokens import TokenRefused
from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from kernel.errors import YoukaError
from schema.types.context import Context, Services
from subscriptions.answers import answered, kept_or_answered, not_executed
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
        asking = Asking(viewer, caller.locale, caller.address or address_of_peer(peer), now)
        known = self._engine.answer_known(body, asking)
        if known is None:
            return None
        return self._whole(caller, answered(known, media_type=caller.media_type), request_id_of(caller.request_id))

    def begin(self, caller: Caller, peer: str, body: bytes) -> Whole | Coroutine[Any, Any, Whole]:
        """Return the answer, whatever it is, or what to await for it in a task that has the context of this call."""
        context = Context(
            services=self._services,
            locale=caller.locale,
            request_id=request_id_of(caller.request_id),
            address=caller.address or address_of_peer(peer),
            connection=str(next(self._connections)),
        )
        bind_contextvars(request_id=context.request_id)
        media_type = caller.media_type
        try:
            if caller.signed:
                if caller.token is None:
                    raise TokenRefused
                context.viewer = self._tokens.authenticate(caller.token, now=context.now)
                self._check_origin(caller, context.viewer)
            asked = request_of(decoded(body, "The body"))
            prepared = self._reception.prepare_here(asked, context)
            if prepared is None:
                return self._awaited(caller, self.answer("POST", body, asked, context, media_type), context)
            check_allowed(prepared, "POST", streams=False)
            begun = self._engine.begin(prepared, context)
            if not isinstance(begun, Answer):
                return self._awaited(caller, begun, context, (body, prepared))
            self._engine.know(body, prepared, begun, context)
            reply = answered(begun, media_type=media_type)
        except OperationRefused as refused:
            reply = not_executed(refused.errors, media_type=media_type)
        except Exception as error:
            reply = failed(error, context)
        return self._whole(caller, reply, context.request_id)

    async def _awaited(
        self,
        caller: Caller,
        work: Awaitable[Answer | Reply],
        context: Context,
        known_by: tuple[bytes, Prepared] | None = None,
    ) -> Whole:
        """Return what comes of the work; an answer is known by the letters that it was asked by."""
        try:
            found = await work
            if isinstance(found, Reply):
                reply = found
            else:
                if known_by is not None:
                    self._engine.know(*known_by, found, context)
                reply = answered(found, media_type=caller.media_type)
        except Exception as error:
            reply = failed(error, context)
        return self._whole(caller, reply, context.request_id)

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

    def _whole(self, caller: Caller, reply: Reply, request_id: str) -> Whole:
        head = b"%bx-request-id: %b\r\n%b%b" % (
            lines(reply.headers), request_id.encode(), caller.more, self._headers.lines,
        )  # fmt: skip
        return Whole(reply.status, head, reply.body)

    def _check_origin(self, caller: Caller, viewer: Viewer) -> None:
        """Raises OriginNotAllowed."""
        if caller.head is not None:
            self._origins.check(caller.head, viewer)
