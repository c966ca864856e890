"""How much one user, one address and one connection may take of a server."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
import websockets
from starlette.requests import HTTPConnection

from subscriptions.limits import ConnectionLimits, MessageRate, address_of
from tests.subscriptions.serving import COUNTED, Client, Served, connecting, services_of, serving, token_of
from tests.subscriptions.support import eventually

FOREVER = "subscription { ticks(to: 1000000, everyS: 60) }"


async def refused(address: str, **options: Any) -> tuple[int, str]:
    """Return the status and the code with which a handshake is refused."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connecting(address, **options):
            pass
    response = caught.value.response
    assert response.headers["retry-after"]
    return response.status_code, response.body.decode()


class TestConnections:
    async def test_of_one_user(self) -> None:
        token = {"Authorization": f"Bearer {token_of(uuid4())}"}
        async with serving(services_of(connections_per_user_max=2)) as address, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connecting(address)) for _ in range(4)]
            for client in clients[:2]:
                await client.initialise(token)
            COUNTED.clear()
            await clients[2].send({"type": "connection_init", "payload": token})
            await clients[2].subscribe("mutation { count }")
            assert await clients[2].closed() == (4429, "CONNECTION_LIMIT_REACHED")
            assert COUNTED == []
            # Somebody else, and nobody, are not in their way; and what is closed counts no more.
            await clients[3].initialise({"Authorization": f"Bearer {token_of(uuid4())}"})
            await clients[0].connection.close()

            async def let_in() -> bool:
                async with connecting(address) as another:
                    await another.send({"type": "connection_init", "payload": token})
                    try:
                        return bool((await another.receive())["type"] == "connection_ack")
                    except websockets.ConnectionClosed:
                        return False

            await eventually(let_in)

    async def test_of_one_address_and_of_the_process(self) -> None:
        for limit, status, scope in (
            ("connections_per_address_max", 429, "ADDRESS"),
            ("connections_max", 503, "SERVER"),
        ):
            async with serving(services_of(None, **{limit: 2})) as address:
                async with connecting(address) as first, connecting(address):
                    code, body = await refused(address)
                    assert code == status
                    assert f'"scope":"{scope}","maximum":2' in body
                    await first.initialise()
                    async with httpx.AsyncClient() as http:
                        events = await http.post(
                            f"http://{address}/graphql",
                            json={"query": FOREVER},
                            headers={"accept": "text/event-stream"},
                        )
                        assert (events.status_code, events.json()["errors"][0]["extensions"]["scope"]) == (
                            status,
                            scope,
                        )
                        # A plain request is over at once and is not counted.
                        plain = await http.post(f"http://{address}/graphql", json={"query": "{ hello }"})
                        assert plain.json() == {"data": {"hello": "hello world"}}
                await eventually(lambda: _lets_in(address))

    async def test_event_streams_count_with_the_users_connections(self) -> None:
        headers = {"authorization": f"Bearer {token_of(uuid4())}", "accept": "text/event-stream"}
        async with (
            serving(services_of(connections_per_user_max=1)) as address,
            httpx.AsyncClient(base_url=f"http://{address}", headers=headers) as http,
            http.stream("POST", "/graphql", json={"query": FOREVER}) as events,
        ):
            assert events.status_code == 200
            second = await http.post("/graphql", json={"query": FOREVER})
        assert second.status_code == 429
        refusal = second.json()["errors"][0]["extensions"]
        assert refusal == {"code": "CONNECTION_LIMIT_REACHED", "scope": "USER", "maximum": 1}
        assert second.headers["retry-after"]

    async def test_the_proxy_names_the_address(self) -> None:
        services = services_of(connections_per_address_max=1, client_address_header="x-forwarded-for")
        async with serving(services) as address, AsyncExitStack() as stack:

            def coming(forwarded: str) -> Any:
                return connecting(address, additional_headers={"x-forwarded-for": forwarded})

            await stack.enter_async_context(coming("203.0.113.1"))
            # What the client itself wrote into the header stands before what the proxy added.
            assert (await refused(address, additional_headers={"x-forwarded-for": "198.51.100.7, 203.0.113.1"}))[
                0
            ] == 429
            await stack.enter_async_context(coming("203.0.113.2"))
            await stack.enter_async_context(coming("2001:db8:1:2::1"))
            assert (await refused(address, additional_headers={"x-forwarded-for": "2001:db8:1:2:ffff::9"}))[0] == 429
            await stack.enter_async_context(coming("2001:db8:1:3::1"))

    def test_without_a_proxy_its_header_is_not_believed(self) -> None:
        def connection(peer: str, forwarded: str) -> HTTPConnection:
            headers = [(b"x-forwarded-for", forwarded.encode())]
            return HTTPConnection({"type": "http", "headers": headers, "client": (peer, 1)})

        assert address_of(connection("192.0.2.1", "203.0.113.1"), header="") == "192.0.2.1"
        assert address_of(connection("::ffff:192.0.2.1", ""), header="") == "192.0.2.1"
        for nonsense in ("", "x", "1.2.3", "203.0.113.1,", "<script>"):
            assert address_of(connection("192.0.2.1", nonsense), header="x-forwarded-for") == "192.0.2.1"

    def test_nothing_is_kept_of_who_has_left(self) -> None:
        limits = ConnectionLimits(services_of().settings)
        for number in range(1_000):
            place = limits.enter(f"192.0.2.{number}")
            place.name(uuid4())
            place.leave()
            place.leave()
        assert (limits.connections, len(limits._by_address), len(limits._by_user)) == (0, 0, 0)


