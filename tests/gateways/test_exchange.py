"""One budget of time, tries within it, and no more bytes than an answer may have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from gateways.exchange import ANSWER_SIZE_MAX_BYTES, Answer, Unsettled, exchange

Step = int | Exception


class Script:
    """Answers one step after another, the last one for ever."""

    def __init__(self, *steps: Step) -> None:
        self.steps, self.requests = list(steps), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step, content=b"body")


async def ask(handler: Callable[[httpx.Request], httpx.Response], *, attempts_max: int = 3) -> Answer:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="http://third.party") as client:
        numbers = iter(range(10))
        return await exchange(
            client,
            lambda: client.build_request("GET", "/", headers={"Number": str(next(numbers))}),
            budget_s=2,
            attempts_max=attempts_max,
        )


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 409])
async def test_answers_that_say_something_are_handed_on(status: int) -> None:
    script = Script(status)
    answer = await ask(script)
    assert (answer.status, answer.body, answer.refused) == (status, b"body", status >= 400)
    assert len(script.requests) == 1


@pytest.mark.parametrize("step", [500, 502, 503, 429, 408, httpx.ConnectError("no"), httpx.RemoteProtocolError("cut")])
async def test_what_a_moment_may_mend_is_asked_again_and_built_anew(step: Step) -> None:
    script = Script(step, step, 200)
    assert (await ask(script)).status == 200
    assert [request.headers["Number"] for request in script.requests] == ["0", "1", "2"]


@pytest.mark.parametrize("step", [500, 429, httpx.ConnectError("no")])
async def test_tries_end(step: Step) -> None:
    script = Script(step)
    with pytest.raises(Unsettled):
        await ask(script)
    assert len(script.requests) == 3


async def test_what_must_not_be_repeated_is_sent_once() -> None:
    script = Script(500, 200)
    with pytest.raises(Unsettled):
        await ask(script, attempts_max=1)
    assert len(script.requests) == 1


@pytest.mark.parametrize("step", [301, 302, 307, httpx.ReadTimeout("late"), httpx.ConnectTimeout("late")])
async def test_redirects_and_timeouts_are_final(step: Step) -> None:
    script = Script(step)
    with pytest.raises(Unsettled):
        await ask(script)
    assert len(script.requests) == 1


async def test_an_error_says_its_kind_and_not_its_address() -> None:
    with pytest.raises(Unsettled) as caught:
        await ask(Script(httpx.ConnectError("http://third.party/?secret=1")))
    assert str(caught.value) == "ConnectError"


async def test_a_trickle_cannot_outlast_the_budget() -> None:
    """Each byte resets httpx's own read timeout, so only the budget ends this."""
    hung_up = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            hung_up.set()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5, trust_env=False) as client:
            started = time.monotonic()
            with pytest.raises(Unsettled, match="timeout"):
                await exchange(client, lambda: client.build_request("GET", "/"), budget_s=0.2)
            assert time.monotonic() - started < 4
            await hung_up.wait()


async def test_a_giant_answer_is_not_read_to_its_end() -> None:
    def giant(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=bytes(ANSWER_SIZE_MAX_BYTES + 1))

    with pytest.raises(Unsettled, match="too large"):
        await ask(giant)
