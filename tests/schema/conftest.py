"""The whole application inside the test, asked over ASGI as a client would over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app import create_app
from domain.identity.tokens import authority
from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from kernel.settings import Settings
from tests.factories import SCOPES, create_viewer
from tests.sandbox_fixtures import Sandbox
from tests.silence import PATIENCE_S, telling_silence


@dataclass(frozen=True)
class Client:
    """Asks as one person, or as nobody."""

    http: httpx.AsyncClient
    settings: Settings
    viewer: Viewer | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        body = {"query": query, "variables": variables or {}}
        return await self.http.post("/graphql", json=body, headers={**self.headers, **headers})

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """Return the data. Fails where there are errors."""
        answer = await self.post(query, variables)
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    async def code(self, query: str, variables: dict[str, Any] | None = None) -> str:
        """Return the code of the one error."""
        (error,) = (await self.post(query, variables)).json()["errors"]
        return str(error["extensions"]["code"])

    def token(self, *, lifetime: timedelta = timedelta(hours=1), **changes: Any) -> str:
        assert self.viewer is not None
        settings = self.settings.model_copy(update={"token_lifetime_s": int(lifetime.total_seconds()), **changes})
        return authority(settings).issue(user_id=self.viewer.user_id, client_id="tests", scopes=SCOPES, now=utc_now())

    async def another_person(self) -> Client:
        other = Client(self.http, self.settings, await create_viewer(f"o{uuid4().hex}"))
        other.headers["Authorization"] = f"Bearer {other.token()}"
        return other


@pytest.fixture
async def nobody(database_url: str, sandbox: Sandbox) -> AsyncIterator[Client]:
    """A client that is not signed in."""
    patience = {"third_party_timeout_s": PATIENCE_S, "tencent_lbs_timeout_s": PATIENCE_S}
    settings = sandbox.settings(database_url=database_url, worker_in_server=False, **patience)
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        with telling_silence():
            await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            yield Client(http, settings)


@pytest.fixture
async def client(nobody: Client) -> Client:
    """A client of somebody who is signed in."""
    return await nobody.another_person()
