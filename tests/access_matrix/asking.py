"""Asking over each transport, and what must not have changed when the answer is no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from tortoise import Tortoise

from app import Application
from subscriptions.draining import Server
from subscriptions.frames import WebSocketConnection
from tests.access_matrix.people import Person
from tests.access_matrix.questions import Question
from tests.services import find_free_port
from tests.subscriptions.events import reading
from tests.subscriptions.serving import Client as Socket
from tests.subscriptions.serving import connecting
from tests.subscriptions.support import eventually

EVENTS = {"accept": "text/event-stream"}


async def over_http(http: httpx.AsyncClient, person: Person, question: Question) -> Any:
    """Return the answer; that of a subscription that is refused comes by an event stream, which ends with it."""
    streams = question.operation == "subscription"
    body = {"query": question.text, "variables": question.variables}
    answer = await http.post("/graphql", json=body, headers={**person.headers, **(EVENTS if streams else {})})
    if not streams:
        return answer.json()
    (data,) = [
        line.removeprefix("data:") for line in answer.text.splitlines() if line.startswith("data:") and "{" in line
    ]
    return json.loads(data)


async def over_events(address: str, person: Person, question: Question) -> Any:
    """Return the first event of a stream on the port, which is an answer or a refusal."""
    async with reading(address, question.text, headers=person.headers, variables=question.variables) as events:
        event = await events.next()
        assert event is not None
        return event.payload


async def over_socket(socket: Socket, question: Question, id: str, *, denied: bool) -> Any:
    """Return the first answer, in the form of one over HTTP; None for a stream that has begun and says nothing yet."""
    await socket.subscribe(question.text, id=id, variables=question.variables)
    is_stream = question.operation == "subscription" and not denied
    if is_stream:
        # A stream that is open says nothing; what is answered behind it tells that it was not refused at once.
        await socket.subscribe("{ __typename }", id=f"{id}-behind")
    last, found = (f"{id}-behind" if is_stream else id), None
    while True:
        message = await socket.receive()
        if message.get("id") == id and message["type"] in {"next", "error"} and found is None:
            payload = message["payload"]
            found = {"data": None, "errors": payload} if message["type"] == "error" else payload
        if message.get("id") == last and message["type"] in {"complete", "error"}:
            break
    if is_stream:
        await socket.send({"id": id, "type": "complete"})
    return found


@asynccontextmanager
async def sockets(app: Application) -> AsyncIterator[str]:
    """Serve the application on a port, for sockets alone; the value is `host:port`."""
    port = find_free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, lifespan="off", log_config=None, ws=WebSocketConnection,
        ws_per_message_deflate=False, ws_ping_interval=None, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = Server(config, drain=app.house.drain)
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def socket_of(address: str, person: Person) -> AsyncIterator[Socket]:
    async with connecting(address) as socket:
        await socket.send({"type": "connection_init", "payload": person.headers})
        assert (await socket.receive())["type"] == "connection_ack"
        yield socket


async def every_row() -> dict[str, list[str]]:
    """Return the rows of each table."""
    connection = Tortoise.get_connection("default")
    tables = await connection.execute_query_dict("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    names = [table["name"] for table in tables]
    every = 'SELECT * FROM "{}"'
    return {name: sorted(map(repr, await connection.execute_query_dict(every.format(name)))) for name in names}


def rows_of(rows: dict[str, list[str]], owner: str) -> dict[str, list[str]]:
    """Return those of somebody's rows that name them."""
    return {table: [row for row in each if owner in row] for table, each in rows.items()}


class Wire:
    """Every request that leaves for a third party."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def handle(self, _transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        self.calls.append(str(request.url))
        raise httpx.ConnectError("nobody is there")
