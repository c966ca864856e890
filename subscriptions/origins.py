"""Which web pages may call: by the origin that a browser names, and by the client whose token the page sends.

Whoever sends no origin is no browser. There are no cookies here, so a page has no rights but those of its token.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from strawberry.http.websocket_origin import is_same_origin, normalize_origin

from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from kernel.settings import Settings
from subscriptions.heads import Head, Reply, raw

EVERY = "*"
PREFLIGHT_AGE_S = 600
REQUEST_HEADERS = "authorization, content-type, accept-language, last-event-id, x-request-id"
PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": REQUEST_HEADERS,
    "access-control-max-age": str(PREFLIGHT_AGE_S),
}
RESPONSE_HEADERS = "x-request-id, retry-after, www-authenticate, ratelimit, ratelimit-policy"


class OriginNotAllowed(YoukaError):
    """The client's tokens are taken from other pages only."""

    code = "ORIGIN_NOT_ALLOWED"
    messages = {"zh-CN": "此来源不允许使用该客户端的令牌", "en": "The client's tokens are not taken from this origin"}


class Origins:
    """`allowed_origins` are open to every client; those of `client_origins` to their client, which they bind."""

    def __init__(self, settings: Settings) -> None:
        self._of_client = {
            client: frozenset(map(_normal, origins)) for client, origins in settings.client_origins.items()
        }
        self._allowed = frozenset(map(_normal, settings.allowed_origins)).union(*self._of_client.values())

    def admits(self, connection: HTTPConnection | Head) -> bool:
        """Whether a page of this origin may call at all."""
        origin = connection.headers.get("origin")
        if origin is None or EVERY in self._allowed or is_same_origin(origin, connection.headers.get("host")):
            return True
        return normalize_origin(origin) in self._allowed

    def check(self, connection: HTTPConnection | Head, viewer: Viewer | None) -> None:
        """Raises OriginNotAllowed where the viewer's client is bound to other origins."""
        origin = connection.headers.get("origin")
        if origin is None or viewer is None or is_same_origin(origin, connection.headers.get("host")):
            return
        bound = self._of_client.get(viewer.client_id)
        if bound is not None and EVERY not in bound and normalize_origin(origin) not in bound:
            raise OriginNotAllowed

    def headers(self, request: Head) -> dict[str, str]:
        """Return what lets a page read the answer (https://fetch.spec.whatwg.org/#http-responses)."""
        if not self._allowed:
            return {}
        origin = request.headers.get("origin")
        if origin is None or not self.admits(request):
            return {"vary": "origin"}
        return {
            "vary": "origin",
            "access-control-allow-origin": origin,
            "access-control-expose-headers": RESPONSE_HEADERS,
        }

    def preflight(self, request: Head) -> Reply | None:
        """Return the answer to a browser that asks before it sends; None where it is something else that is asked."""
        asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        if not asks or not self._allowed or not self.admits(request):
            return None
        return Reply(204, raw(PREFLIGHT), None)


def _normal(origin: str) -> str:
    return EVERY if origin == EVERY else normalize_origin(origin) or origin
