"""The whole application inside the test, on each engine, and the ways in which programs ask it for tokens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from app import Application, create_app
from domain.access import clients
from domain.access.assertions import ASSERTION_TYPE
from domain.access.clients import Terms
from domain.access.policy import Policy
from domain.access.rules import DEVICE_GRANT, MINI_PROGRAM_GRANT
from domain.identity.tokens import TokenAuthority
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import ClientKind
from models.access import AccessAttempt, OAuthSession, RefreshToken, TokenRevocation
from tests.sandbox_fixtures import Sandbox

WHO = "{ viewer { __typename } }"
PARTNER_SCOPES = frozenset({"webhooks", "recharge"})


@dataclass(frozen=True)
class Entrance:
    """The authorization server and the schema behind it."""

    http: httpx.AsyncClient
    settings: Settings
    sandbox: Sandbox
    app: Application

    @property
    def tokens(self) -> TokenAuthority:
        return self.app.house.services.tokens

    @property
    def policy(self) -> Policy:
        return Policy.of(self.settings)

    async def form(self, path: str, /, **form: str) -> httpx.Response:
        return await self.http.post(f"/oauth/{path}", data=form)

    async def token(self, grant_type: str, **form: str) -> httpx.Response:
        return await self.form("token", grant_type=grant_type, **form)

    async def sign_in(self, user: str | None = None, **form: str) -> Any:
        """Return the tokens of somebody who signs in with the mini-program."""
        code = self.sandbox.login_code(user or uuid4().hex)
        answer = await self.token(MINI_PROGRAM_GRANT, code=code, **form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refresh(self, refresh_token: str, *, client_id: str = "mini-program", **form: str) -> httpx.Response:
        return await self.token("refresh_token", refresh_token=refresh_token, client_id=client_id, **form)

    async def car(self, vehicle_id: str = "LSVAU2180N2183294", **form: str) -> Any:
        answer = await self.form("device_authorization", client_id="car", vehicle_id=vehicle_id, **form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def poll(self, device_code: str, *, client_id: str = "car") -> httpx.Response:
        return await self.token(DEVICE_GRANT, device_code=device_code, client_id=client_id)

    async def post(self, token: str, query: str, **variables: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        return await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

    async def ask(self, token: str, query: str, **variables: Any) -> Any:
        """Return the data. Fails where there are errors."""
        body = (await self.post(token, query, **variables)).json()
        assert "errors" not in body, body
        return body["data"]

    async def is_let_in(self, token: str) -> bool:
        """Whether a token is taken; where it is not, the answer is 401 and says nothing else."""
        answer = await self.post(token, WHO)
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200


@dataclass(frozen=True)
class Partner:
    """A partner's client with its private key."""

    entrance: Entrance
    client_id: str
    key: ECKey

    def assertion(
        self, *, key: ECKey | RSAKey | None = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """Return an assertion of this client; claims that are None are left out."""
        now = int(utc_now().timestamp())
        usual = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": f"{self.entrance.settings.issuer}/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": uuid4().hex,
        }
        given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        header = header or {"alg": "ES256"}
        return jwt.encode(header, given, key or self.key, [header["alg"]])

    async def ask(self, assertion: str | None = None, **form: str) -> httpx.Response:
        return await self.entrance.token(
            "client_credentials",
            client_assertion_type=ASSERTION_TYPE,
            client_assertion=assertion or self.assertion(),
            **form,
        )

    async def token(self, **form: str) -> str:
        answer = await self.ask(**form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


def public_text(key: ECKey) -> str:
    return json.dumps(key.as_dict(private=False))


async def create_partner(entrance: Entrance, **changes: Any) -> Partner:
    key = ECKey.generate_key("P-256")
    terms: dict[str, Any] = {
        "client_id": f"partner-{uuid4().hex[:8]}",
        "name": "加油伙伴",
        "kind": ClientKind.PARTNER,
        "scopes": PARTNER_SCOPES,
        "public_key": public_text(key),
    }
    client, _ = await clients.add(terms=Terms(**(terms | changes)), now=utc_now())
    return Partner(entrance, client.client_id, key)


async def trace() -> list[int]:
    """Return how many rows there are of what a refusal must not make; the tries that it counts are not among them."""
    return [await kind.all().count() for kind in (OAuthSession, RefreshToken, TokenRevocation)]


async def tries() -> int:
    return await AccessAttempt.all().count()


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["error"])


HOUR = timedelta(hours=1)


@pytest.fixture
async def entrance(database_url: str, sandbox: Sandbox) -> AsyncIterator[Entrance]:
    settings = sandbox.settings(database_url=database_url, worker_in_server=False, device_poll_interval_s=1)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Entrance(http, settings, sandbox, app)


@pytest.fixture
async def partner(entrance: Entrance) -> Partner:
    return await create_partner(entrance)
