"""The client: queries and mutations over HTTP, subscriptions over WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from .errors import AnswerUnreadable, OperationFailed, ServerUnavailable, code_of
from .generated.api import Api
from .retrying import Retry, Trouble, trouble_of
from .streams import Stream
from .tokens import Tokens
from .wire import Operation, encoded_variables

T = TypeVar("T")

PATH = "/graphql"
ACCEPT = "application/graphql-response+json, application/json;q=0.9"
UNAUTHORIZED = 401
TIMEOUT_S = 30.0
RENEWABLE = frozenset({"TOKEN_EXPIRED", "TOKEN_INVALID", "SESSION_ENDED"})


class YoukaClient(Api):
    """Asks as one client of the service. Open it with `async with`, and share it: it keeps its connections.

    `locale` (`zh-CN`, `en`) is the language of messages. Documents are named by their hash, and sent whole to a server
    that does not know them. `trust_env` lets the environment name a proxy; `transport` is httpx's.
    """

    def __init__(
        self,
        url: str,
        *,
        tokens: Tokens | None = None,
        locale: str = "zh-CN",
        retry: Retry | None = None,
        timeout_s: float = TIMEOUT_S,
        trust_env: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._tokens, self._retry, self._locale, self._trust_env = tokens, retry or Retry(), locale, trust_env
        self._url = url.rstrip("/")
        headers = {"accept-language": locale}
        self._http = httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=timeout_s, trust_env=trust_env, transport=transport
        )
        self._unknown: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def token(self, *, refused: str | None = None) -> str | None:
        """Return an access token, None where nobody signs in. Raises SignInFailed."""
        return await self._tokens.token(self._http, refused=refused) if self._tokens else None

    async def run(self, operation: Operation[T], variables: Mapping[str, Any]) -> T:
        """Return the answer of a query or a mutation; typed errors of a payload are answers.

        Raises OperationFailed, ServerUnavailable, AnswerUnreadable or SignInFailed. What may have been executed is sent
        again only where it is a query or has an idempotency key.
        """
        failures = 0
        while True:
            outcome = await self._attempt(operation, encoded_variables(variables))
            if not isinstance(outcome, Trouble):
                return operation.read(outcome[operation.field])
            failures += 1
            wait_s = max(outcome.retry_after_s or 0.0, self._retry.wait_s(failures))
            repeatable = operation.idempotent or not outcome.perhaps_executed
            if not repeatable or failures >= self._retry.attempts_max or wait_s > self._retry.wait_max_s:
                raise ServerUnavailable(outcome.reason, code=outcome.code, retry_after_s=outcome.retry_after_s)
            await asyncio.sleep(wait_s)

    def subscribe(self, operation: Operation[T], variables: Mapping[str, Any]) -> AsyncIterator[T]:
        """Yield the events of a subscription, and go on where it stood after a connection is lost.

        Raises OperationFailed, StreamEnded or SignInFailed. `aclose()` on the iterator ends it.
        """
        stream = Stream(
            self._url + PATH, operation, encoded_variables(variables),
            token=self.token, locale=self._locale, retry=self._retry, trust_env=self._trust_env,
        )  # fmt: skip
        return stream.events()

    async def _attempt(self, operation: Operation[Any], variables: dict[str, Any]) -> dict[str, Any] | Trouble:
        """Send the operation once, or twice where its hash or the token were the only trouble; return the data."""
        token, renewed = await self.token(), False
        while True:
            answer = await self._post(operation, variables, token)
            if isinstance(answer, Trouble):
                return answer
            body = _body(answer)
            codes = {code_of(each) for each in body.get("errors") or ()}
            if "PERSISTED_QUERY_NOT_FOUND" in codes and operation.sha256 not in self._unknown:
                self._unknown.add(operation.sha256)
            elif answer.status_code == UNAUTHORIZED and codes & RENEWABLE and token is not None and not renewed:
                token, renewed = await self.token(refused=token), True
            else:
                return trouble_of(answer, body) or _data(body)

    async def _post(
        self, operation: Operation[Any], variables: dict[str, Any], token: str | None
    ) -> httpx.Response | Trouble:
        named = operation.sha256 not in self._unknown
        body = {
            **({"documentId": f"sha256:{operation.sha256}"} if named else {"query": operation.text}),
            "variables": variables,
        }
        headers = {"accept": ACCEPT, **({"authorization": f"Bearer {token}"} if token else {})}
        try:
            return await self._http.post(PATH, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Trouble(f"{type(error).__name__}: {error}", perhaps_executed=False)
        except httpx.TransportError as error:
            return Trouble(f"{type(error).__name__}: {error}")


def _body(answer: httpx.Response) -> dict[str, Any]:
    """Return the answer as GraphQL; what stands before the server may refuse in its own words.

    Raises AnswerUnreadable.
    """
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and ("data" in body or "errors" in body):
        return body
    if answer.is_success or answer.is_redirect:
        raise AnswerUnreadable(f"HTTP {answer.status_code} is no answer of GraphQL")
    return {"errors": [{"message": answer.reason_phrase}]}


def _data(body: dict[str, Any]) -> dict[str, Any]:
    """Raises OperationFailed where there are errors."""
    if body.get("errors"):
        raise OperationFailed(body["errors"], body.get("data"))
    data: dict[str, Any] = body["data"]
    return data
