"""A reader of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.subscriptions.serving import TIMEOUT_S

EVENTS = {"accept": "text/event-stream"}


@dataclass
class Event:
    kind: str
    id: str | None
    data: str

    @property
    def payload(self) -> Any:
        return json.loads(self.data)


class EventReader:
    """The events of one answer; comments and `retry` are kept beside them."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self.retries_ms: list[int] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Event | None:
        """Return the next event within TIMEOUT_S; None once the answer has ended."""
        event = Event("message", None, "")
        has_data = False
        async with asyncio.timeout(TIMEOUT_S):
            async for line in self._lines:
                if not line:
                    if has_data:
                        return event
                    event, has_data = Event("message", None, ""), False
                elif line.startswith(":"):
                    self.comments += 1
                else:
                    name, _, value = line.partition(":")
                    value = value.removeprefix(" ")
                    if name == "event":
                        event.kind = value
                    elif name == "id":
                        event.id = value
                    elif name == "data":
                        event.data, has_data = value, True
                    elif name == "retry":
                        self.retries_ms.append(int(value))
                    else:
                        raise AssertionError(line)
        return None

    async def data(self) -> Any:
        event = await self.next()
        assert event is not None
        assert event.kind == "next"
        assert "errors" not in event.payload, event.payload
        return event.payload["data"]

    async def completes(self) -> None:
        event = await self.next()
        assert event == Event("complete", None, "")
        assert await self.next() is None


@asynccontextmanager
async def reading(
    address: str, query: str = "", *, method: str = "POST", headers: dict[str, str] | None = None, **fields: Any
) -> AsyncIterator[EventReader]:
    """Ask for an event stream, by POST or as EventSource does by GET."""
    asked: dict[str, Any] = {"query": query, **fields} if query else fields
    options: dict[str, Any] = {"json": asked}
    if method == "GET":
        texts = {name: each if isinstance(each, str) else json.dumps(each) for name, each in asked.items()}
        options = {"params": texts}
    async with (
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http,
        http.stream(method, "/graphql", headers={**EVENTS, **(headers or {})}, **options) as response,
    ):
        yield EventReader(response)
