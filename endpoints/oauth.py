"""Sign-in for development: the mini-program's login code becomes an access token.

The answers have the shapes of RFC 6749 (sections 5.1 and 5.2), so any OAuth client can read them.
"""

from __future__ import annotations

from collections.abc import Callable

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnsupportedGrantTypeError,
)
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.identity.operations import sign_in
from domain.identity.ports import LoginCodeRefused, LoginUnavailable, MiniProgramLogin
from domain.identity.tokens import TokenAuthority
from kernel.clock import utc_now

GRANT_TYPE = "urn:youka:oauth:grant-type:mini-program"
CLIENT_ID = "mini-program"
SCOPES = frozenset({"profile", "cards", "recharge"})
# What is given only to who asks for it.
SCOPES_ON_REQUEST = frozenset({"webhooks"})
FORM_TYPE = "application/x-www-form-urlencoded"
CODE_LENGTH_MAX = 256
FIELDS_MAX = 10
NO_STORE = {"Cache-Control": "no-store"}


class TemporarilyUnavailable(OAuth2Error):  # type: ignore[misc]
    """The code was not looked at, so it may be sent again."""

    error = "temporarily_unavailable"
    status_code = 503


def routes(tokens: Callable[[], TokenAuthority], login: Callable[[], MiniProgramLogin]) -> list[Route]:
    async def token(request: Request) -> Response:
        """Exchange `grant_type` and `code` for an access token; a code works once. `scope` names other scopes."""
        now = utc_now()
        try:
            form = await _form(request)
            code, scopes = _code(form), _scopes(form)
            user = await sign_in(code=code, login=login(), now=now)
        except LoginCodeRefused as error:
            return _refused(InvalidGrantError(error.message("en")))
        except LoginUnavailable as error:
            return _refused(TemporarilyUnavailable(error.message("en")))
        except OAuth2Error as error:
            return _refused(error)
        access_token = tokens().issue(user_id=user.id, client_id=CLIENT_ID, scopes=scopes, now=now)
        return JSONResponse(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": tokens().lifetime_s,
                "scope": " ".join(sorted(scopes)),
            },
            headers=NO_STORE,
        )

    async def keys(_request: Request) -> Response:
        return JSONResponse(tokens().key_set(), headers={"Cache-Control": "public, max-age=300"})

    return [Route("/oauth/token", token, methods=["POST"]), Route("/oauth/jwks.json", keys)]


async def _form(request: Request) -> FormData:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM_TYPE:
        raise InvalidRequestError(f"send a form as {FORM_TYPE}")
    try:
        return await request.form(max_fields=FIELDS_MAX, max_files=0)
    except HTTPException as error:
        raise InvalidRequestError("the form cannot be read") from error


def _code(form: FormData) -> str:
    if form.get("grant_type") != GRANT_TYPE:
        raise UnsupportedGrantTypeError(form.get("grant_type"))
    code = form.get("code")
    if not isinstance(code, str) or not 0 < len(code) <= CODE_LENGTH_MAX:
        raise InvalidRequestError("send the login code as the field code")
    return code


def _scopes(form: FormData) -> frozenset[str]:
    """Return the scopes that are asked for (RFC 6749, section 3.3); the usual ones where none is."""
    asked = form.get("scope")
    if asked is None:
        return SCOPES
    scopes = frozenset(asked.split()) if isinstance(asked, str) else frozenset()
    if not scopes or not scopes <= SCOPES | SCOPES_ON_REQUEST:
        raise InvalidScopeError
    return scopes


def _refused(error: OAuth2Error) -> JSONResponse:
    status, body, headers = error()
    return JSONResponse(body, status_code=status, headers=dict(headers))
