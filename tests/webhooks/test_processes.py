"""Several real server processes share the webhooks, and what one of them leaves, another one takes over."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kernel.settings import Settings
from models.database import connected
from models.webhooks import Webhook
from schema.types.relay import parse_global_id
from tests.factories import viewer_of
from tests.house_process import RunningHouse, running
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.support import eventually
from tests.webhooks.receiver import Receiver, answering, holding
from tests.webhooks.support import ARRIVALS, Arrivals, amounts

REGISTER = """
mutation ($url: String!, $document: String!) {
  registerWebhook(input: { url: $url, document: $document }) {
    ... on WebhookSecretSuccess { secret webhook { id } }
    ... on UserError { code message }
  }
}"""
LEASE_S = Settings().webhook_lease_s
TIMEOUT_S = 60.0
# What starting to look at a taken-over webhook may cost on a machine that has other work.
SLACK_S = 6.0

StartServer = Callable[[], RunningHouse]


@pytest.fixture
async def start_server(
    tmp_path: Path, sandbox: Sandbox, postgres_url: str, redis_url: str
) -> AsyncIterator[StartServer]:
    """Start one more server on the same PostgreSQL and Redis each time it is called."""
    environment = {
        "DATABASE_URL": postgres_url, "REDIS_URL": redis_url,
        "YOUKA_WEBHOOKS_HELD_MAX": "4", "YOUKA_WEBHOOK_POLL_INTERVAL_MS": "100",
    }  # fmt: skip
    with ExitStack() as stack:

        def start() -> RunningHouse:
            folder = tmp_path / f"server-{time.monotonic_ns()}"
            folder.mkdir()
            return stack.enter_context(running(folder, sandbox, worker=False, **environment))

        async with connected(postgres_url):
            yield start


async def register(server: RunningHouse, receiver: Receiver, *, count: int = 1) -> tuple[Arrivals, list[str]]:
    """Register so many webhooks of one new user; return what arrives for that user, and the secrets."""
    token = await asyncio.to_thread(
        server.client, "clients.token", f"partner-{time.monotonic_ns()}", "profile", "recharge", "webhooks"
    )
    assert token.returncode == 0, token.stderr
    bearer = token.stdout.strip()
    secrets = []
    for _ in range(count):
        made = await ask(server, REGISTER, {"url": receiver.url, "document": ARRIVALS}, bearer)
        secrets.append(made["registerWebhook"]["secret"])
    key = parse_global_id((await ask(server, "{ viewer { profile { id } } }", {}, bearer))["viewer"]["profile"]["id"])
    assert key is not None
    return await Arrivals.of(viewer_of(key[1])), secrets


async def ask(server: RunningHouse, query: str, variables: dict[str, Any], bearer: str) -> Any:
    status, body = await asyncio.to_thread(server.ask, query, variables, token=bearer)
    assert status == 200, body
    return body["data"]


async def test_a_server_that_is_killed_while_it_sends_loses_nothing(
    start_server: StartServer, receiver: Receiver
) -> None:
    first = await asyncio.to_thread(start_server)
    arrivals, (secret,) = await register(first, receiver)
    receiver.script.append(holding(asyncio.Event(), answering(204)))
    await arrivals.happen(4)
    await receiver.until(1, timeout_s=TIMEOUT_S)
    second = await asyncio.to_thread(start_server)
    assert len(receiver.requests) == 1
    first.server.kill()
    killed_s = time.monotonic()
    await receiver.until(2, timeout_s=TIMEOUT_S)
    taken_over_s = time.monotonic() - killed_s
    await receiver.until(5, timeout_s=TIMEOUT_S)
    assert taken_over_s < 2 * LEASE_S + SLACK_S
    assert amounts([each.verified(secret) for each in receiver.requests]) == [1, 1, 2, 3, 4]
    assert receiver.ids[0] == receiver.ids[1]
    assert len(set(receiver.ids)) == 4
    logs = first.server.tail() + second.server.tail()
    assert secret not in logs
    assert secret.removeprefix("whsec_") not in logs
    assert "tenant=7" not in logs


async def test_servers_that_are_killed_at_random_lose_nothing_and_keep_the_order(
    start_server: StartServer, receiver: Receiver
) -> None:
    chance = random.Random(20_260_422)
    servers = [await asyncio.to_thread(start_server) for _ in range(2)]
    arrivals, (secret,) = await register(servers[0], receiver)

    async def slowly(request: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(chance.uniform(0, 0.1))
        await answering(204)(request, writer)

    receiver.otherwise = slowly
    for number in range(3):
        await arrivals.happen(10)
        await receiver.until(len(receiver.requests) + chance.randrange(1, 5), timeout_s=TIMEOUT_S)
        victim = servers[number % 2].server
        victim.kill()
        victim.start()
    await eventually(lambda: len(receiver.taken()) == len(arrivals.amounts), timeout_s=TIMEOUT_S)
    # A dictionary keeps the place of the first of each id, so a double does not hide a wrong order.
    assert amounts([each.verified(secret) for each in receiver.taken()]) == arrivals.amounts


async def test_two_servers_share_the_webhooks_and_one_that_ends_hands_over(
    start_server: StartServer, receiver: Receiver
) -> None:
    servers = [await asyncio.to_thread(start_server) for _ in range(2)]
    arrivals, secrets = await register(servers[0], receiver, count=6)

    async def owners() -> set[str]:
        held = await Webhook.filter(lease_owner__isnull=False).values_list("lease_owner", flat=True)
        return {str(owner).rsplit(":", 1)[0] for owner in held} if len(held) == len(secrets) else set()

    async def shared() -> bool:
        return len(await owners()) == 2

    await eventually(shared, timeout_s=TIMEOUT_S)
    await arrivals.happen(3)
    await receiver.until(3 * len(secrets), timeout_s=TIMEOUT_S)
    await asyncio.to_thread(servers[0].server.stop)
    await arrivals.happen(1)
    await receiver.until(4 * len(secrets), timeout_s=TIMEOUT_S)
    # Nothing was killed, so nothing is doubled.
    assert len(set(receiver.ids)) == len(receiver.ids) == 4 * len(secrets)
    for secret in secrets:
        mine = [each for each in receiver.requests if _is_signed_by(each, secret)]
        assert amounts([each.message for each in mine]) == [1, 2, 3, 4]


def _is_signed_by(request: Any, secret: str) -> bool:
    try:
        request.verified(secret)
    except Exception:
        return False
    return True
