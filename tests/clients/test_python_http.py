"""How the Python client asks over HTTP: once, again where that is safe, and never again where it is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from clients.python import (
    AnswerUnreadable,
    ClientCredentials,
    FixedToken,
    OperationFailed,
    Refusal,
    Retry,
    ServerUnavailable,
    SignInFailed,
    Unknown,
    YoukaClient,
    new_key_pair,
)
from clients.python.generated.create_recharge import CREATE_RECHARGE, CreateRechargeInvalidAmount, CreateRechargeSuccess
from clients.python.generated.enums import ReviewState
from clients.python.generated.inputs import LocationInput

Step = Callable[[httpx.Request], httpx.Response]
ORDER = {
    "id": "o1", "state": "NEWER", "reviewState": "NONE", "payDeadlineAt": "2026-12-01T00:00:00.000Z",
    "amount": {"fen": 10_000, "text": "¥100.00"}, "price": {"fen": 10_000, "text": "¥100.00"},
}  # fmt: skip
CREATED = {"data": {"createRecharge": {"__typename": "CreateRechargeSuccess", "order": ORDER}}}
STATUS = {"data": {"serviceStatus": {"mode": "NORMAL", "message": None, "until": None}}}
GONE = {"data": {"deleteWebhook": {"__typename": "DeleteWebhookSuccess", "webhookId": "w1"}}}


def answering(body: Any, status: int = 200, **headers: str) -> Step:
    return lambda _: httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def failing(code: str, status: int = 200, **extensions: Any) -> Step:
    return answering({"errors": [{"message": "no", "extensions": {"code": code, **extensions}}]}, status)


def cut(_request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("the connection was lost")


@dataclass
class Server:
    """Plays its steps one after the other, and keeps what was asked."""

    steps: list[Step]
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        self.headers.append(request.headers)
        return self.steps.pop(0)(request)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waited


def client(*steps: Step, **options: Any) -> tuple[YoukaClient, Server]:
    server = Server(list(steps))
    return YoukaClient("https://youka.example/", transport=httpx.MockTransport(server), **options), server


class TestAnswers:
    async def test_a_document_is_named_by_its_hash(self) -> None:
        youka, server = client(answering(CREATED))
        result = await youka.create_recharge(card="c1", amount="100.00", key="a-key-of-ours")
        assert isinstance(result, CreateRechargeSuccess)
        # A state that is newer than the client stays readable.
        assert (result.order.state, result.order.review_state) == ("NEWER", ReviewState.NONE)
        assert result.order.pay_deadline_at == datetime(2026, 12, 1, tzinfo=UTC)
        assert server.asked == [
            {
                "documentId": f"sha256:{CREATE_RECHARGE.sha256}",
                "variables": {"card": "c1", "amount": "100.00", "key": "a-key-of-ours"},
            }
        ]

    async def test_typed_errors_are_answers(self) -> None:
        refused: dict[str, Any] = {"__typename": "InvalidAmount", "code": "AMOUNT_TOO_LARGE", "message": "no"}
        refused |= {"minimum": None, "maximum": {"fen": 1, "text": "¥0.01"}}
        youka, _ = client(answering({"data": {"createRecharge": refused}}))
        result = await youka.create_recharge(card="c1", amount="1")
        assert isinstance(result, CreateRechargeInvalidAmount)
        assert isinstance(result, Refusal)
        assert (result.code, result.maximum and result.maximum.fen) == ("AMOUNT_TOO_LARGE", 1)

    async def test_a_member_that_is_newer_than_the_client_is_not_lost(self) -> None:
        newer = {"__typename": "Newer", "code": "NEWER", "message": "…"}
        youka, _ = client(answering({"data": {"createRecharge": newer}}))
        assert await youka.create_recharge(card="c1", amount="1") == Unknown("Newer", newer)

    async def test_errors_are_raised_with_what_there_is_beside_them(self) -> None:
        body = {"data": {"serviceStatus": None}, "errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]}
        youka, _ = client(answering(body))
        with pytest.raises(OperationFailed) as failed:
            await youka.service_status()
        assert (failed.value.code, failed.value.data) == ("FORBIDDEN", {"serviceStatus": None})

    async def test_what_is_no_graphql_is_not_taken_for_it(self) -> None:
        youka, _ = client(lambda _: httpx.Response(200, text="<html>"))
        with pytest.raises(AnswerUnreadable):
            await youka.service_status()

    async def test_what_is_none_is_not_sent(self) -> None:
        page = {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
        youka, server = client(answering({"data": {"stations": page}}))
        await youka.stations(near=LocationInput(latitude=31.2, longitude=121.4))
        assert server.asked[0]["variables"] == {"near": {"latitude": 31.2, "longitude": 121.4}}

    async def test_a_server_that_does_not_know_the_hash_gets_the_document(self) -> None:
        youka, server = client(failing("PERSISTED_QUERY_NOT_FOUND"), answering(STATUS), answering(STATUS))
        await youka.service_status()
        await youka.service_status()
        assert ["query" in each for each in server.asked] == [False, True, True]


class TestRetries:
    async def test_a_limit_is_honoured_for_as_long_as_the_server_says(self, waits: list[float]) -> None:
        youka, server = client(
            answering({"errors": [{"message": "no", "extensions": {"code": "RATE_LIMITED"}}]}, 429, retry_after="7"),
            failing("RATE_LIMITED", retryAfterMs=2_500),
            answering(GONE),
        )
        # Nothing was executed, so that also what has no key is asked again.
        await youka.delete_webhook(webhook="w1")
        assert waits == [7.0, 2.5]
        assert len(server.asked) == 3

    async def test_who_would_have_to_wait_too_long_is_told(self, waits: list[float]) -> None:
        youka, server = client(failing("RATE_LIMITED", 429, retryAfterMs=60_000))
        with pytest.raises(ServerUnavailable) as unavailable:
            await youka.service_status()
        assert (unavailable.value.code, unavailable.value.retry_after_s) == ("RATE_LIMITED", 60.0)
        assert (waits, len(server.asked)) == ([], 1)

    @pytest.mark.parametrize(
        "trouble", [cut, failing("INTERNAL", 500), failing("OPERATION_TIMED_OUT"), answering("<html>", 502)]
    )
    async def test_what_may_have_been_executed_is_repeated_with_the_same_key_only(
        self, waits: list[float], trouble: Step
    ) -> None:
        youka, server = client(trouble, trouble, answering(CREATED))
        await youka.create_recharge(card="c1", amount="100.00")
        keys = {each["variables"]["key"] for each in server.asked}
        assert len(keys) == 1
        assert len(server.asked) == 3
        youka, server = client(trouble, answering(GONE))
        with pytest.raises(ServerUnavailable):
            await youka.delete_webhook(webhook="w1")
        assert len(server.asked) == 1

    async def test_each_intent_has_a_key_of_its_own(self) -> None:
        youka, server = client(answering(CREATED), answering(CREATED))
        for _ in range(2):
            await youka.create_recharge(card="c1", amount="100.00")
        assert server.asked[0]["variables"]["key"] != server.asked[1]["variables"]["key"]

    async def test_it_gives_up(self, waits: list[float]) -> None:
        youka, server = client(*[cut] * 9, retry=Retry(attempts_max=3, base_s=1.0))
        with pytest.raises(ServerUnavailable, match="ReadError"):
            await youka.service_status()
        assert len(server.asked) == 3
        assert 1.0 <= waits[0] <= 2.0 <= waits[1] <= 4.0


class TestSigningIn:
    async def test_a_token_that_has_expired_is_renewed_once(self) -> None:
        tokens = iter(["one", "two", "three"])

        class Given:
            async def token(self, http: httpx.AsyncClient, *, refused: str | None = None) -> str:
                return next(tokens)

        youka, server = client(failing("TOKEN_EXPIRED", 401), answering(STATUS), tokens=Given())
        await youka.service_status()
        assert [each["authorization"] for each in server.headers] == ["Bearer one", "Bearer two"]
        again = iter(["one", "two", "three"])
        tokens = again
        youka, server = client(*[failing("TOKEN_INVALID", 401)] * 3, tokens=Given())
        with pytest.raises(OperationFailed) as failed:
            await youka.service_status()
        assert (failed.value.code, len(server.asked)) == ("TOKEN_INVALID", 2)

    async def test_a_fixed_token_is_not_renewed(self) -> None:
        youka, _ = client(failing("TOKEN_EXPIRED", 401), tokens=FixedToken("one"))
        with pytest.raises(SignInFailed, match="invalid_token"):
            await youka.service_status()

    async def test_many_calls_ask_for_one_token(self) -> None:
        asked: list[str] = []

        def server(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            if request.url.path == "/graphql":
                return httpx.Response(200, json=STATUS)
            if request.method == "GET":
                return httpx.Response(200, json={"token_endpoint": "https://youka.example/oauth/token"})
            assert b"client_assertion=" in request.content
            return httpx.Response(200, json={"access_token": "one", "expires_in": 900})

        tokens = ClientCredentials("fleet", ECKey.import_key(new_key_pair()[0]))
        youka = YoukaClient("https://youka.example", tokens=tokens, transport=httpx.MockTransport(server))
        await asyncio.gather(*(youka.service_status() for _ in range(5)))
        assert sorted(set(asked)) == ["/.well-known/oauth-authorization-server", "/graphql", "/oauth/token"]
        assert len(asked) == 7

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (httpx.Response(401, json={"error": "invalid_client", "error_description": "no"}), "invalid_client"),
            (httpx.Response(404, text="nothing"), "HTTP 404"),
            (httpx.Response(200, text="<html>"), "HTTP 200"),
        ],
    )
    async def test_who_is_not_let_in_is_told(self, answer: httpx.Response, error: str) -> None:
        tokens = ClientCredentials("fleet", ECKey.import_key(new_key_pair()[0]))
        youka = YoukaClient("https://youka.example", tokens=tokens, transport=httpx.MockTransport(lambda _: answer))
        with pytest.raises(SignInFailed) as failed:
            await youka.service_status()
        assert failed.value.error == error

    def test_the_public_half_is_without_the_private_one(self) -> None:
        private, public = new_key_pair()
        assert set(private) - set(public) == {"d"}
