"""Who asks for a token waits before anything is done for them, and who has gone meanwhile takes nobody's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from endpoints.line import TOKEN_PATH, Line
from endpoints.oauth_requests import AddressLimit
from kernel.settings import Settings

FORM = b"grant_type=refresh_token"


class Behind:
    """What is behind the line: it reads the form, and answers as soon as it may."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.read.append(body)
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Asking:
    """One request to the line, in raw ASGI, so that what was received by when can be seen."""

    def __init__(self, line: Line, *messages: Message, path: str = TOKEN_PATH, method: str = "POST") -> None:
        self.taken, self.sent = 0, list[Message]()
        self._messages = messages or ({"type": "http.request", "body": FORM},)
        scope = {"type": "http", "path": path, "method": method, "headers": [], "client": ("198.51.100.1", 1)}
        self.task = asyncio.ensure_future(line(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        self.taken += 1
        return self._messages[self.taken - 1]

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def line_of(behind: Behind, refusals: AddressLimit | None = None, **settings: Any) -> Line:
    usual = {"sign_ins_per_s_max": 0.001, "sign_ins_burst_max": 1, "sign_ins_waiting_max": 2}
    return Line(
        behind,
        Settings(**(usual | settings)),
        refusals or AddressLimit(maximum=1, window_s=60),
        lambda connection: connection.client.host if connection.client else "",
    )


@asynccontextmanager
async def ended(*asking: Asking) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for each in asking:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in asking), return_exceptions=True)


async def turns_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_waits_has_not_even_been_read() -> None:
    behind = Behind()
    line = line_of(behind)
    first, second = Asking(line), Asking(line)
    async with ended(first, second):
        await turns_of_the_loop()
        assert behind.read == [FORM]
        assert second.taken == 0
        assert not second.task.done()


async def test_a_full_line_is_answered_with_when_to_come_back() -> None:
    behind = Behind()
    line = line_of(behind)
    inside = [Asking(line) for _ in range(3)]
    turned_away = Asking(line)
    async with ended(*inside):
        await turned_away.task
        assert turned_away.status == 503
        assert (b"retry-after", b"5") in turned_away.sent[0]["headers"]
        assert b"temporarily_unavailable" in turned_away.sent[1]["body"]
        assert turned_away.taken == 0
        assert len(behind.read) == 1


async def test_who_has_gone_while_waiting_takes_nobodys_place() -> None:
    behind = Behind()
    line = line_of(behind)
    gone = Asking(line, {"type": "http.disconnect"})
    parted = Asking(
        line,
        {"type": "http.request", "body": FORM[:5], "more_body": True},
        {"type": "http.request", "body": FORM[5:]},
    )
    async with ended(gone, parted):
        await turns_of_the_loop()
        assert gone.task.done()
        assert gone.sent == []
        assert behind.read == [FORM]


async def test_an_address_that_is_refused_anyway_does_not_wait() -> None:
    behind, refusals = Behind(), AddressLimit(maximum=1, window_s=3_600)
    line = line_of(behind, refusals)
    first, waits = Asking(line), Asking(line)
    async with ended(first, waits):
        await turns_of_the_loop()
        refusals.count("198.51.100.1", now_s=monotonic())
        guessing = Asking(line)
        await guessing.task
        assert guessing.status == 429
        assert len(behind.read) == 1


@pytest.mark.parametrize(("path", "method"), [("/oauth/revoke", "POST"), (TOKEN_PATH, "GET"), ("/healthz", "GET")])
async def test_nobody_else_waits(path: str, method: str) -> None:
    behind = Behind()
    behind.may_answer.set()
    line = line_of(behind)
    for _ in range(5):
        asking = Asking(line, path=path, method=method)
        await asking.task
        assert asking.status == 200
