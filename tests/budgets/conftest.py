"""The whole application with small budgets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from app import create_app
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client

Opening = Callable[..., Awaitable[Client]]


@pytest.fixture
async def opening(database_url: str, sandbox: Sandbox) -> AsyncIterator[Opening]:
    """Open the application with these settings, and return a client of somebody who is signed in."""
    async with AsyncExitStack() as stack:

        async def opened(**values: Any) -> Client:
            settings = sandbox.settings(
                database_url=database_url, worker_in_server=False, **{"rate_limit_factor": 1, **values}
            )
            app = create_app(settings)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app)
            http = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
            )
            return await Client(http, settings).another_person()

        yield opened
