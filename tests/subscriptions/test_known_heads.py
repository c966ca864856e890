"""A request whose head was read before is answered as any other, without being read again."""

from __future__ import annotations

import asyncio
import gc
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

import subscriptions.callers
from kernel.ids import new_id
from schema.types.context import Context
from subscriptions.callers import Caller, Callers
from subscriptions.door import Door
from subscriptions.heads import Whole
from subscriptions.reception import Reception
from subscriptions.requests import request_of
from tests.subscriptions.serving import application, services_of, serving, token_of
from tests.subscriptions.support import eventually
from tests.subscriptions.test_http_connections import ALLOWING, ORIGIN, heard, request

BODIES: dict[str, bytes] = {
    "answered": b'{"query": "{ hello }"}',
    "no JSON": b"{",
    "no document": b'{"query": 7}',
    "a list": b"[]",
    "not valid": b'{"query": "{ nonsense }"}',
    "two operations": b'{"query": "query A { hello } query B { hello }"}',
    "a subscription": b'{"query": "subscription { ticks }"}',
    "an unknown hash": b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "%b"}}}' % (b"0" * 64),
    "an unknown id": b'{"documentId": "nothing"}',
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The addresses of the requests whose heads were read."""
    seen: list[bytes] = []
    complete = HttpToolsProtocol.on_headers_complete

    def counted(self: HttpToolsProtocol) -> None:
        seen.append(self.url)
        complete(self)

    monkeypatch.setattr(HttpToolsProtocol, "on_headers_complete", counted)
    return seen


@pytest.fixture
async def any_server() -> AsyncIterator[httpx.AsyncClient]:
    """The same application behind a server that reads every request, and takes answers by messages."""
    transport = httpx.ASGITransport(app=application(services_of(**ALLOWING)))
    async with httpx.AsyncClient(base_url="http://any", transport=transport) as client:
        yield client


class TestAnswers:
    @pytest.mark.parametrize("kind", BODIES)
    @pytest.mark.parametrize("origin", [None, ORIGIN, "https://evil.example"])
    @pytest.mark.parametrize("authorization", [None, "good", "Bearer x", "Basic x"])
    async def test_they_are_those_of_any_server(
        self, kind: str, origin: str | None, authorization: str | None, read: list[bytes], any_server: httpx.AsyncClient
    ) -> None:
        services = services_of(**ALLOWING)
        headers = {"content-type": "application/json", **({"origin": origin} if origin else {})}
        if authorization is not None:
            headers["authorization"] = f"Bearer {token_of(new_id())}" if authorization == "good" else authorization
        async with serving(services) as address, httpx.AsyncClient(base_url=f"http://{address}") as ours:
            mine = [await ours.post("/graphql", content=BODIES[kind], headers=headers) for _ in range(3)]
        theirs = await any_server.post("/graphql", content=BODIES[kind], headers=headers)
        assert read == [b"/graphql"]
        for each in mine:
            assert each.status_code == theirs.status_code
            if theirs.status_code != 200 or "errors" in theirs.json():
                assert each.content == theirs.content
            assert each.json().get("data") == theirs.json().get("data")
            assert _compared(each) == _compared(theirs)
        assert len({each.headers["x-request-id"] for each in mine}) == 3

    async def test_bodies_may_be_of_any_length(self, read: list[bytes]) -> None:
        async with serving(services_of()) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            for length in (1, 9, 100, 1_000):
                answer = await client.post("/graphql", json={"query": f'{{ hello(name: "{"a" * length}") }}'})
                assert answer.json()["data"]["hello"] == "hello " + "a" * length
        assert len(read) == 1

    async def test_a_body_that_is_too_large_is_refused_as_ever(self, read: list[bytes]) -> None:
        services = services_of(request_body_size_max_bytes=1_024)
        async with serving(services) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            assert (await client.post("/graphql", json={"query": "{ hello }"})).status_code == 200
            large = await client.post("/graphql", json={"query": "{ hello }" + " " * 2_000})
        assert (large.status_code, large.json()["errors"][0]["extensions"]["code"]) == (413, "BODY_TOO_LARGE")
        assert len(read) == 2

    async def test_an_error_of_ours_is_told_as_one(
        self, read: list[bytes], monkeypatch: pytest.MonkeyPatch, any_server: httpx.AsyncClient
    ) -> None:
        async with serving(services_of()) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            await client.post("/graphql", json={"query": "{ hello }"})
            monkeypatch.setattr("subscriptions.reception.with_document", lambda *_: 1 / 0)
            answer = await client.post("/graphql", json={"query": "{ hello }"})
        theirs = await any_server.post("/graphql", json={"query": "{ hello }"})
        codes = [each.json()["errors"][0]["extensions"]["code"] for each in (answer, theirs)]
        assert (answer.status_code, *codes) == (theirs.status_code, "INTERNAL", "INTERNAL")
        assert len(read) == 1

    async def test_a_token_is_looked_at_each_time(self, read: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        services = services_of()
        asked: dict[str, Any] = {
            "json": {"query": "{ hello }"},
            "headers": {"authorization": f"Bearer {token_of(new_id())}"},
        }
        async with serving(services) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            assert (await client.post("/graphql", **asked)).status_code == 200
            assert (await client.post("/graphql", **asked)).status_code == 200
            monkeypatch.setattr(services.tokens, "is_over", lambda _: True)
            ended = await client.post("/graphql", **asked)
        assert (ended.status_code, ended.json()["errors"][0]["extensions"]["code"]) == (401, "SESSION_ENDED")
        assert len(read) == 1


def _compared(answer: httpx.Response) -> list[tuple[str, str]]:
    ignored = {"date", "server", "ratelimit", "x-request-id", "content-length"}
    return [each for each in answer.headers.multi_items() if each[0] not in ignored]


class TestWhatIsReadEachTime:
    @pytest.mark.parametrize(
        "headers",
        [
            {"x-request-id": "mine"},
            {"expect": "100-continue"},
            {"accept": "text/event-stream"},
            {"content-type": "text/plain"},
            {"x-long": "a" * 5_000},
        ],
    )
    async def test_it_is_what_takes_more_than_its_letters(self, headers: dict[str, str], read: list[bytes]) -> None:
        async with serving(services_of()) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            for _ in range(2):
                await client.post("/graphql", json={"query": "{ hello }"}, headers=headers)
        assert len(read) == 2

    async def test_it_is_whatever_is_not_a_whole_request(self, read: list[bytes]) -> None:
        whole, last = request(1), request(2, connection="close")
        async with serving(services_of()) as address:
            # The first is read so that the second need not be; then half a body, and two at once.
            answers = await heard(address, whole, whole, whole[:-5], whole[-5:], whole + whole, last)
        assert answers.count(b"hello 1") == 5
        assert len(read) == 5

    async def test_none_is_where_none_may_be_kept(self, read: list[bytes]) -> None:
        services = services_of(request_heads_kept_max=0)
        async with serving(services) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            for _ in range(2):
                await client.post("/graphql", json={"query": "{ hello }"})
        assert len(read) == 2


class TestTurns:
    async def test_what_comes_meanwhile_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gate = asyncio.Event()
        awaited = Door._awaited

        def begin(self: Door, caller: Caller, _peer: str, _body: bytes) -> Any:
            context = Context(services=self._services)

            async def late() -> Any:
                await gate.wait()
                asked = request_of({"query": '{ hello(name: "1") }'})
                return await self.answer("POST", b"", asked, context, "x/y")

            return awaited(self, late(), context, caller.media_type, b"")

        async with serving(services_of()) as address:
            host, _, port = address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request(1))
            await reader.readuntil(b"hello 1")
            monkeypatch.setattr(Door, "begin", begin)
            writer.write(request(1))
            await asyncio.sleep(0.02)
            # It is read, since somebody is before it, and answered behind them.
            writer.write(request(2, connection="close"))
            await asyncio.sleep(0.02)
            gate.set()
            rest = await asyncio.wait_for(reader.read(), 20)
            writer.close()
        assert [each.decode() for each in re.findall(rb"hello \d", rest)] == ["hello 1", "hello 2"]

    async def test_who_goes_meanwhile_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gate, ended = asyncio.Event(), []
        awaited = Door._awaited

        async def slowly(self: Door, *rest: Any) -> Any:
            await gate.wait()
            ended.append(1)
            return await awaited(self, *rest)

        async with serving(services_of()) as address:
            host, _, port = address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request(1))
            await reader.readuntil(b"hello 1")
            monkeypatch.setattr(Door, "_awaited", slowly)
            monkeypatch.setattr(Reception, "prepare_here", lambda *_: None)
            writer.write(request(1))
            await eventually(lambda: bool(address.server.server_state.tasks))
            writer.transport.abort()
            await eventually(lambda: address.connections == 0)
            gate.set()
            await eventually(lambda: not address.server.server_state.tasks)
        assert ended == [1]


async def test_requests_leave_nothing_for_the_collector(any_server: httpx.AsyncClient) -> None:
    """So that it may look at a server's young objects seldom."""
    app: Any = any_server._transport.app  # type: ignore[attr-defined]
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {token_of(new_id())}".encode())]
    caller = app.door.caller_of({"type": "http", "method": "POST", "headers": headers})

    async def ask() -> None:
        answer = app.door.begin(caller, "127.0.0.1", BODIES["answered"])
        assert (answer if isinstance(answer, Whole) else await answer).status == 200

    for _ in range(20):
        await ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(500):
            await ask()
        assert gc.collect() < 50
    finally:
        gc.enable()


