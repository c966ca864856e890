"""`GET /schema.graphql`: the SDL, as much of it as is meant for who asks.

Partners build on it, so it is there in production, too, where introspection is off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from domain.identity import staff
from domain.identity.staff import StaffOnly
from domain.identity.tokens import TokenAuthority, TokenRefused
from kernel.clock import utc_now
from kernel.settings import Settings

SCHEMA_FOLDER = Path(__file__).parent.parent / "schema"
PATH = "/schema.graphql"
SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Published:
    """An SDL in UTF-8, and the tag under which a client may keep it."""

    text: bytes
    tag: str

    @classmethod
    @lru_cache(maxsize=2)
    def read(cls, name: str) -> Published:
        """Read the committed file of this name, when it is asked for first: hundreds of kilobytes that few want."""
        text = (SCHEMA_FOLDER / name).read_bytes()
        return cls(text, f'"{hashlib.sha256(text).hexdigest()[:32]}"')


def routes(settings: Settings, *, tokens: Callable[[], TokenAuthority]) -> list[Route]:
    """Return the route. Without a token it answers what partners see, and the whole in development."""
    whole, partner = (partial(Published.read, name) for name in ("schema.graphql", "partner.graphql"))

    async def sdl(request: Request) -> Response:
        authorization = request.headers.get("authorization")
        if authorization is None:
            return _answer(request, whole() if settings.development else partner())
        try:
            is_staff = await _is_staff(authorization, tokens())
        except TokenRefused:
            return Response(status_code=401, headers={"www-authenticate": 'Bearer error="invalid_token"'})
        return _answer(request, whole() if is_staff else partner())

    return [Route(PATH, sdl)]


async def _is_staff(authorization: str, tokens: TokenAuthority) -> bool:
    """Say whether the token is of somebody who works here today. Raises TokenRefused."""
    if not authorization.lower().startswith(SCHEME):
        raise TokenRefused
    viewer = tokens.authenticate(authorization[len(SCHEME) :].strip(), now=utc_now())
    try:
        await staff.require(viewer=viewer)
    except StaffOnly:
        return False
    return True


def _answer(request: Request, published: Published) -> Response:
    headers = {"etag": published.tag, "cache-control": "no-cache", "vary": "authorization"}
    if request.headers.get("if-none-match") == published.tag:
        return Response(status_code=304, headers=headers)
    return PlainTextResponse(published.text, headers=headers)
