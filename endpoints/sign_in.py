"""The page on which staff sign in: the authorization endpoint (RFC 6749, section 3.1) with PKCE and a second factor.

What was asked for goes through the form sealed, together with a nonce that the browser keeps in a cookie, so that a
form which another site sends for somebody is not taken. Nobody stays signed in here; each sign-in is a whole one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from html import escape
from urllib.parse import urlencode, urlsplit

import orjson
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.access import clients, staff
from domain.access.attempts import TooManyAttempts
from domain.access.clients import Credentials
from domain.access.entering import SignInUnusual
from domain.access.policy import Policy
from domain.access.rules import CODE_GRANT, OAuthRefusal
from domain.access.staff import SignInRefused, Wanted
from domain.signins.locks import SignInLocked
from domain.signins.records import Origin
from endpoints.oauth_requests import RequestInvalid, needed, once, place_of, read_form
from endpoints.pages import page
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.sealing import SealBroken, Sealer
from kernel.settings import Settings

PATH = "/oauth/authorize"
TITLE = "油卡后台登录"
COOKIE = "youka_sign_in"
TICKET_OWNER = "sign-in"
TICKET_LIFETIME = timedelta(minutes=10)
STATE_LENGTH_MAX = 512
SEE_OTHER = 303


class TicketRefused(OAuthRefusal):
    """The form is too old, or was not made for this browser."""

    code = "TICKET_REFUSED"
    messages = {"zh-CN": "登录页面已过期，请重新打开", "en": "The page is too old, open it again"}


def routes(
    sealer: Callable[[], Sealer], settings: Settings, address_of: Callable[[HTTPConnection], str]
) -> list[Route]:
    """Return the page; `address_of` names who asks, for the audit and the locks."""
    return [Route(PATH, SignInPage(sealer, settings, address_of).respond, methods=["GET", "POST"])]


class SignInPage:
    def __init__(
        self, sealer: Callable[[], Sealer], settings: Settings, address_of: Callable[[HTTPConnection], str]
    ) -> None:
        self._sealer, self._settings, self._policy = sealer, settings, Policy.of(settings)
        self._address_of = address_of

    async def respond(self, request: Request) -> Response:
        try:
            return await (self._post(request) if request.method == "POST" else self._get(request))
        except YoukaError as error:
            # There is nobody to send the browser back to who could be trusted.
            return page(TITLE, _refusal(error), status=400)

    async def _get(self, request: Request) -> Response:
        form = once(request.query_params.multi_items())
        client = await clients.authenticate(
            given=Credentials(needed(form, "client_id")), audiences=(), policy=self._policy, now=utc_now()
        )
        redirect_uri = staff.check_redirect(client, form.get("redirect_uri"))
        state = form.get("state", "")
        if len(state) > STATE_LENGTH_MAX:
            raise RequestInvalid(problem="state is too long")
        try:
            wanted = staff.want(
                client,
                redirect_uri=redirect_uri,
                response_type=form.get("response_type"),
                scope=form.get("scope"),
                challenge=form.get("code_challenge"),
                method=form.get("code_challenge_method"),
                state=state,
            )
        except OAuthRefusal as error:
            return self._back(redirect_uri, state, error=error.error, error_description=error.message("en"))
        return self._form(wanted, secrets.token_urlsafe(32))

    async def _post(self, request: Request) -> Response:
        form = await read_form(request, size_max=self._settings.oauth_body_size_max_bytes)
        nonce = request.cookies.get(COOKIE, "")
        wanted = self._open(needed(form, "ticket"), nonce, utc_now())
        origin = request.headers.get("origin")
        if origin not in {None, "null", self._own}:
            raise TicketRefused
        try:
            code = await staff.sign_in(
                wanted=wanted,
                name=form.get("name", "").strip(),
                password=form.get("password", ""),
                code=form.get("code", "").replace(" ", ""),
                origin=self._origin(request, wanted),
                sealer=self._sealer(),
                policy=self._policy,
                now=utc_now(),
            )
        except (SignInRefused, SignInUnusual) as error:
            return self._form(wanted, nonce, error=error, status=401)
        except (TooManyAttempts, SignInLocked) as error:
            return self._form(wanted, nonce, error=error, status=429)
        answer = self._back(wanted.redirect_uri, wanted.state, code=code)
        answer.delete_cookie(COOKIE, path=PATH)
        return answer

    def _origin(self, request: Request, wanted: Wanted) -> Origin:
        return Origin.of(
            client_id=wanted.client_id,
            grant_type=CODE_GRANT,
            device_name=request.headers.get("user-agent"),
            device_id=None,
            address=self._address_of(request),
            place=place_of(request, {}, header=self._settings.client_place_header),
            sealer=self._sealer(),
        )

    @property
    def _own(self) -> str:
        parts = urlsplit(self._settings.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def _back(self, redirect_uri: str, state: str, **values: str) -> Response:
        """Send the browser to the client; `iss` says whose answer it is (RFC 9207)."""
        query = urlencode({**values, **({"state": state} if state else {}), "iss": self._settings.issuer})
        joint = "&" if "?" in redirect_uri else "?"
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return RedirectResponse(f"{redirect_uri}{joint}{query}", status_code=SEE_OTHER, headers=headers)

    def _form(self, wanted: Wanted, nonce: str, *, error: YoukaError | None = None, status: int = 200) -> Response:
        ticket = self._seal(wanted, nonce, utc_now() + TICKET_LIFETIME)
        content = f"""{_refusal(error) if error else ""}