class TestCallers:
    @staticmethod
    def caller(name: str) -> Caller:
        return Caller(
            signed=True, token=name, locale="en", media_type="x/y", address=None, request_id=None, head=None, more=b""
        )

    def test_those_used_last_are_kept(self) -> None:
        callers = Callers(kept_max=2, size_max_bytes=1_000, body_size_max_bytes=1_000)
        for name in "ab":
            callers.keep(request(1, authorization=name), self.caller(name))
        found = callers.find(request(333, authorization="a"))
        assert found is not None
        assert found.caller.token == "a"
        assert b"333" in found.body
        callers.keep(request(1, authorization="c"), self.caller("c"))
        assert len(callers) == 2
        assert callers.find(request(1, authorization="b")) is None
        assert callers.find(request(1, authorization="a")) is not None

    def test_the_head_of_another_is_not_taken_for_one_with_the_same_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        callers = Callers(kept_max=9, size_max_bytes=1_000, body_size_max_bytes=1_000)
        monkeypatch.setattr(subscriptions.callers, "hash", lambda _: 1, raising=False)
        callers.keep(request(1, authorization="a"), self.caller("a"))
        assert callers.find(request(1, authorization="b")) is None
        found = callers.find(request(1, authorization="a"))
        assert found is not None
        assert found.caller.token == "a"

    def test_what_clients_have_in_common_is_kept_once(self) -> None:
        callers = Callers(kept_max=9, size_max_bytes=1_000, body_size_max_bytes=1_000)
        tokens = [secrets.token_hex() for _ in range(3)]
        for token in tokens:
            callers.keep(request(1, authorization=f"Bearer {token}"), self.caller(token))
        known = list(callers._known.values())
        assert len({id(each.before) for each in known}) == len({id(each.after) for each in known}) == 1
        assert all(callers.find(request(1, authorization=f"Bearer {token}")) for token in tokens)

    @pytest.mark.parametrize("token", [None, "not in the head"])
    def test_who_has_no_token_is_known_by_all_letters_and_whose_is_another_is_not(self, token: str | None) -> None:
        callers = Callers(kept_max=9, size_max_bytes=1_000, body_size_max_bytes=1_000)
        caller = self.caller("")
        caller.token = token
        callers.keep(request(1), caller)
        assert (callers.find(request(1)) is not None) is (token is None)

    @pytest.mark.parametrize(
        "changed",
        [
            (b"host: x", b"host: y"),
            (b"content-length: 35", b"content-length: 34"),
            (b"content-length: 35", b"content-length: +35"),
            (b"content-length: 35", b"content-length: 35\r\ncontent-length: 35"),
            (b"content-length: 35", b"content-length: 35, 28"),
            (b"content-length: 35", b"x-content-length: 35"),
            (b"POST", b"GET"),
            (b"/graphql", b"/graphql?x"),
            (b"\r\n\r\n", b"\r\nx: y\r\n\r\n"),
            (b"\r\n\r\n", b"\n\n"),
        ],
    )
    def test_every_letter_counts(self, changed: tuple[bytes, bytes]) -> None:
        callers, whole = Callers(kept_max=2, size_max_bytes=1_000, body_size_max_bytes=1_000), request(1)
        callers.keep(whole, self.caller("a"))
        assert callers.find(whole) is not None
        assert changed[0] in whole
        assert callers.find(whole.replace(*changed)) is None