async def _lets_in(address: Served) -> bool:
    try:
        async with connecting(address) as client:
            await client.initialise()
            return True
    except websockets.InvalidStatus:
        return False


class TestMessages:
    async def test_too_many_close(self) -> None:
        async with (
            serving(services_of(messages_per_second_max=0.001, messages_burst_max=5)) as address,
            connecting(address) as client,
        ):
            await client.initialise()
            for _ in range(4):
                await client.send({"type": "pong"})
            COUNTED.clear()
            await client.subscribe("mutation { count }")
            assert await client.closed() == (4429, "TOO_MANY_MESSAGES")
            assert COUNTED == []

    def test_the_rate_fills_up_again_and_not_over_its_burst(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now_s = 100.0
        monkeypatch.setattr("subscriptions.limits.monotonic", lambda: now_s)
        rate = MessageRate(per_second=2, burst=3)
        assert [rate.take() for _ in range(4)] == [True, True, True, False]
        now_s += 0.5
        assert [rate.take(), rate.take()] == [True, False]
        now_s += 1_000
        assert [rate.take() for _ in range(4)] == [True, True, True, False]


async def test_fifty_operations_share_one_socket() -> None:
    async with serving(services_of()) as address, connecting(address) as client:
        await client.initialise()
        for number in range(50):
            await client.subscribe("subscription S($to: Int!) { ticks(to: $to) }", id=str(number), variables={"to": 3})
        heard: dict[str, list[Any]] = {str(number): [] for number in range(50)}
        async with asyncio.timeout(60):
            for _ in range(50 * 4):
                message = await client.receive()
                heard[message["id"]].append(message["payload"]["data"]["ticks"] if "payload" in message else "complete")
        assert list(heard.values()) == [[1, 2, 3, "complete"]] * 50


async def test_a_mutation_that_was_given_up_counts_until_it_has_ended() -> None:
    async with serving(services_of(subscriptions_per_connection_max=2)) as address, connecting(address) as client:
        await client.initialise()
        for number in range(2):
            await _begin_and_give_up(client, str(number))
        await client.subscribe("{ hello }", id="over")
        assert await client.error_code() == "SUBSCRIPTION_LIMIT_REACHED"


async def _begin_and_give_up(client: Client, id: str) -> None:
    await client.subscribe("mutation { count(waitsS: 1.5) }", id=id)
    await client.send({"type": "ping"})
    assert (await client.receive())["type"] == "pong"
    await client.send({"type": "complete", "id": id})