<form method="post" action="{PATH}" autocomplete="off">
<input type="hidden" name="ticket" value="{escape(ticket)}">
<label for="name">姓名</label><input id="name" name="name" required maxlength="64" autocomplete="username">
<label for="password">密码</label>
<input id="password" name="password" type="password" required autocomplete="current-password">
<label for="code">动态码</label>
<input id="code" name="code" required inputmode="numeric" pattern="[0-9 ]*" autocomplete="one-time-code">
<button>登录</button>
</form>"""
        target = urlsplit(wanted.redirect_uri)
        answer = page(TITLE, content, status=status, form_targets=f"'self' {target.scheme}://{target.netloc}")
        answer.set_cookie(
            COOKIE,
            nonce,
            max_age=int(TICKET_LIFETIME.total_seconds()),
            path=PATH,
            httponly=True,
            samesite="strict",
            secure=self._own.startswith("https:"),
        )
        return answer

    def _seal(self, wanted: Wanted, nonce: str, until: datetime) -> str:
        held = {
            "client_id": wanted.client_id,
            "redirect_uri": wanted.redirect_uri,
            "scopes": sorted(wanted.scopes),
            "challenge": wanted.challenge,
            "state": wanted.state,
            "nonce": nonce,
            "until": until.isoformat(),
        }
        sealed = self._sealer().seal(orjson.dumps(held).decode(), owner=TICKET_OWNER)
        return base64.urlsafe_b64encode(sealed).decode()

    def _open(self, ticket: str, nonce: str, now: datetime) -> Wanted:
        """Raises TicketRefused."""
        try:
            sealed = base64.b64decode(ticket, altchars=b"-_", validate=True)
            held = orjson.loads(self._sealer().open(sealed, owner=TICKET_OWNER))
        except (SealBroken, ValueError, binascii.Error) as error:
            raise TicketRefused from error
        if not nonce or not hmac.compare_digest(nonce.encode(), held["nonce"].encode()):
            raise TicketRefused
        if datetime.fromisoformat(held["until"]) <= now:
            raise TicketRefused
        scopes = frozenset(held["scopes"])
        return Wanted(held["client_id"], held["redirect_uri"], scopes, held["challenge"], held["state"])


def _refusal(error: YoukaError) -> str:
    return f'<p class="refusal" role="alert">{escape(error.message("zh-CN"))}</p>'
