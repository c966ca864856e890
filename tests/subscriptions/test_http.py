"""`/graphql` over HTTP: what is accepted, what is refused, and what nobody gets to see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from kernel.clock import utc_now
from subscriptions import server
from tests.subscriptions.serving import COUNTED, application, services_of, serving, token_of

GRAPHQL_RESPONSE = "application/graphql-response+json"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the application without a network between them."""
    async with calling(request_body_size_max_bytes=4_096) as opened:
        yield opened


@pytest.fixture
async def remote() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server."""
    async with (
        serving(services_of(request_body_size_max_bytes=4_096)) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as opened,
    ):
        yield opened


def calling(*, with_page: bool = False, **values: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application(services_of(**values), with_page=with_page))
    return httpx.AsyncClient(transport=transport, base_url="http://youka.test")


async def post(client: httpx.AsyncClient, query: str, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", {})
    return await client.post("/graphql", json={"query": query, **fields}, headers=headers)


def code_of(response: httpx.Response) -> str:
    body = response.json()
    assert "data" not in body
    return str(body["errors"][0]["extensions"]["code"])


class TestExecution:
    async def test_a_query_is_answered(self, remote: httpx.AsyncClient) -> None:
        response = await post(remote, "query Q($n: String!) { hello(name: $n) }", variables={"n": "油"})
        assert response.status_code == 200
        assert response.json() == {"data": {"hello": "hello 油"}}
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"

    async def test_a_query_is_answered_to_get(self, client: httpx.AsyncClient) -> None:
        parameters = {"query": "query Q($n: String!) { hello(name: $n) }", "variables": '{"n": "x"}'}
        response = await client.get("/graphql", params=parameters)
        assert response.json() == {"data": {"hello": "hello x"}}

    async def test_the_named_operation_runs(self, client: httpx.AsyncClient) -> None:
        response = await post(client, 'query A { hello(name: "a") } query B { hello(name: "b") }', operationName="B")
        assert response.json() == {"data": {"hello": "hello b"}}

    async def test_a_mutation_runs_by_post_and_not_by_get(self, client: httpx.AsyncClient) -> None:
        COUNTED.clear()
        assert (await post(client, "mutation { count }")).json() == {"data": {"count": 1}}
        response = await client.get("/graphql", params={"query": "mutation { count }"})
        assert (response.status_code, code_of(response)) == (405, "OPERATION_NOT_ALLOWED")
        assert response.headers["allow"] == "POST"
        assert COUNTED == ["once"]

    async def test_extensions_reach_the_operation(self, client: httpx.AsyncClient) -> None:
        response = await post(client, "{ extension }", extensions={"name": "x"})
        assert response.json() == {"data": {"extension": "x"}}

    @pytest.mark.parametrize(
        ("accept", "media_type"),
        [
            (None, "application/json"),
            ("*/*", "application/json"),
            ("text/plain", "application/json"),
            (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
            (f"application/json;q=0.5, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
            (f"application/json, {GRAPHQL_RESPONSE};q=0.5", "application/json"),
            (f"{GRAPHQL_RESPONSE};q=0", "application/json"),
        ],
    )
    async def test_the_media_type_is_the_preferred_one(
        self, client: httpx.AsyncClient, accept: str | None, media_type: str
    ) -> None:
        headers = {"accept": accept} if accept else {}
        if not accept:
            client.headers.pop("accept")
        response = await post(client, "{ hello }", headers=headers)
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"

    async def test_concurrent_requests_have_contexts_of_their_own(self, remote: httpx.AsyncClient) -> None:
        ids = [f"r-{number}" for number in range(30)]
        answers = await asyncio.gather(
            *(post(remote, "{ requestId }", headers={"x-request-id": request_id}) for request_id in ids)
        )
        assert [answer.json()["data"]["requestId"] for answer in answers] == ids


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            b"null", b"1", b'"{ hello }"', b"true", b"", b"{", b"\xff\xfe", b'{"query": "{ hello }"', b"{}",
            b'{"query": null}', b'{"query": 1}', b'{"query": ""}', b'{"query": "  "}',
            b'{"query": "{ hello }", "variables": []}', b'{"query": "{ hello }", "variables": "x"}',
            b'{"query": "{ hello }", "extensions": 1}', b'{"query": "{ hello }", "operationName": {}}',
            b'{"query": "{ hello }", "variables": {"a": NaN}}', b'{"query": "{ hello }", "variables": {"a": Infinity}}',
            b'{"query": "\\ud800"}', b'{"query": "{ hello }"} trailing', b'\xef\xbb\xbf{"query": "{ hello }"}',
            b'{"query": "{ hello }", "variables": {"a": ' + b"[" * 2_000 + b"]" * 2_000 + b"}}",
            b"[" * 2_000 + b"]" * 2_000,
        ],
    )  # fmt: skip
    async def test_a_body_that_is_no_request(self, client: httpx.AsyncClient, body: bytes) -> None:
        response = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
        assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")

    async def test_a_batch(self, client: httpx.AsyncClient) -> None:
        COUNTED.clear()
        response = await client.post("/graphql", json=[{"query": "mutation { count }"}] * 2)
        assert (response.status_code, code_of(response)) == (400, "BATCHING_UNSUPPORTED")
        assert COUNTED == []

    @pytest.mark.parametrize(
        "content_type",
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
         "application/graphql", "application/json; charset=utf-16", "text/plain; application/json"],
    )  # fmt: skip
    async def test_another_content_type(self, client: httpx.AsyncClient, content_type: str) -> None:
        COUNTED.clear()
        body = json.dumps({"query": "mutation { count }"})
        response = await client.post("/graphql", content=body, headers={"content-type": content_type})
        assert (response.status_code, code_of(response)) == (415, "CONTENT_TYPE_UNSUPPORTED")
        assert COUNTED == []

    async def test_json_may_name_its_encoding(self, client: httpx.AsyncClient) -> None:
        headers = {"content-type": "Application/JSON; charset=UTF-8"}
        response = await client.post("/graphql", content=b'{"query": "{ hello }"}', headers=headers)
        assert response.json() == {"data": {"hello": "hello world"}}

    async def test_a_body_over_the_limit(self, client: httpx.AsyncClient) -> None:
        fits = json.dumps({"query": "{ hello }", "x": ""})
        body = json.dumps({"query": "{ hello }", "x": " " * (4_096 - len(fits))})
        headers = {"content-type": "application/json"}
        assert (await client.post("/graphql", content=body, headers=headers)).status_code == 200
        response = await client.post("/graphql", content=body + " ", headers=headers)
        assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")

    async def test_a_body_over_the_limit_that_does_not_say_so(self, remote: httpx.AsyncClient) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b" " * 1_000

        headers = {"content-type": "application/json"}
        response = await remote.post("/graphql", content=endless(), headers=headers)
        assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
    async def test_another_method(self, client: httpx.AsyncClient, method: str) -> None:
        response = await client.request(method, "/graphql")
        assert (response.status_code, code_of(response)) == (405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET, POST"

    @pytest.mark.parametrize("parameters", [{}, {"query": ""}, {"query": "{ hello }", "variables": "{"}])
    async def test_a_get_that_is_no_request(self, client: httpx.AsyncClient, parameters: dict[str, str]) -> None:
        response = await client.get("/graphql", params=parameters, headers={"accept": "text/html"})
        assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")

    @pytest.mark.parametrize(
        "query",
        ["mutation A { count } mutation B { count }", "query A { hello } mutation B { count }",
         "mutation A { count } query A { hello }"],
    )  # fmt: skip
    async def test_several_operations_without_a_name(self, client: httpx.AsyncClient, query: str) -> None:
        COUNTED.clear()
        for accept in ("application/json", GRAPHQL_RESPONSE):
            response = await post(client, query, headers={"accept": accept})
            assert (response.status_code, code_of(response)) == (400, "OPERATION_NAME_REQUIRED")
        assert COUNTED == []

    @pytest.mark.parametrize(
        ("query", "name"), [("query A { hello }", "B"), ("fragment F on Query { hello }", None), ("# nothing", None)]
    )
    async def test_no_such_operation(self, client: httpx.AsyncClient, query: str, name: str | None) -> None:
        response = await post(client, query, operationName=name, headers={"accept": GRAPHQL_RESPONSE})
        assert response.status_code == 400
        assert code_of(response) in {"OPERATION_NOT_FOUND", "GRAPHQL_PARSE_FAILED"}

    async def test_a_subscription(self, client: httpx.AsyncClient) -> None:
        response = await post(client, "subscription { ticks(to: 1) }", headers={"accept": "*/*"})
        assert (response.status_code, code_of(response)) == (400, "OPERATION_NOT_ALLOWED")

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{ hello", "GRAPHQL_PARSE_FAILED"),
            ("{" * 400 + "a" + "}" * 400, "GRAPHQL_PARSE_FAILED"),
            ("{ " + "a " * 490 + "}", "GRAPHQL_VALIDATION_FAILED"),
            ("{ " + "a " * 501 + "}", "DOCUMENT_LIMIT_EXCEEDED"),
            ("{ unknown }", "GRAPHQL_VALIDATION_FAILED"),
            ("query ($n: String!) { hello(name: $n) }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ hello(name: 1) }", "GRAPHQL_VALIDATION_FAILED"),
            ('{ pay(amount: "NaN") }', "AMOUNT_NOT_A_NUMBER"),
        ],
    )
    async def test_a_document_that_cannot_be_executed(self, client: httpx.AsyncClient, query: str, code: str) -> None:
        response = await post(client, query)
        assert (response.status_code, code_of(response)) == (200, code)
        assert response.json()["errors"][0]["message"]
        response = await post(client, query, headers={"accept": GRAPHQL_RESPONSE})
        assert (response.status_code, code_of(response)) == (400, code)

    async def test_a_variable_that_its_scalar_refuses(self, client: httpx.AsyncClient) -> None:
        response = await post(client, "query ($a: Yuan!) { pay(amount: $a) }", variables={"a": "Infinity"})
        assert code_of(response) == "AMOUNT_NOT_A_NUMBER"

    async def test_a_document_of_too_many_tokens(self) -> None:
        async with calling() as client:
            response = await post(client, "{" + " hello" * 6_000 + "}")
        assert code_of(response) == "DOCUMENT_LIMIT_EXCEEDED"
        assert response.json()["errors"][0]["extensions"]["limit"] == "TOKENS"


class TestErrors:
    async def test_what_nobody_meant_is_hidden_behind_an_id(self, client: httpx.AsyncClient) -> None:
        with capture_logs() as logs:
            response = await post(client, "{ hello broken }", headers={"accept-language": "en"})
        body = response.json()
        assert response.status_code == 200
        assert body["data"] == {"hello": "hello world", "broken": None}
        (error,) = body["errors"]
        assert error["message"] == "Internal error"
        assert error["path"] == ["broken"]
        assert error["extensions"]["code"] == "INTERNAL"
        assert "hunter2" not in response.text
        (line,) = [line for line in logs if line["event"] == "graphql.internal_error"]
        assert line["error_id"] == error["extensions"]["id"]
        assert repr(line["exc_info"]) == "RuntimeError('the password is hunter2')"

    async def test_a_null_where_none_may_be_is_internal(self, client: httpx.AsyncClient) -> None:
        response = await post(client, "{ nothing }")
        assert response.json()["data"] is None
        assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert "Cannot return null" not in response.text

    @pytest.mark.parametrize(("language", "message"), [("en-US", "At most 5"), ("zh-CN,en;q=0.5", "最多 5")])
    async def test_a_refusal_has_its_code_values_and_language(
        self, client: httpx.AsyncClient, language: str, message: str
    ) -> None:
        with capture_logs() as logs:
            response = await post(client, "{ refused }", headers={"accept-language": language})
        (error,) = response.json()["errors"]
        assert error["message"] == message
        assert error["extensions"] == {"code": "TOO_MUCH", "maximum": 5}
        assert logs == []

    async def test_an_error_with_a_code_passes(self, client: httpx.AsyncClient) -> None:
        (error,) = (await post(client, "{ meant }")).json()["errors"]
        assert error["message"] == "as intended"
        assert error["extensions"] == {"code": "MEANT", "minimum": 1}

    async def test_an_error_outside_of_execution_is_hidden_too(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_accept: str) -> str:
            raise RuntimeError("the password is hunter2")

        monkeypatch.setattr(server, "media_type_of", fail)
        with capture_logs() as logs:
            response = await post(client, "{ hello }")
        assert (response.status_code, code_of(response)) == (500, "INTERNAL")
        assert "hunter2" not in response.text
        assert [line["error_id"] for line in logs] == [response.json()["errors"][0]["extensions"]["id"]]


class TestIdentity:
    async def test_without_a_token_nobody_is_there(self, client: httpx.AsyncClient) -> None:
        assert (await post(client, "{ whoami }")).json() == {"data": {"whoami": None}}

    async def test_a_token_names_the_viewer(self, client: httpx.AsyncClient) -> None:
        user_id = uuid4()
        response = await post(client, "{ whoami }", headers={"authorization": f"Bearer {token_of(user_id)}"})
        assert response.json() == {"data": {"whoami": str(user_id)}}

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer", "Bearer ", "Bearer x", "Bearer a b", "Basic dTpw", "x" * 9_000]
    )
    async def test_a_bad_token_executes_nothing(self, client: httpx.AsyncClient, authorization: str) -> None:
        COUNTED.clear()
        response = await post(client, "mutation { count }", headers={"authorization": authorization})
        assert (response.status_code, code_of(response)) == (401, "TOKEN_INVALID")
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert COUNTED == []

    async def test_an_expired_token_says_so(self, client: httpx.AsyncClient) -> None:
        token = token_of(uuid4(), now=utc_now() - timedelta(hours=2))
        response = await post(client, "{ hello }", headers={"authorization": f"Bearer {token}"})
        assert (response.status_code, code_of(response)) == (401, "TOKEN_EXPIRED")


class TestHeaders:
    @pytest.mark.parametrize(
        ("language", "locale"),
        [
            ("", "zh-CN"), ("en", "en"), ("en-GB,zh;q=0.9", "en"), ("zh-TW", "zh-CN"), ("fr, en;q=0.2", "en"),
            ("en;q=0.1, zh;q=0.2", "zh-CN"), ("en;q=0", "zh-CN"), ("en;q=nan", "zh-CN"), (",;=,", "zh-CN"),
            ("end", "zh-CN"),
        ],
    )  # fmt: skip
    async def test_the_language_is_the_preferred_one(
        self, client: httpx.AsyncClient, language: str, locale: str
    ) -> None:
        response = await post(client, "{ locale }", headers={"accept-language": language})
        assert response.json() == {"data": {"locale": locale}}

    async def test_a_sane_request_id_is_kept(self, client: httpx.AsyncClient) -> None:
        response = await post(client, "{ requestId }", headers={"x-request-id": "abc-123.x:y_z"})
        assert response.headers["x-request-id"] == "abc-123.x:y_z"
        assert response.json()["data"]["requestId"] == "abc-123.x:y_z"

    @pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a\tb"])
    async def test_another_request_id_is_replaced(self, client: httpx.AsyncClient, given: str) -> None:
        response = await post(client, "{ requestId }", headers={"x-request-id": given})
        request_id = response.headers["x-request-id"]
        assert len(request_id) == 32
        assert response.json()["data"]["requestId"] == request_id

    async def test_refusals_carry_the_request_id_too(self, client: httpx.AsyncClient) -> None:
        response = await client.post("/graphql", content=b"x", headers={"x-request-id": "abc"})
        assert response.headers["x-request-id"] == "abc"


class TestPage:
    async def test_a_browser_gets_the_page(self) -> None:
        async with calling(with_page=True) as client:
            page = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
            query = await client.get("/graphql", params={"query": "{ hello }"}, headers={"accept": "text/html"})
            other = await client.get("/graphql", headers={"accept": "*/*"})
        assert "GraphiQL" in page.text
        assert query.json() == {"data": {"hello": "hello world"}}
        assert other.status_code == 400


async def test_a_client_that_goes_away_leaves_no_trace(remote: httpx.AsyncClient) -> None:
    url = remote.base_url
    with capture_logs() as logs:
        for _ in range(5):
            _reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(
                b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.close()
            await writer.wait_closed()
        assert (await post(remote, "{ hello }")).status_code == 200
    assert logs == []
