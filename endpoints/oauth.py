"""The authorization server: tokens for the mini-program, cars, partners and staff.

RFC 6749 (OAuth 2.0), 7009 (revocation), 7523 (private keys of clients), 7662 (introspection), 8414 (metadata), 8628
(devices), 9068 (access tokens). What each client may do is in `domain/access/rules.py`; here is what goes over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.access import clients, devices, entering, sessions, staff
from domain.access.clients import MINI_PROGRAM_CLIENT_ID, ClientRefused, require_grant, scopes_for
from domain.access.entering import Door
from domain.access.policy import Policy
from domain.access.rules import (
    CHALLENGE_GRANT,
    CLIENT_GRANT,
    CODE_GRANT,
    DEVICE_GRANT,
    MINI_PROGRAM_GRANT,
    REFRESH_GRANT,
    shown,
)
from domain.access.sessions import Given, GrantRefused
from domain.identity.operations import account_of
from domain.identity.ports import LoginCodeRefused, MiniProgramLogin, SmsSender
from domain.identity.tokens import TokenAuthority, TokenRefused
from domain.identity.viewer import Viewer
from domain.signins import locks
from domain.signins.locks import Subject
from domain.signins.records import Origin
from endpoints.line import TOKEN_PATH
from endpoints.metadata import METADATA_PATH, metadata_of
from endpoints.oauth_requests import (
    AddressLimit,
    Form,
    GrantTypeUnsupported,
    answer,
    credentials_of,
    needed,
    place_of,
    read_form,
    refused,
)
from endpoints.turns import Turns
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.logs import get_logger
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.states import ClientKind
from models.access import OAuthClient

log = get_logger(__name__)

CODE_LENGTH_MAX = 256
KEYS_MAX_AGE_S = 300
DEVICE_NAME = "微信小程序"
# Only these are guesses; a device that waits is refused every five seconds and does nothing wrong.
GUESSES = (ClientRefused, GrantRefused, LoginCodeRefused)


Answerer = Callable[[Request, Form], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Access:
    """What the endpoints use of the process that they run in."""

    tokens: TokenAuthority
    login: MiniProgramLogin
    sealer: Sealer
    sms: SmsSender | None = None


def routes(
    access: Callable[[], Access],
    settings: Settings,
    address_of: Callable[[HTTPConnection], str],
    refusals: AddressLimit,
) -> list[Route]:
    """Return the endpoints; `address_of` names who asks, for the limits, and `refusals` counts the guesses of each."""
    server = AuthorizationServer(access, settings, address_of, refusals)
    return [
        Route(TOKEN_PATH, server.answering(server.token), methods=["POST"]),
        Route("/oauth/device_authorization", server.answering(server.device_authorization), methods=["POST"]),
        Route("/oauth/revoke", server.answering(server.revoke), methods=["POST"]),
        Route("/oauth/introspect", server.answering(server.introspect), methods=["POST"]),
        Route("/oauth/jwks.json", server.keys),
        Route(METADATA_PATH, server.metadata),
    ]


class AuthorizationServer:
    def __init__(
        self,
        access: Callable[[], Access],
        settings: Settings,
        address_of: Callable[[HTTPConnection], str],
        refusals: AddressLimit,
    ) -> None:
        self._access, self._settings, self._address_of, self._refusals = access, settings, address_of, refusals
        self._policy = Policy.of(settings)
        self._devices = AddressLimit(maximum=settings.device_codes_per_address_max, window_s=settings.oauth_window_s)
        # Asking the platform takes time, and writing down takes the database: neither waits for the other.
        self._logins = Turns(settings.logins_concurrent_max, settings.sign_ins_waiting_max)
        self._turns = Turns(settings.sign_ins_concurrent_max, settings.sign_ins_waiting_max)
        issuer = settings.issuer
        # RFC 7523, section 3: the endpoint's URL, or the issuer as newer clients have it.
        self._audiences = (issuer, *(f"{issuer}/oauth/{name}" for name in ("token", "revoke", "introspect")))
        self._grants: dict[str, Callable[[OAuthClient, Form, Origin, str], Awaitable[Given]]] = {
            MINI_PROGRAM_GRANT: self._by_login_code,
            CHALLENGE_GRANT: self._by_challenge,
            REFRESH_GRANT: self._by_refresh_token,
            DEVICE_GRANT: self._by_device_code,
            CLIENT_GRANT: self._by_itself,
            CODE_GRANT: self._by_authorization_code,
        }

    def answering(
        self, work: Callable[[Request, Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Read the form, do the work, and answer a refusal as the RFCs say."""

        async def respond(request: Request) -> Response:
            address = self._address_of(request)
            try:
                self._refusals.check(address, now_s=time.monotonic())
                form = await read_form(request, size_max=self._settings.oauth_body_size_max_bytes)
                try:
                    return await work(request, form)
                except GUESSES as error:
                    self._refusals.count(address, now_s=time.monotonic())
                    await self._write_down(request, form, error)
                    raise
            except YoukaError as error:
                return refused(error, now=utc_now())
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception:
                log.exception("oauth.failed", path=request.url.path)
                return JSONResponse({"error": "server_error"}, status_code=500)

        return respond

    async def token(self, request: Request, form: Form) -> Response:
        """RFC 6749, section 3.2. The mini-program's grant may leave out who the client is.

        At which pace this begins is up to the line in front of it.
        """
        grant_type = needed(form, "grant_type", length_max=CODE_LENGTH_MAX)
        grant = self._grants.get(grant_type)
        if grant is None:
            raise GrantTypeUnsupported
        origin = self._origin(request, form)
        await self._require_open(request, form, origin)
        client = await self._client(request, form)
        require_grant(client, grant_type)
        given = await grant(client, form, origin, self._address_of(request))
        body: dict[str, Any] = {
            "access_token": given.access_token,
            "token_type": "Bearer",
            "expires_in": given.expires_in_s,
            "scope": " ".join(sorted(given.scopes)),
        }
        if given.refresh_token:
            body["refresh_token"] = given.refresh_token
        return answer(body)

    async def _client(self, request: Request, form: Form) -> OAuthClient:
        given = credentials_of(request, form, default=default_client(form))
        return await clients.authenticate(given=given, audiences=self._audiences, policy=self._policy, now=utc_now())

    def _origin(self, request: Request, form: Form) -> Origin:
        return Origin.of(
            client_id=form.get("client_id") or default_client(form),
            grant_type=form.get("grant_type") or "",
            device_name=form.get("device_name"),
            device_id=form.get("device_id"),
            address=self._address_of(request),
            place=place_of(request, form, header=self._settings.client_place_header),
            sealer=self._access().sealer,
        )

    async def _require_open(self, request: Request, form: Form, origin: Origin) -> None:
        """Raises SignInLocked where the address, or the client that somebody claims to be, is locked."""
        subjects = [Subject.of_address(origin, self._policy.sign_ins)]
        claimed = await clients.claimed_partner(credentials_of(request, form))
        if claimed:
            subjects.append(Subject.of_client(claimed, self._policy.sign_ins))
        await locks.require_open(*subjects, now=utc_now())

    async def _write_down(self, request: Request, form: Form, error: YoukaError) -> None:
        """Write a wrong proof down, and count it for the address and for the partner whose client was named."""
        origin, policy = self._origin(request, form), self._policy.sign_ins
        subjects = [Subject.of_address(origin, policy)]
        claimed = None
        if isinstance(error, ClientRefused):
            with suppress(ClientRefused):
                claimed = await clients.claimed_partner(credentials_of(request, form))
        if claimed:
            origin = replace(origin, client_id=claimed)
            subjects.append(Subject.of_client(claimed, policy))
        await locks.failed(*subjects, origin=origin, reason=error.code, policy=policy, now=utc_now())

    @property
    def _door(self) -> Door:
        access = self._access()
        return Door(access.tokens, access.sealer, self._policy, access.sms)

    async def _by_login_code(self, client: OAuthClient, form: Form, origin: Origin, address: str) -> Given:
        """The scopes are read before the code is used up, so that a request with a wrong one can be corrected."""
        scopes = scopes_for(client, form.get("scope"))
        code = needed(form, "code", length_max=CODE_LENGTH_MAX)
        access = self._access()
        name = devices.read_name(form.get("device_name"), otherwise=DEVICE_NAME)
        door = self._door
        async with self._logins.one():
            openid = await access.login.openid_of(code)
        async with self._turns.one():
            now = utc_now()
            user = await account_of(openid=openid, now=now)
            return await entering.enter(
                owner_id=user.id,
                client=client,
                scopes=scopes,
                device_name=name,
                origin=origin,
                address=address,
                door=door,
                now=now,
            )

    async def _by_challenge(self, client: OAuthClient, form: Form, origin: Origin, _address: str) -> Given:
        """The second half of a sign-in that was answered with `insufficient_authorization`."""
        session = needed(form, "auth_session", length_max=CODE_LENGTH_MAX)
        code = needed(form, "code", length_max=CODE_LENGTH_MAX)
        async with self._turns.one():
            return await entering.finish(
                client=client, auth_session=session, code=code, origin=origin, door=self._door, now=utc_now()
            )

    async def _by_refresh_token(self, client: OAuthClient, form: Form, origin: Origin, _address: str) -> Given:
        async with self._turns.one():
            return await sessions.refresh(
                client=client,
                refresh_token=needed(form, "refresh_token", length_max=CODE_LENGTH_MAX),
                scope=form.get("scope"),
                tokens=self._access().tokens,
                policy=self._policy,
                now=utc_now(),
                origin=origin,
            )

    async def _by_device_code(self, client: OAuthClient, form: Form, origin: Origin, _address: str) -> Given:
        async with self._turns.one():
            return await devices.claim(
                client=client,
                device_code=needed(form, "device_code", length_max=CODE_LENGTH_MAX),
                origin=origin,
                tokens=self._access().tokens,
                policy=self._policy,
                now=utc_now(),
            )

    async def _by_itself(self, client: OAuthClient, form: Form, origin: Origin, _address: str) -> Given:
        async with self._turns.one():
            return await clients.token_of_its_own(
                client=client,
                scope=form.get("scope"),
                tokens=self._access().tokens,
                policy=self._policy,
                now=utc_now(),
                origin=replace(origin, client_id=client.client_id),
            )

    async def _by_authorization_code(self, client: OAuthClient, form: Form, _origin: Origin, _address: str) -> Given:
        async with self._turns.one():
            return await staff.exchange(
                client=client,
                code=needed(form, "code", length_max=CODE_LENGTH_MAX),
                redirect_uri=form.get("redirect_uri"),
                verifier=form.get("code_verifier"),
                tokens=self._access().tokens,
                policy=self._policy,
                now=utc_now(),
            )

    async def device_authorization(self, request: Request, form: Form) -> Response:
        """RFC 8628, section 3.1; `vehicle_id` is ours, and so is `verification_qr_uri`: the QR code as SVG."""
        client, address, now_s = await self._client(request, form), self._address_of(request), time.monotonic()
        self._devices.check(address, now_s=now_s)
        self._devices.count(address, now_s=now_s)
        asked = await devices.ask(
            client=client,
            scope=form.get("scope"),
            vehicle_id=form.get("vehicle_id"),
            device_name=form.get("device_name"),
            policy=self._policy,
            now=utc_now(),
        )
        page, code = self._settings.device_page_url, shown(asked.row.user_code)
        return answer(
            {
                "device_code": asked.device_code,
                "user_code": code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={quote(code)}",
                "verification_qr_uri": f"{self._settings.issuer}/oauth/device/qr.svg?user_code={quote(code)}",
                "expires_in": int(self._policy.device_code_lifetime.total_seconds()),
                "interval": asked.row.interval_s,
            }
        )

    async def revoke(self, request: Request, form: Form) -> Response:
        """RFC 7009: a refresh token or an access token ends its session. One that nobody knows is no error."""
        client = await self._client(request, form)
        token, now, origin = needed(form, "token"), utc_now(), self._origin(request, form)
        tokens = self._access().tokens
        known = await sessions.revoke_refresh_token(
            client=client, refresh_token=token, tokens=tokens, now=now, origin=origin
        )
        viewer = None if known else self._viewer(token)
        if viewer:
            await sessions.revoke_access_token(client=client, viewer=viewer, tokens=tokens, now=now, origin=origin)
        return answer({})

    async def introspect(self, request: Request, form: Form) -> Response:
        """RFC 7662, for partners; of a token that is not the partner's own nothing is said."""
        client = await self._client(request, form)
        if client.kind is not ClientKind.PARTNER:
            raise ClientRefused
        viewer = self._viewer(needed(form, "token"))
        if viewer is None or viewer.client_id != client.client_id:
            return answer({"active": False})
        return answer(
            {
                "active": True,
                "iss": self._access().tokens.issuer,
                "sub": str(viewer.user_id),
                "client_id": viewer.client_id,
                "scope": " ".join(sorted(viewer.scopes)),
                "iat": int(viewer.issued_at.timestamp()),
                "exp": int(viewer.expires_at.timestamp()),
                "jti": str(viewer.token_id),
                "token_type": "Bearer",
            }
        )

    def _viewer(self, token: str) -> Viewer | None:
        try:
            return self._access().tokens.authenticate(token, now=utc_now())
        except TokenRefused:
            return None

    async def keys(self, _request: Request) -> Response:
        headers = {"Cache-Control": f"public, max-age={KEYS_MAX_AGE_S}"}
        return JSONResponse(self._access().tokens.key_set(utc_now()), headers=headers)

    async def metadata(self, _request: Request) -> Response:
        headers = {"Cache-Control": f"public, max-age={KEYS_MAX_AGE_S}"}
        return JSONResponse(metadata_of(self._settings.issuer), headers=headers)


def default_client(form: Form) -> str | None:
    """Return the client of a grant that needs not be told."""
    return MINI_PROGRAM_CLIENT_ID if form.get("grant_type") == MINI_PROGRAM_GRANT else None
