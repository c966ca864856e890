"""How long a WebSocket is kept: signs of life, the token's end and its renewal, and who disconnects half way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from kernel.clock import utc_now
from tests.subscriptions.serving import COUNTED, TOKENS, Client, connecting, services_of, serving, token_of
from tests.subscriptions.support import eventually

FOREVER = "subscription { ticks(to: 1000000, everyS: 60) }"
SLOW_MUTATION = "mutation { count(waitsS: 0.3) }"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serving(services_of()) as served:
        yield served


def expiring(user_id: UUID, *, in_s: float) -> dict[str, str]:
    """Return the parameters of a token that has so many seconds left; tokens count in whole ones."""
    return {"authorization": f"Bearer {token_of(user_id, now=utc_now() - timedelta(seconds=3_600 - in_s))}"}


class TestSignsOfLife:
    async def test_a_silent_peer_is_asked_and_then_dropped(self) -> None:
        async with serving(services_of(websocket_ping_interval_s=0.2)) as address, connecting(address) as client:
            await client.initialise()
            assert await client.receive() == {"type": "ping"}
            assert await client.closed() == (4511, "No sign of life")

    async def test_whoever_answers_stays(self) -> None:
        async with serving(services_of(websocket_ping_interval_s=0.1)) as address, connecting(address) as client:
            await client.initialise()
            for _ in range(8):
                assert await client.receive() == {"type": "ping"}
                await client.send({"type": "pong"})
            await client.subscribe("{ hello }")
            assert await client.data() == {"hello": "hello world"}


class TestExpiry:
    async def test_a_warning_comes_before_the_end(self) -> None:
        async with serving(services_of(token_expiry_warning_s=1.0)) as address, connecting(address) as client:
            await client.initialise(expiring(uuid4(), in_s=3))
            warning = await client.receive()
            assert warning["type"] == "ping"
            # A busy machine has less than two seconds left by now, of which the warning takes half.
            assert 0 < warning["payload"]["expiresInMs"] <= 1_000
            assert await client.closed() == (4403, "TOKEN_EXPIRED")

    @pytest.mark.parametrize("name", ["authorization", "Authorization"])
    async def test_a_newer_token_renews_in_band(self, address: str, name: str) -> None:
        user_id = uuid4()
        async with connecting(address) as client:
            await client.initialise(expiring(user_id, in_s=2))
            await client.subscribe("subscription { ticks(to: 1000, everyS: 0.3) }", id="kept")
            assert await client.data() == {"ticks": 1}
            await client.send({"type": "ping", "payload": {name: f"Bearer {token_of(user_id)}"}})
            answer = await _pong(client)
            assert 3_500_000 < answer["expiresInMs"] <= 3_600_000
            left = datetime.fromisoformat(answer["expiresAt"]) - utc_now()
            assert timedelta(minutes=59) < left <= timedelta(hours=1)
            # Beyond the end of the first token, what was opened with it goes on, and what is new runs under the second.
            until = asyncio.get_running_loop().time() + 3
            while asyncio.get_running_loop().time() < until:
                message = await client.receive()
                assert message["id"] == "kept"
            await client.send({"type": "complete", "id": "kept"})
            await client.subscribe("{ whoami }", id="new")
            message = await client.receive()
            while message["id"] != "new":
                message = await client.receive()
            assert message["payload"]["data"] == {"whoami": str(user_id)}

    async def test_only_the_same_person_may_renew(self, address: str) -> None:
        user_id = uuid4()
        now = utc_now()
        staff = TOKENS.issue(user_id=user_id, client_id="staff", scopes=frozenset({"recharge"}), now=now)
        less = TOKENS.issue(user_id=user_id, client_id="tests", scopes=frozenset(), now=now)
        values: list[object] = [
            f"Bearer {token_of(uuid4())}",
            f"Bearer {staff}",
            f"Bearer {less}",
            "Bearer x",
            "",
            5,
            None,
            {},
        ]
        for value in values:
            async with connecting(address) as client:
                await client.initialise({"authorization": f"Bearer {token_of(user_id)}"})
                await client.send({"type": "ping", "payload": {"authorization": value}})
                if value is None:
                    assert (await client.receive())["type"] == "pong"
                else:
                    assert await client.closed() == (4403, "TOKEN_INVALID")
        async with connecting(address) as client:
            await client.initialise(expiring(user_id, in_s=100))
            await client.send({"type": "ping", "payload": expiring(user_id, in_s=-100)})
            assert await client.closed() == (4403, "TOKEN_EXPIRED")

    async def test_nobody_cannot_become_somebody(self, address: str) -> None:
        token = {"authorization": f"Bearer {token_of(uuid4())}"}
        async with connecting(address) as client:
            await client.initialise()
            await client.send({"type": "ping", "payload": token})
            assert await client.closed() == (4403, "TOKEN_INVALID")
        async with connecting(address) as client:
            await client.send({"type": "ping", "payload": token})
            assert await client.closed() == (4401, "Unauthorized")


async def _pong(client: Client) -> dict[str, Any]:
    while True:
        message = await client.receive()
        if message["type"] == "pong":
            return cast(dict[str, Any], message["payload"])
        assert message["type"] == "next"


class TestLeaving:
    async def test_a_mutation_under_way_is_done_to_its_end(self, address: str) -> None:
        for leaves in ("completes", "disconnects", "aborts"):
            COUNTED.clear()
            async with connecting(address) as client:
                await client.initialise()
                await client.subscribe(SLOW_MUTATION)
                await client.send({"type": "ping"})
                assert await client.receive() == {"type": "pong"}
                assert COUNTED == ["begun"]
                if leaves == "completes":
                    await client.send({"type": "complete", "id": "1"})
                    await eventually(lambda: COUNTED == ["begun", "once"])
                    await client.send({"type": "ping"})
                    # Nothing of it is sent after that.
                    assert await client.receive() == {"type": "pong"}
                elif leaves == "aborts":
                    client.connection.transport.abort()
            await eventually(lambda: COUNTED == ["begun", "once"])

    async def test_a_query_and_a_subscription_end_with_their_reader(self, address: str) -> None:
        for document, leaves in (("{ slow }", "completes"), ("{ slow }", "aborts"), (FOREVER, "aborts")):
            before = asyncio.all_tasks()
            COUNTED.clear()
            with capture_logs() as logs:
                async with connecting(address) as client:
                    await client.initialise()
                    await client.subscribe(document)
                    await client.send({"type": "ping"})
                    while (await client.receive())["type"] != "pong":
                        pass
                    if leaves == "completes":
                        await client.send({"type": "complete", "id": "1"})
                    else:
                        client.connection.transport.abort()
                    await eventually(lambda: not _operations() - before)  # noqa: B023 -- called in this turn only.
            assert (["begun"] if document == "{ slow }" else []) == COUNTED
            assert logs == []


def _operations() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task.get_name().startswith(("operation:", "subscription"))}
