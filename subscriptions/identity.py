"""Who asks: the token of a request or a connection, until when it holds, and how a newer one takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from domain.identity.tokens import SessionEnded, TokenAuthority, TokenExpired, TokenRefused
from domain.identity.viewer import Viewer
from schema.types.context import Context
from subscriptions.negotiation import bearer_token_of, locale_of

AUTHORIZATION = "authorization"
SCHEME = "Bearer "


def viewer_of(authorization: object, context: Context) -> Viewer:
    """Return whom the value of an `Authorization` header names. Raises TokenRefused."""
    tokens: TokenAuthority = context.services.tokens
    if not isinstance(authorization, str):
        raise TokenRefused
    # What was taken before is found by its letters, before they are looked at one by one.
    known = tokens.known(authorization[len(SCHEME) :], now=context.now) if authorization.startswith(SCHEME) else None
    if known is not None:
        return known
    token = bearer_token_of(authorization)
    if token is None:
        raise TokenRefused
    return tokens.authenticate(token, now=context.now)


def identify(context: Context, parameters: dict[str, Any]) -> None:
    """Read the parameters of `connection_init` into the context. Raises TokenRefused.

    `Authorization` (any case) is as in HTTP; without it nobody is signed in. `locale` is `zh-CN` or `en`.
    """
    given = {str(name).lower(): value for name, value in parameters.items()}
    if isinstance(given.get("locale"), str):
        context.locale = locale_of(given["locale"])
    if given.get(AUTHORIZATION) is not None:
        context.viewer = viewer_of(given[AUTHORIZATION], context)


def renewal_of(payload: dict[str, Any]) -> object | None:
    """Return the value of `authorization` (any case) in the payload of a `ping`, None where it asks for nothing."""
    return next((value for name, value in payload.items() if name.lower() == AUTHORIZATION), None)


def renewed(context: Context, authorization: object) -> Viewer:
    """Return the viewer by the newer token, which must name the same user and client and allow no less.

    Raises TokenRefused: a connection is one person's, and what is open on it was opened by what they may do.
    """
    current, newer = context.viewer, viewer_of(authorization, context)
    if current is None or (newer.user_id, newer.client_id) != (current.user_id, current.client_id):
        raise TokenRefused
    if not newer.scopes >= current.scopes:
        raise TokenRefused
    return newer


class Expiry:
    """Tells the owner of a connection that its token is about to expire, in milliseconds, and then that it is over:
    TokenExpired, or SessionEnded at any time before."""

    __slots__ = ("_on_over", "_on_warning", "_stop_watching", "_timers", "_warning_s")

    def __init__(
        self, *, warning_s: float, on_warning: Callable[[int], None], on_over: Callable[[TokenRefused], None]
    ) -> None:
        self._warning_s, self._on_warning, self._on_over = warning_s, on_warning, on_over
        self._timers: tuple[asyncio.Handle, ...] = ()
        self._stop_watching: Callable[[], None] | None = None

    def set(self, context: Context) -> int | None:
        """Start anew with the viewer's token, and return the milliseconds it has; None where there is no viewer."""
        self.cancel()
        if context.viewer is None:
            return None
        left_s = max(0.0, (context.viewer.expires_at - context.now).total_seconds())
        loop = asyncio.get_running_loop()
        warning_s = min(self._warning_s, left_s / 2)
        self._timers = (
            loop.call_later(left_s - warning_s, self._on_warning, int(warning_s * 1_000)),
            loop.call_later(left_s, self._on_over, TokenExpired()),
        )
        self._watch(context.viewer, context.services.tokens)
        return int(left_s * 1_000)

    def _watch(self, viewer: Viewer, tokens: TokenAuthority) -> None:
        """Hear of the end of the session; it may have come since the token was read."""
        watched = viewer.session_id or viewer.token_id
        if tokens.is_over(viewer):
            loop = asyncio.get_running_loop()
            self._timers = (*self._timers, loop.call_soon(self._on_over, SessionEnded()))
        elif watched:
            self._stop_watching = tokens.revocations.watch(watched, lambda: self._on_over(SessionEnded()))

    def cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = ()
        if self._stop_watching:
            self._stop_watching()
            self._stop_watching = None
