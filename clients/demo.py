"""A client from sign-in to the arrival notice: `make demo`.

Exit code 0 only if the notice arrived. Queries and mutations go over HTTP, the two subscriptions share one WebSocket.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from clients.signin import sandbox_url, server_url, sign_in

PLACE = {"latitude": 31.2304, "longitude": 121.4737}
DEMO_CARD = "1000111100000000001"
# What one user gets within an hour without a review is ¥2,000, so this can be played twenty times.
AMOUNT = "100.00"
NOTICE_WITHIN_S = 20.0

# Exactly as the files have them, since a server may know trusted documents only.
DOCUMENTS = Path(__file__).with_name("documents")
STATIONS, BIND, CREATE, PAY, ARRIVALS, UPDATES = (
    (DOCUMENTS / f"demo_{name}.graphql").read_text(encoding="utf-8")
    for name in ("nearest", "bind", "create", "pay", "arrivals", "updates")
)


class DemoFailed(Exception):
    """A step of the demo did not answer as it should."""


class Client:
    """The little of GraphQL over HTTP that a client needs."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def run(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the one field's data. Raises DemoFailed for request errors and for typed errors alike."""
        answer = await self._http.post("/graphql", json={"query": document, "variables": dict(variables)})
        if "json" not in answer.headers.get("content-type", ""):
            raise DemoFailed(f"HTTP {answer.status_code} is not an answer of GraphQL")
        body = answer.json()
        if body.get("errors"):
            raise DemoFailed(f"HTTP {answer.status_code}: {body['errors']}")
        (field,) = body["data"].values()
        if isinstance(field, dict) and "code" in field:
            raise DemoFailed(f"{field['code']}: {field['message']}")
        return dict(field)


class Socket:
    """One graphql-transport-ws connection that carries several subscriptions.

    https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, **message: Any) -> None:
        await self._connection.send(orjson.dumps(message).decode())

    async def subscribe(self, name: str, document: str, variables: Mapping[str, Any] | None = None) -> None:
        await self.send(id=name, type="subscribe", payload={"query": document, "variables": dict(variables or {})})

    async def messages(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield each subscription's name and data. Raises DemoFailed where one is refused."""
        async for frame in self._connection:
            message = orjson.loads(frame)
            if message["type"] == "ping":
                await self.send(type="pong")
            elif message["type"] == "error" or "errors" in message.get("payload", {}):
                raise DemoFailed(f"subscription {message['id']}: {message['payload']}")
            elif message["type"] == "next":
                yield message["id"], message["payload"]["data"]


@asynccontextmanager
async def socket(token: str) -> AsyncIterator[Socket]:
    url = server_url().replace("http", "ws", 1) + "/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"]) as connection:  # type: ignore[list-item]
        opened = Socket(connection)
        await opened.send(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        answer = orjson.loads(await connection.recv())
        if answer["type"] != "connection_ack":
            raise DemoFailed(f"the server did not acknowledge: {answer}")
        yield opened


def say(begun: float, text: str) -> None:
    print(f"  {(time.monotonic() - begun) * 1000:7.0f} ms  {text}", flush=True)


async def demo() -> None:
    """Play the whole recharge. Raises DemoFailed, or TimeoutError where no notice came."""
    begun = time.monotonic()
    user = os.environ.get("YOUKA_DEMO_USER", "demo")
    token = await sign_in(user)
    say(begun, f"signed in as {user}")
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server_url(), headers=headers, trust_env=False) as http:
        client = Client(http)
        found = await client.run(STATIONS, {"near": PLACE})
        for edge in found["edges"]:
            station = edge["node"]
            price = station["prices"][0]["unitPrice"]["text"] if station["prices"] else "no price"
            say(begun, f"{edge['distance']:6d} m  {station['name']}  92# {price}")
        card = (await client.run(BIND, {"number": DEMO_CARD}))["card"]
        say(begun, f"card {card['brand']} {card['maskedNumber']}")
        async with socket(token) as opened:
            await opened.subscribe("arrivals", ARRIVALS)
            order = await create_order(client, card["id"])
            say(begun, f"order over {order['amount']['text']} is {order['state']}")
            await opened.subscribe("order", UPDATES, {"order": order["id"]})
            async with asyncio.timeout(NOTICE_WITHIN_S):
                await pay_and_listen(begun, client, opened, order["id"])


async def create_order(client: Client, card_id: str) -> dict[str, Any]:
    created = await client.run(CREATE, {"card": card_id, "amount": AMOUNT, "key": secrets.token_hex(16)})
    order = dict(created["order"])
    if order["reviewState"] == "REQUIRED":
        raise DemoFailed("this user was recharged so often that a person has to look; set YOUKA_DEMO_USER to another")
    return order


async def pay_and_listen(begun: float, client: Client, opened: Socket, order_id: str) -> None:
    """Pay once the order's subscription answers, then print what arrives until the notice of this order does.

    A gap has no notice; it would come only where events were deleted while this client listened.
    """
    paid = False
    async for name, data in opened.messages():
        if name == "order":
            say(begun, f"order is {data['orderUpdated']['order']['state']}")
            if not paid:
                paid = True
                started = await client.run(PAY, {"order": order_id, "key": secrets.token_hex(16)})
                await pay_in_sandbox(started["payment"]["package"])
                say(begun, "paid in the sandbox")
        elif data["arrivals"].get("notice", {}).get("order", {}).get("id") == order_id:
            notice = data["arrivals"]["notice"]
            latency = datetime.now(UTC) - datetime.fromisoformat(notice["arrivedAt"])
            say(begun, f"arrival notice: {notice['text']}")
            say(begun, f"latency from arrival to notice: {latency.total_seconds() * 1000:.0f} ms")
            return
    raise DemoFailed("the server closed the WebSocket before the notice came")


async def pay_in_sandbox(package: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as sandbox:
        answer = await sandbox.post(f"{sandbox_url()}/control/pay", json={"package": package})
        if not answer.is_success:
            raise DemoFailed(f"the sandbox did not take the payment: {answer.text}")


def main() -> int:
    print(f"Youka demo against {server_url()}")
    try:
        asyncio.run(demo())
    except TimeoutError:
        print(f"demo failed: no arrival notice within {NOTICE_WITHIN_S:.0f} s", file=sys.stderr)
    except DemoFailed as error:
        print(f"demo failed: {error}", file=sys.stderr)
    except (httpx.HTTPError, WebSocketException, OSError) as error:
        print(f"demo failed: {type(error).__name__} {error}; is `make run` running?", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
