"""Metrics are for who bears the token, or for this machine where there is none and nothing is at stake."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from endpoints import metrics
from kernel.settings import Environment, Settings

TOKEN = "a-token-of-prometheus"


async def status(settings: Settings, *, client: str = "127.0.0.1", **headers: str) -> int:
    transport = httpx.ASGITransport(Starlette(routes=list(metrics.routes(settings))), client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.get("/metrics", headers=headers)
        assert ("python_info" in answer.text) == (answer.status_code == 200)
        return answer.status_code


async def test_this_machine_reads_them_in_development() -> None:
    assert await status(Settings()) == 200
    assert await status(Settings(), client="::1") == 200


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}])
async def test_a_proxy_on_this_machine_reads_them_for_nobody(headers: dict[str, str]) -> None:
    assert await status(Settings(), **headers) == 401


async def test_others_do_not() -> None:
    assert await status(Settings(), client="203.0.113.9") == 401
    assert await status(Settings(), client="testclient") == 401


async def test_production_has_none_without_a_token() -> None:
    assert await status(Settings(environment=Environment.PRODUCTION)) == 404


@pytest.mark.parametrize("environment", list(Environment))
async def test_where_there_is_a_token_only_that_counts(environment: Environment) -> None:
    settings = Settings.model_validate({"environment": environment, "metrics_token": TOKEN})
    assert await status(settings, client="203.0.113.9", Authorization=f"Bearer {TOKEN}") == 200
    for wrong in ("", TOKEN, "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}"):
        assert await status(settings, Authorization=wrong) == 401
